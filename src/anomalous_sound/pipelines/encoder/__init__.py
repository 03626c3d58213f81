"""Look at the encoder that is given, in the place of training."""

from anomalous_sound.pipelines.encoder.pipeline import create_pipeline

__all__ = ["create_pipeline"]
