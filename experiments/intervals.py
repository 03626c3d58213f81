"""Bootstrap intervals of an AUC that is averaged over folds, corpora, machine types and methods.

Clips are drawn, not rows of a table: a clip that is tested in several folds is drawn as often in
each of them. Clips of one label that are tested in the same folds are drawn among each other, so
that every resample of a fold holds as many anomalous and as many normal clips as the fold. All
scores of a clip are drawn together, so differences are paired.

What is resampled is kept as an array whose first value is that of the clips themselves.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from anomalous_sound.evaluation.metrics import percentile_interval

CONFIDENCE, SEED = 0.95, 1


def draw_counts(tested: pd.DataFrame, resamples: int, seed: int | list[int]) -> pd.DataFrame:
    """Draw how often each clip is in each resample.

    Args:
        tested: ``clip_id, fold, is_anomalous``, a row for each clip of each fold.
        resamples: how many.
        seed: of the draws.

    Returns:
        Clips × resamples and one before them, in which each clip is once; the index is ``clip_id``.
    """
    rng = np.random.default_rng(seed)
    clips = tested.groupby("clip_id").agg(
        is_anomalous=("is_anomalous", "first"), folds=("fold", lambda of: tuple(sorted(of)))
    )
    drawn = []
    for _, group in clips.groupby(["is_anomalous", "folds"]):
        alike = np.full(len(group), 1 / len(group))
        counts = rng.multinomial(len(group), alike, resamples).T
        drawn.append(pd.DataFrame(counts, index=group.index))
    found = pd.concat(drawn)
    found.insert(0, "all", 1)
    return found


def resampled_auc(is_anomalous: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the AUC of each resample.

    Args:
        is_anomalous: of each clip.
        scores: of each clip.
        counts: clips × resamples: how often each clip is in each.
    """
    anomalous, normal = scores[is_anomalous, None], scores[None, ~is_anomalous]
    wins = (anomalous > normal) + 0.5 * (anomalous == normal)
    of_anomalous, of_normal = counts[is_anomalous], counts[~is_anomalous]
    won = (of_anomalous * (wins @ of_normal)).sum(axis=0)
    return np.asarray(won / (of_anomalous.sum(axis=0) * of_normal.sum(axis=0)))


class ResampledCorpora:
    """The AUC of resampled corpora: the same resamples for all scores, methods and networks."""

    def __init__(
        self,
        scores: Mapping[tuple[str, str, str], pd.DataFrame],
        resamples: int,
        without_scores: Mapping[tuple[str, str, str, str], float] | None = None,
    ) -> None:
        """Draw the resamples.

        Args:
            scores: by corpus, method and networks: ``clip_id, fold, is_anomalous``, and a column
                for each score.
            resamples: how many.
            without_scores: by corpus, method, networks and score: an AUC of which there is nothing
                to resample; its resamples are NaN.
        """
        self._scores, self._resamples = scores, resamples
        self._without_scores = without_scores or {}
        self._counts: dict[str, pd.DataFrame] = {}
        self._known: dict[tuple[str, str, str, str], np.ndarray] = {}
        for (corpus, _, _), table in scores.items():
            if corpus not in self._counts:
                seed = [SEED, zlib.crc32(corpus.encode())]
                self._counts[corpus] = draw_counts(table, resamples, seed)

    def of(self, corpus: str, method: str, networks: str, score: str) -> np.ndarray:
        """Return the AUC of a corpus, averaged over its folds: of all clips, and resampled."""
        key = (corpus, method, networks, score)
        if key[:3] not in self._scores:
            return np.array([self._without_scores[key], *[np.nan] * self._resamples])
        if key not in self._known:
            of_folds = [
                resampled_auc(
                    fold.is_anomalous.to_numpy(),
                    fold[score].to_numpy(),
                    self._counts[corpus].loc[fold.clip_id].to_numpy(),
                )
                for _, fold in self._scores[key[:3]].groupby("fold")
            ]
            self._known[key] = np.mean(of_folds, axis=0)
        return self._known[key]

    def mean(
        self,
        score: str,
        *,
        methods: Iterable[str],
        networks: str,
        machine_types: Mapping[str, Iterable[str]],
    ) -> np.ndarray:
        """Average over the corpora of each machine type, then over machine types and methods.

        Args:
            score: its name.
            methods: averaged over.
            networks: how many.
            machine_types: averaged over, with the corpora of each.
        """
        of_types = [
            np.mean([self.of(corpus, method, networks, score) for corpus in corpora], axis=0)
            for method in methods
            for corpora in machine_types.values()
        ]
        return np.asarray(np.mean(of_types, axis=0))


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the value of the clips themselves, and the interval of the resampled ones."""
    return float(values[0]), *percentile_interval(values[1:], CONFIDENCE)
