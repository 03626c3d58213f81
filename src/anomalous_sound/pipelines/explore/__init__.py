"""A look at the raw sound: figures and facts of the corpus, without any method."""

from anomalous_sound.pipelines.explore.pipeline import create_pipeline

__all__ = ["create_pipeline"]
