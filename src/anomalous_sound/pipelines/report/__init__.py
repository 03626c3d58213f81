"""Evaluate, draw and track one method."""

from anomalous_sound.pipelines.report.pipeline import create_pipeline

__all__ = ["create_pipeline"]
