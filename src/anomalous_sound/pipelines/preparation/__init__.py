"""From raw audio to windows: what all methods share."""

from anomalous_sound.pipelines.preparation.pipeline import create_pipeline, create_windows_pipeline

__all__ = ["create_pipeline", "create_windows_pipeline"]
