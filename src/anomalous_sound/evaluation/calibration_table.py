"""The false-alarm rate that a threshold promises or implies, and the one it delivers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are used

from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.strategies import STRATEGIES
from anomalous_sound.vocabulary import Label, Split

CALIBRATION_COLUMNS = [
    "strategy",
    "rate",
    "holds",
    "threshold",
    "calibration_clips",
    "clips_needed",
    "test_clips",
    "alarms",
    "delivered",
    "delivered_low",
    "delivered_high",
    "note",
]


def calibration_table(
    clip_scores: pd.DataFrame,
    calibration: CalibrationScores,
    settings: ThresholdSettings,
    *,
    confidence: float,
) -> pd.DataFrame:
    """Compare promise and delivery, for all clips and for each machine ID with its own threshold.

    An alarm is a clip that is called anomalous: by its score, or because it is foreign (see
    :mod:`anomalous_sound.decision.evidence`).

    Args:
        clip_scores: ``machine_id, split, label, score, foreign``, one row per clip.
        calibration: scores of held-out normal clips.
        settings: of the thresholds.
        confidence: of the exact binomial interval of the delivered rate.

    Returns:
        ``per`` (``machine_type``: the clips of all machine IDs that calibrate; ``machine_id``:
        those of one), ``machine_id`` and CALIBRATION_COLUMNS, one row for each strategy that has a
        rate.
    """
    normal_test = clip_scores[
        (clip_scores.split == Split.TEST)
        & (clip_scores.label == Label.NORMAL)
        & clip_scores.machine_id.isin(calibration.machine_ids)
    ]
    rows: list[dict[str, Any]] = []
    for machine_id in (None, *sorted(set(clip_scores.machine_id))):
        test = (
            normal_test if machine_id is None else normal_test[normal_test.machine_id == machine_id]
        )
        for row in promised_and_delivered(
            calibration,
            test.score.mask(test.foreign.astype(bool), np.inf).to_numpy(),
            settings,
            confidence=confidence,
            machine_id=machine_id,
        ):
            # not by a name such as "all", which a machine ID may have
            per = "machine_type" if machine_id is None else "machine_id"
            rows.append({"per": per, "machine_id": machine_id or ""} | row)
    return pd.DataFrame(rows, columns=["per", "machine_id", *CALIBRATION_COLUMNS])


def promised_and_delivered(
    calibration: CalibrationScores,
    normal_test_scores: np.ndarray,
    settings: ThresholdSettings,
    *,
    confidence: float,
    machine_id: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Compare promise and delivery for one group of clips.

    Args:
        calibration: scores of held-out normal clips.
        normal_test_scores: scores of other clips known to be normal, to count alarms on; infinite
            where a clip is foreign.
        settings: of the thresholds.
        confidence: of the exact interval of the delivered rate.
        machine_id: whose calibration clips to take; None: all.

    Yields:
        CALIBRATION_COLUMNS of each strategy that has a rate. ``holds`` says when the rate is kept,
        ``delivered`` is the fraction of the test clips at or above the threshold. NaN where
        something cannot be computed, and ``note`` says why.
    """
    clips = len(normal_test_scores)
    mixed = machine_id is None and len(set(calibration.machine_ids)) > 1
    for strategy in STRATEGIES.values():
        if (rate := strategy.rate(settings)) is None:
            continue
        threshold = strategy.of(calibration, settings, machine_id)
        counted = threshold.given and clips > 0
        alarms = int((normal_test_scores >= threshold.value).sum())
        low, high = binomial_interval(alarms, clips, confidence)
        yield {
            "strategy": strategy.name,
            "rate": rate,
            "holds": strategy.holds_when(in_folds=calibration.in_folds, mixed=mixed),
            "threshold": threshold.value,
            "calibration_clips": threshold.clips,
            "clips_needed": threshold.clips_needed,
            "test_clips": clips,
            "alarms": alarms if counted else np.nan,
            "delivered": alarms / clips if counted else np.nan,
            "delivered_low": low if counted else np.nan,
            "delivered_high": high if counted else np.nan,
            "note": threshold.note,
        }


def binomial_interval(alarms: int, clips: int, confidence: float) -> tuple[float, float]:
    """Return the exact interval of a rate of which ``alarms`` in ``clips`` were seen.

    Clopper & Pearson, Biometrika 26, 1934: covers the true rate with at least ``confidence`` if
    the clips are independent; NaN if there is no clip.
    """
    if clips == 0:
        return np.nan, np.nan
    interval = scipy.stats.binomtest(alarms, clips).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)
