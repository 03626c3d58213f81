"""Thresholds from normal clips alone, and oracle ones that read test labels.

A clip is decided anomalous if its score is at or above the threshold. Pure numpy, pandas and
scikit-learn.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve

from anomalous_sound.audio.layout import ANOMALOUS, NORMAL, VALIDATION
from anomalous_sound.errors import InputError
from anomalous_sound.metrics import classification, labelled_test_clips, why_no_roc

NORMAL_ONLY, ORACLE = "normal-only", "oracle"

NORMAL_ONLY_STRATEGIES = (
    "validation_mean",
    "validation_mean_plus_variance",
    "validation_mean_plus_k_std",
    "validation_percentile",
)
ORACLE_STRATEGIES = ("oracle_nearest_corner", "oracle_given_tpr")

_RATES = (
    "fpr",
    "tpr",
    "precision_normal",
    "recall_normal",
    "f1_normal",
    "precision_anomalous",
    "recall_anomalous",
    "f1_anomalous",
)
THRESHOLD_COLUMNS = ["strategy", "kind", "threshold", *_RATES, "note"]


def normal_only_thresholds(
    validation_scores: np.ndarray, *, k: float, percentile: float
) -> dict[str, float]:
    """Compute the thresholds that need no anomalous clip and no test label.

    ``validation_mean_plus_variance`` is literal: a variance added to a mean has another unit and
    is next to nothing; it is the report's, and stands here under its own name.

    Args:
        validation_scores: scores of the held-out normal clips.
        k: standard deviations above the mean.
        percentile: 0 to 100.

    Returns:
        The threshold of each of NORMAL_ONLY_STRATEGIES; NaN for those that need a spread, if there
        is only one validation clip. Variance and standard deviation are the sample's (n - 1).
    """
    mean = float(np.mean(validation_scores))
    std = float(np.std(validation_scores, ddof=1)) if len(validation_scores) > 1 else np.nan
    return {
        "validation_mean": mean,
        "validation_mean_plus_variance": mean + std**2,
        "validation_mean_plus_k_std": mean + k * std,
        "validation_percentile": float(np.percentile(validation_scores, percentile)),
    }


def oracle_thresholds(
    is_anomalous: np.ndarray, scores: np.ndarray, *, tpr: float
) -> dict[str, float]:
    """Read thresholds off the test ROC: they have seen the labels that they are judged by.

    ``oracle_nearest_corner``: the ROC point nearest to (FPR 0, TPR 1). ``oracle_given_tpr``: the
    highest threshold, so the lowest FPR, that reaches the asked TPR.

    Args:
        is_anomalous: labels of the test clips; both classes must be there.
        scores: their anomaly scores.
        tpr: the asked true-positive rate, above 0 and at most 1.

    Returns:
        The threshold of each of ORACLE_STRATEGIES.
    """
    fprs, tprs, thresholds = roc_curve(is_anomalous, scores, drop_intermediate=False)
    distance = np.hypot(fprs, 1 - tprs)
    reached = np.flatnonzero(tprs >= tpr - 1e-12)
    return {
        # the first point of a ROC is "no clip at all", at an infinite threshold; skip it
        "oracle_nearest_corner": float(thresholds[1:][np.argmin(distance[1:])]),
        "oracle_given_tpr": float(thresholds[reached[0]]),
    }


def threshold_table(
    clip_scores: pd.DataFrame, *, k: float, percentile: float, tpr: float
) -> pd.DataFrame:
    """Put all thresholds, and what each does on the test clips, in one table.

    Args:
        clip_scores: ``split, label, score`` a clip.
        k: see :func:`normal_only_thresholds`.
        percentile: see :func:`normal_only_thresholds`.
        tpr: see :func:`oracle_thresholds`.

    Returns:
        One row a strategy, THRESHOLD_COLUMNS; NaN where something cannot be computed, and ``note``
        says why.
    """
    validation = clip_scores[clip_scores.split == VALIDATION].score.to_numpy()
    is_anomalous, scores = labelled_test_clips(clip_scores)
    no_roc = why_no_roc(is_anomalous)
    normal_only = normal_only_thresholds(validation, k=k, percentile=percentile)
    oracle = (
        dict.fromkeys(ORACLE_STRATEGIES, np.nan)
        if no_roc
        else oracle_thresholds(is_anomalous, scores, tpr=tpr)
    )
    rows = []
    for strategy, threshold in (normal_only | oracle).items():
        kind = NORMAL_ONLY if strategy in normal_only else ORACLE
        row = {"strategy": strategy, "kind": kind, "threshold": threshold, "note": no_roc or ""}
        if kind == NORMAL_ONLY and np.isnan(threshold):
            row["note"] = "a spread needs two validation clips or more"
        elif len(scores) and not np.isnan(threshold):
            row |= classification(is_anomalous, scores >= threshold)
        rows.append(row)
    return pd.DataFrame(rows, columns=THRESHOLD_COLUMNS)


def decide(clip_scores: pd.DataFrame, thresholds: pd.DataFrame, deployed: str) -> pd.DataFrame:
    """Decide every clip by the deployed threshold.

    Returns:
        ``clip_id, score, threshold, decision`` (``normal`` or ``anomalous``).

    Raises:
        InputError: the deployed threshold could not be computed.
    """
    threshold = deployed_threshold(thresholds, deployed)
    return clip_scores[["clip_id", "score"]].assign(
        threshold=threshold,
        decision=np.where(clip_scores.score >= threshold, ANOMALOUS, NORMAL),
    )


def deployed_threshold(thresholds: pd.DataFrame, deployed: str) -> float:
    """Return the threshold of the deployed strategy.

    Raises:
        InputError: it could not be computed.
    """
    row = thresholds[thresholds.strategy == deployed].iloc[0]
    if not np.isfinite(row.threshold):
        raise InputError(
            f"the deployed threshold '{deployed}' cannot be computed: {row.note}; give more normal "
            "clips or deploy another (parameter thresholds.deployed)."
        )
    return float(row.threshold)


def classification_report(thresholds: pd.DataFrame, clip_scores: pd.DataFrame) -> pd.DataFrame:
    """Lay the table of thresholds out as a classification report.

    Returns:
        ``strategy, kind, class, precision, recall, f1, support``: two rows a strategy.
    """
    is_anomalous, _ = labelled_test_clips(clip_scores)
    support = {NORMAL: int((~is_anomalous).sum()), ANOMALOUS: int(is_anomalous.sum())}
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
        for label in (NORMAL, ANOMALOUS)
    ]
    return pd.DataFrame(rows)
