"""Scores of normal clips by a score that was fitted without them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anomalous_sound.scoring.score import Score


def score_left_out(
    fit: Callable[[np.ndarray, np.ndarray], Score],
    pooled: np.ndarray,
    machine_ids: np.ndarray,
    parts: np.ndarray,
) -> np.ndarray:
    """Score each normal clip by a score fitted on the clips of all other parts.

    Args:
        fit: fits a score on some clips and their machine IDs.
        pooled: normal clips × columns.
        machine_ids: of each clip.
        parts: the part of each clip.

    Returns:
        One score for each clip.
    """
    scores = np.empty(len(pooled))
    for part in np.unique(parts):
        out = parts == part
        fitted = fit(pooled[~out], machine_ids[~out])
        scores[out] = fitted.score(pooled[out], machine_ids[out])
    return scores
