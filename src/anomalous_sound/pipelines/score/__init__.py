"""Judge new recordings with a detector that was trained before."""

from anomalous_sound.pipelines.score.pipeline import create_pipeline

__all__ = ["create_pipeline"]
