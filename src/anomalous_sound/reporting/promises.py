"""What is promised of false alarms, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from anomalous_sound.decision.strategies import STRATEGIES, Strategy
from anomalous_sound.reporting.facts import DeployedThresholds


def promise_in_words(
    thresholds: DeployedThresholds,
    calibration_scores: Sequence[float],
    calibration: pd.DataFrame | None,
    *,
    in_folds: bool,
) -> str:
    """Say what the deployed thresholds promise, and what was seen of it.

    Args:
        thresholds: those that decide.
        calibration_scores: of the held-out normal clips.
        calibration: alarms and normal test clips by ``per``, ``machine_id`` and ``strategy``; None
            where nothing was measured.
        in_folds: whether each held-out clip was scored by another network and score.
    """
    strategy = STRATEGIES[thresholds.strategy]
    if strategy.promises:
        said = _promise(strategy, thresholds, calibration, in_folds=in_folds)
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


def _promise(
    strategy: Strategy,
    thresholds: DeployedThresholds,
    calibration: pd.DataFrame | None,
    *,
    in_folds: bool,
) -> str:
    of_each = thresholds.per == "machine_id"
    whose = " of each machine ID" if of_each else ""
    mixed = not of_each and len(thresholds.by_machine_id) > 1
    said = (
        f"at most {thresholds.false_alarm_rate:.1%} false alarms among normal clips{whose}"
        f"{', foreign sound included' if thresholds.with_foreign else ' by the score'} "
        f"({strategy.holds_when(in_folds=in_folds, mixed=mixed)})"
    )
    if not thresholds.with_foreign:
        said += "; foreign sound adds at most 2 in n + 1, with n normal clips of the machine ID"
    if thresholds.unseen_note:
        said += f"; {thresholds.unseen_note}"
    if calibration is None:
        return said
    deployed = calibration[
        (calibration.strategy == thresholds.strategy) & (calibration.per == thresholds.per)
    ]
    if tested := int(deployed.test_clips.sum()):
        said += f"; delivered: {int(deployed.alarms.sum())} of {tested} normal test clips"
    return said
