"""The methods that have been run on a corpus, side by side."""

from anomalous_sound.pipelines.compare.pipeline import create_pipeline

__all__ = ["create_pipeline"]
