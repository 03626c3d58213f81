"""Score clips with trained networks."""

from anomalous_sound.pipelines.inference.pipeline import create_pipeline

__all__ = ["create_pipeline"]
