"""Scores in standard deviations of normal clips, so that scores of different units compare."""

from __future__ import annotations

import numpy as np


def centre_and_spread(scores: np.ndarray, machine_ids: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of the scores of left-out normal clips.

    Args:
        scores: of each clip, by a score that was fitted without it.
        machine_ids: of each clip. The only clip of a machine ID does not count, if there are
            others: left out, it would be compared with clips of other machine IDs alone.

    Returns:
        The mean, and the standard deviation: 1 where scores do not differ, since they say nothing
        of their scale.
    """
    usual = scores[_with_others(machine_ids)]
    spread = float(usual.std(ddof=1)) if len(usual) > 1 else 0.0
    return float(usual.mean()), spread if spread > 0 else 1.0


def _with_others(machine_ids: np.ndarray) -> np.ndarray:
    names, counts = np.unique(machine_ids.astype(str), return_counts=True)
    usual = np.isin(machine_ids.astype(str), names[counts > 1])
    return usual if usual.any() else np.ones(len(machine_ids), dtype=bool)
