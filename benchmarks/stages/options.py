"""What a stage is given."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.corpora import Corpus


@dataclass(frozen=True)
class Options:
    """The corpus, how often to measure, and the settings that may vary.

    Attributes:
        corpus: the recordings.
        repeats: turns that are measured, after one to warm up.
        profile: the profile of the configuration that is chosen for speed.
    """

    corpus: Corpus
    repeats: int
    profile: str
