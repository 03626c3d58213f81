"""The results of several runs in one table: methods, machine types, seeds."""

from anomalous_sound.pipelines.results.pipeline import create_pipeline

__all__ = ["create_pipeline"]
