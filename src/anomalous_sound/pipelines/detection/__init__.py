"""One method, from windows to report; the same nodes for every method."""

from anomalous_sound.pipelines.detection.pipeline import create_pipeline

__all__ = ["create_pipeline"]
