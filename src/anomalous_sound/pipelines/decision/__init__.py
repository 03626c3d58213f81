"""Choose thresholds and decide."""

from anomalous_sound.pipelines.decision.pipeline import create_pipeline

__all__ = ["create_pipeline"]
