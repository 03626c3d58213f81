"""What is promised of false alarms, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from anomalous_sound.decision.strategies import STRATEGIES
from anomalous_sound.reporting.facts import DeployedThresholds


def promise_in_words(
    thresholds: DeployedThresholds,
    calibration_scores: Sequence[float],
    calibration: pd.DataFrame | None,
) -> str:
    """Say what the deployed thresholds promise, and what was seen of it.

    Args:
        thresholds: those that decide.
        calibration_scores: of the held-out normal clips.
        calibration: promised and delivered rates by ``per``, ``machine_id`` and ``strategy``; None
            where nothing was measured.
    """
    if STRATEGIES[thresholds.strategy].promises:
        said = _promise(thresholds, calibration)
    else:
        said = "no false-alarm rate"
        if thresholds.note:
            said += f" ({thresholds.note})"
    if thresholds.shared is not None:
        reach_it = sum(score >= thresholds.shared for score in calibration_scores)
        said += (
            f"; of the {len(calibration_scores)} normal clips held out in training, {reach_it} "
            f"{'reaches' if reach_it == 1 else 'reach'} the threshold"
        )
    return said


def _promise(thresholds: DeployedThresholds, calibration: pd.DataFrame | None) -> str:
    if calibration is None:
        return f"the false-alarm rate that the detector was trained for ({thresholds.strategy})"
    deployed = calibration[
        (calibration.strategy == thresholds.strategy) & (calibration.per == thresholds.per)
    ]
    first = deployed.iloc[0]
    whose = " of each machine ID" if thresholds.per == "machine_id" else ""
    said = f"at most {first.rate:.1%} false alarms among normal clips{whose} ({first.holds})"
    if tested := int(deployed.test_clips.sum()):
        said += f"; delivered: {int(deployed.alarms.sum())} of {tested} normal test clips"
    return said
