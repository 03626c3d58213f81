"""All thresholds, normal-only and oracle, and what each does on the labelled test clips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.strategies import STRATEGIES
from anomalous_sound.evaluation.metrics import classification, labelled_test_clips, why_no_roc
from anomalous_sound.evaluation.oracle import ORACLE_STRATEGIES, oracle_thresholds
from anomalous_sound.vocabulary import Label

NORMAL_ONLY, ORACLE = "normal-only", "oracle"
THRESHOLD_COLUMNS = [
    "strategy",
    "kind",
    "promised_fpr",
    "threshold",
    "fpr",
    "tpr",
    "precision_normal",
    "recall_normal",
    "f1_normal",
    "precision_anomalous",
    "recall_anomalous",
    "f1_anomalous",
    "note",
]


def threshold_table(
    clip_scores: pd.DataFrame, calibration: CalibrationScores, settings: ThresholdSettings
) -> pd.DataFrame:
    """Put all thresholds, and what each does on the test clips, in one table.

    Args:
        clip_scores: ``split, label, score``, one row per clip.
        calibration: scores of held-out normal clips.
        settings: of the thresholds.

    Returns:
        One row per strategy, THRESHOLD_COLUMNS; NaN where something cannot be computed, and
        ``note`` says why.
    """
    is_anomalous, scores = labelled_test_clips(clip_scores)
    no_roc = why_no_roc(is_anomalous)
    rows: list[dict[str, Any]] = []
    for strategy in STRATEGIES.values():
        threshold = strategy.threshold(calibration.values(), settings)
        rows.append(
            {
                "strategy": strategy.name,
                "kind": NORMAL_ONLY,
                "promised_fpr": strategy.rate(settings) if strategy.promises else np.nan,
                "threshold": threshold.value,
                "note": (no_roc or "") if threshold.given else threshold.note,
            }
        )
    oracle = (
        dict.fromkeys(ORACLE_STRATEGIES, np.nan)
        if no_roc
        else oracle_thresholds(is_anomalous, scores, tpr=settings.tpr)
    )
    for name, value in oracle.items():
        rows.append({"strategy": name, "kind": ORACLE, "threshold": value, "note": no_roc or ""})
    for row in rows:
        if len(scores) and not np.isnan(row["threshold"]):
            row |= classification(is_anomalous, scores >= row["threshold"])
    return pd.DataFrame(rows, columns=THRESHOLD_COLUMNS)


def classification_report(thresholds: pd.DataFrame, clip_scores: pd.DataFrame) -> pd.DataFrame:
    """Lay the table of thresholds out as a classification report.

    Returns:
        ``strategy, kind, class, precision, recall, f1, support``: two rows per strategy.
    """
    is_anomalous, _ = labelled_test_clips(clip_scores)
    support = {Label.NORMAL: int((~is_anomalous).sum()), Label.ANOMALOUS: int(is_anomalous.sum())}
    rows = [
        {
            "strategy": row["strategy"],
            "kind": row["kind"],
            "class": label,
            "precision": row[f"precision_{label}"],
            "recall": row[f"recall_{label}"],
            "f1": row[f"f1_{label}"],
            "support": support[label],
        }
        for row in thresholds.to_dict("records")
        for label in (Label.NORMAL, Label.ANOMALOUS)
    ]
    return pd.DataFrame(rows)
