"""One method whose encoder is given, from clips to report; nothing is trained."""

from anomalous_sound.pipelines.frozen.pipeline import create_pipeline

__all__ = ["create_pipeline"]
