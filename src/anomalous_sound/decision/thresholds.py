"""Thresholds from normal clips alone, and oracle ones that read test labels.

A clip is decided anomalous if its score is at or above the threshold. Pure numpy, pandas and
scikit-learn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.decision import calibration
from anomalous_sound.errors import InputError
from anomalous_sound.evaluation.metrics import classification, labelled_test_clips, why_no_roc
from anomalous_sound.vocabulary import Label, Split

ALL = "all"
NORMAL_ONLY, ORACLE = "normal-only", "oracle"

NORMAL_ONLY_STRATEGIES = (
    "validation_mean",
    "validation_mean_plus_variance",
    "validation_mean_plus_k_std",
    "validation_percentile",
)
# those of anomalous_sound.decision.calibration that state a false-alarm rate
RATED_STRATEGIES = ("conformal", "student_t", "gamma")
DEPLOYABLE = (*RATED_STRATEGIES, *NORMAL_ONLY_STRATEGIES)
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
THRESHOLD_COLUMNS = ["strategy", "kind", "promised_fpr", "threshold", *_RATES, "note"]


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
    from sklearn.metrics import roc_curve

    fprs, tprs, thresholds = roc_curve(is_anomalous, scores, drop_intermediate=False)
    distance = np.hypot(fprs, 1 - tprs)
    reached = np.flatnonzero(tprs >= tpr - 1e-12)
    return {
        # the first point of a ROC is "no clip at all", at an infinite threshold; skip it
        "oracle_nearest_corner": float(thresholds[1:][np.argmin(distance[1:])]),
        "oracle_given_tpr": float(thresholds[reached[0]]),
    }


def threshold_table(
    clip_scores: pd.DataFrame,
    *,
    k: float,
    percentile: float,
    tpr: float,
    false_alarm_rate: float,
) -> pd.DataFrame:
    """Put all thresholds, and what each does on the test clips, in one table.

    Args:
        clip_scores: ``split, label, score`` a clip.
        k: see :func:`normal_only_thresholds`.
        percentile: see :func:`normal_only_thresholds`.
        tpr: see :func:`oracle_thresholds`.
        false_alarm_rate: what RATED_STRATEGIES promise.

    Returns:
        One row a strategy, THRESHOLD_COLUMNS; NaN where something cannot be computed, and ``note``
        says why.
    """
    validation = clip_scores[clip_scores.split == Split.VALIDATION].score.to_numpy()
    is_anomalous, scores = labelled_test_clips(clip_scores)
    no_roc = why_no_roc(is_anomalous)
    normal_only = normal_only_thresholds(validation, k=k, percentile=percentile)
    oracle = (
        dict.fromkeys(ORACLE_STRATEGIES, np.nan)
        if no_roc
        else oracle_thresholds(is_anomalous, scores, tpr=tpr)
    )
    rated = {
        name: calibration.CALIBRATE[name](validation, false_alarm_rate) for name in RATED_STRATEGIES
    }
    values = {name: threshold.value for name, threshold in rated.items()}
    rows = []
    for strategy, threshold in (values | normal_only | oracle).items():
        kind = ORACLE if strategy in oracle else NORMAL_ONLY
        row = {"strategy": strategy, "kind": kind, "threshold": threshold, "note": no_roc or ""}
        if strategy in rated:
            row["promised_fpr"] = false_alarm_rate
        if kind == NORMAL_ONLY and np.isnan(threshold):
            row["note"] = (
                rated[strategy].note
                if strategy in rated
                else "a spread needs two validation clips or more"
            )
        elif len(scores) and not np.isnan(threshold):
            row |= classification(is_anomalous, scores >= threshold)
        rows.append(row)
    return pd.DataFrame(rows, columns=THRESHOLD_COLUMNS)


@dataclass(frozen=True)
class Deployed:
    """The thresholds that decide.

    Attributes:
        strategy: the strategy that could be computed: the one asked for, or its fallback.
        by_machine_id: its threshold for each machine ID.
        note: why it is the fallback; empty if it is not.
    """

    strategy: str
    by_machine_id: Mapping[str, float]
    note: str = ""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Deployed:
        """Put together again what was written as JSON."""
        return cls(values["strategy"], values["by_machine_id"], values["note"])

    @property
    def shared(self) -> float | None:
        """The threshold, if it is the same for all machine IDs."""
        values = set(self.by_machine_id.values())
        return values.pop() if len(values) == 1 else None


def deploy(clip_scores: pd.DataFrame, settings: Mapping[str, Any]) -> Deployed:
    """Choose the thresholds that decide, from held-out normal clips alone.

    Args:
        clip_scores: ``machine_id, split, score`` a clip.
        settings: ``deployed, fallback, per, false_alarm_rate, k, percentile``.

    Returns:
        The strategy asked for where it can be computed for every machine ID, else the fallback.

    Raises:
        InputError: the fallback cannot be computed either.
    """
    machine_ids = sorted(set(clip_scores.machine_id))
    validation = clip_scores[clip_scores.split == Split.VALIDATION]
    notes = []
    for strategy in (settings["deployed"], settings["fallback"]):
        values, problems = {}, []
        for machine_id in machine_ids:
            alone = settings["per"] == "machine_id"
            used = validation[validation.machine_id == machine_id] if alone else validation
            values[machine_id], problem = _one(strategy, used.score.to_numpy(), settings)
            if problem:
                problems.append(f"machine ID {machine_id}: {problem}" if alone else problem)
        if not problems:
            return Deployed(strategy, values, notes[0] if notes else "")
        notes.append(f"{strategy} cannot be given: {problems[0]}")
    raise InputError(
        f"no threshold can be deployed: {'; '.join(notes)}; give more normal clips or deploy "
        "another one (parameters thresholds.deployed and thresholds.fallback)."
    )


def _one(
    strategy: str, validation_scores: np.ndarray, settings: Mapping[str, Any]
) -> tuple[float, str]:
    """Return one threshold and, if it cannot be given, why."""
    if strategy in RATED_STRATEGIES:
        threshold = calibration.CALIBRATE[strategy](validation_scores, settings["false_alarm_rate"])
        return threshold.value, threshold.note
    if not len(validation_scores):
        return np.nan, "it has no validation clips"
    values = normal_only_thresholds(
        validation_scores, k=settings["k"], percentile=settings["percentile"]
    )
    value = values[strategy]
    return value, "" if np.isfinite(value) else "a spread needs two validation clips or more"


def decide(clip_scores: pd.DataFrame, deployed: Deployed, *, per: str) -> pd.DataFrame:
    """Decide every clip by the deployed thresholds.

    Args:
        clip_scores: ``clip_id, machine_id, split, score`` a clip.
        deployed: the thresholds.
        per: ``machine_id``, or ``machine_type``: which validation clips the p-value counts.

    Returns:
        ``clip_id, score, threshold, decision`` (``normal`` or ``anomalous``) and ``p_value``: how
        often a normal clip would score so high (conformal: the part of the held-out normal clips
        and of the clip itself that do). Of a validation clip, which is one of them, it is NaN.
    """
    thresholds = clip_scores.machine_id.map(dict(deployed.by_machine_id)).to_numpy(dtype=float)
    p_values = np.full(len(clip_scores), np.nan)
    held_out = (clip_scores.split == Split.VALIDATION).to_numpy()
    groups = clip_scores.machine_id if per == "machine_id" else clip_scores.machine_type
    scores = clip_scores.score.to_numpy()
    for group in set(groups):
        of_group = (groups == group).to_numpy()
        p_values[of_group & ~held_out] = calibration.conformal_p_value(
            scores[of_group & held_out], scores[of_group & ~held_out]
        )
    return clip_scores[["clip_id", "score"]].assign(
        threshold=thresholds,
        decision=np.where(scores >= thresholds, Label.ANOMALOUS, Label.NORMAL),
        p_value=p_values,
    )


def rates_of(clip_scores: pd.DataFrame, decisions: pd.DataFrame) -> dict[str, float]:
    """Return what decisions do on the labelled test clips; without the values that are NaN.

    Args:
        clip_scores: ``clip_id, split, label`` a clip.
        decisions: ``clip_id, decision`` a clip.
    """
    decided = clip_scores.merge(decisions[["clip_id", "decision"]], on="clip_id")
    decided["score"] = decided.decision == Label.ANOMALOUS
    is_anomalous, called = labelled_test_clips(decided)
    if not len(called):
        return {}
    rates = classification(is_anomalous, called.astype(bool))
    return {name: value for name, value in rates.items() if np.isfinite(value)}


def calibration_tables(
    clip_scores: pd.DataFrame, *, false_alarm_rate: float, confidence: float
) -> pd.DataFrame:
    """Put what each calibrated threshold promises and delivers beside each other.

    Args:
        clip_scores: ``machine_id, split, label, score`` a clip.
        false_alarm_rate: the rate asked for.
        confidence: of the exact binomial interval of the delivered rate.

    Returns:
        ``machine_id`` (ALL for the clips of all machine IDs) and
        :data:`anomalous_sound.decision.calibration.CALIBRATION_COLUMNS`.
    """
    groups = {ALL: clip_scores, **dict(list(clip_scores.groupby("machine_id")))}
    tables = []
    for machine_id, group in groups.items():
        normal_test = group[(group.split == Split.TEST) & (group.label == Label.NORMAL)].score
        table = calibration.calibration_table(
            group[group.split == Split.VALIDATION].score.to_numpy(),
            false_alarm_rate,
            normal_test_scores=normal_test.to_numpy(),
            confidence=confidence,
        )
        tables.append(table.assign(machine_id=machine_id))
    return pd.concat(tables)[["machine_id", *calibration.CALIBRATION_COLUMNS]]


def classification_report(thresholds: pd.DataFrame, clip_scores: pd.DataFrame) -> pd.DataFrame:
    """Lay the table of thresholds out as a classification report.

    Returns:
        ``strategy, kind, class, precision, recall, f1, support``: two rows a strategy.
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
