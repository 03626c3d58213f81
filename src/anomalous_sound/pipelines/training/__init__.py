"""Train the networks of one method."""

from anomalous_sound.pipelines.training.pipeline import create_pipeline

__all__ = ["create_pipeline"]
