"""Judge new recordings with a trained detector."""

from anomalous_sound.pipelines.score.pipeline import create_pipeline

__all__ = ["create_pipeline"]
