"""How well scores tell anomalous from normal clips: AUC, pAUC, intervals, classification reports.

Scores are higher for more anomalous clips; the positive class is anomalous.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.corpus.split import calibration_clips
from anomalous_sound.vocabulary import Decision, Label, Split


def labelled_test(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the test clips with a known label."""
    known = table.label.isin([Label.NORMAL, Label.ANOMALOUS])
    return table[(table.split == Split.TEST) & known]


def labelled_test_clips(clip_scores: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return (is_anomalous, score) of the test clips with a known label."""
    test = labelled_test(clip_scores)
    return (test.label == Label.ANOMALOUS).to_numpy(), test.score.to_numpy()


def why_no_roc(is_anomalous: np.ndarray) -> str | None:
    """Return why a ROC cannot be computed from these labels, or None if it can."""
    if len(is_anomalous) == 0:
        return "no test clip has a label"
    if is_anomalous.all():
        return "no test clip is labelled normal"
    if not is_anomalous.any():
        return "no test clip is labelled anomalous"
    return None


def auc(is_anomalous: np.ndarray, scores: np.ndarray) -> float:
    """Return the area under the ROC curve.

    It is the fraction of pairs of an anomalous and a normal clip in which the anomalous one scores
    higher, ties counting half (Hanley & McNeil, 1982). Ranks give it much faster than the curve.
    """
    from scipy.stats import rankdata

    ranks = rankdata(scores)[is_anomalous]
    positives, negatives = len(ranks), len(scores) - len(ranks)
    return float((ranks.sum() - positives * (positives + 1) / 2) / (positives * negatives))


def pauc(is_anomalous: np.ndarray, scores: np.ndarray, max_fpr: float) -> float:
    """Return the partial AUC up to ``max_fpr``, standardised to [0.5, 1] for a fair detector.

    McClish (1989), as scikit-learn and the DCASE challenges compute it.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(is_anomalous, scores, max_fpr=max_fpr))


def bootstrap_interval(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    is_anomalous: np.ndarray,
    scores: np.ndarray,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a statistic over clips.

    Normal and anomalous clips are drawn separately, so that every resample holds as many of each
    (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).
    """
    draws = draw_resamples(is_anomalous, resamples, seed)
    return percentile_interval(resampled(statistic, is_anomalous, scores, draws), confidence)


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """Return the central interval that holds the fraction ``confidence`` of the values."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def resampled(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    is_anomalous: np.ndarray,
    scores: np.ndarray,
    draws: np.ndarray,
) -> np.ndarray:
    """Compute a statistic of each resample; ``draws`` as :func:`draw_resamples` returns them."""
    return np.array([statistic(is_anomalous[drawn], scores[drawn]) for drawn in draws])


# not scipy.stats.bootstrap: it refuses a class of a single clip, and it keeps its resamples to
# itself, where a paired comparison of methods needs the same ones for all
def draw_resamples(is_anomalous: np.ndarray, resamples: int, seed: int | list[int]) -> np.ndarray:
    """Draw the clips of each bootstrap resample: resamples × clips, with replacement by class."""
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(is_anomalous), np.flatnonzero(~is_anomalous)]
    return np.concatenate(
        [rng.choice(group, (resamples, len(group))) for group in groups if len(group)], axis=1
    )


def resample_counts(strata: np.ndarray, resamples: int, seed: int | list[int]) -> np.ndarray:
    """Draw how often each clip is in each resample, as often as there are clips of its stratum.

    Args:
        strata: one per clip: clips of one value are drawn from each other.
        resamples: number of them.
        seed: of the draws.

    Returns:
        float64, resamples × clips.
    """
    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, len(strata)))
    for stratum in np.unique(strata):
        places = np.flatnonzero(strata == stratum)
        counts[:, places] = rng.multinomial(
            len(places), np.full(len(places), 1 / len(places)), resamples
        )
    return counts


def weighted_areas(
    is_anomalous: np.ndarray, scores: np.ndarray, counts: np.ndarray, max_fpr: float = 1.0
) -> np.ndarray:
    """Return the AUC, or the standardised pAUC, of many resamples at once.

    The same as :func:`auc` and :func:`pauc` of clips repeated as often as they are counted.

    Args:
        is_anomalous: boolean, one per clip; both classes are there.
        scores: one per clip.
        counts: resamples × clips.
        max_fpr: false-positive rate up to which the area reaches; 1: all of it.

    Returns:
        One area per resample.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))  # ties are one step

    def rate(of_class: np.ndarray) -> np.ndarray:
        reached = np.cumsum(counts[:, order] * of_class[order], axis=1)[:, ends]
        return np.pad(reached / reached[:, -1:], ((0, 0), (1, 0)))

    tpr, fpr = rate(is_anomalous), rate(~is_anomalous)
    steps = np.diff(fpr, axis=1)
    inside = np.diff(np.minimum(fpr, max_fpr), axis=1)
    rise = np.diff(tpr, axis=1) * np.divide(
        inside, steps, out=np.zeros_like(steps), where=steps > 0
    )
    areas: np.ndarray = (inside * (tpr[:, :-1] + rise / 2)).sum(axis=1)
    if max_fpr == 1:
        return areas
    by_chance = max_fpr**2 / 2
    return 0.5 * (1 + (areas - by_chance) / (max_fpr - by_chance))


def classification(is_anomalous: np.ndarray, decided: np.ndarray) -> dict[str, float]:
    """Return rates, precision, recall and F1 per class of a decision.

    A value that its class cannot give (no clip of the class, none decided so) is NaN, not 0.
    """
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        is_anomalous, decided, labels=[False, True], zero_division=np.nan
    )
    report = {"fpr": 1 - recall[0], "tpr": recall[1]}
    for position, label in enumerate((Label.NORMAL, Label.ANOMALOUS)):
        report |= {
            f"precision_{label}": precision[position],
            f"recall_{label}": recall[position],
            f"f1_{label}": f1[position],
        }
    return {name: float(value) for name, value in report.items()}


def rates_of(clip_scores: pd.DataFrame, decisions: pd.DataFrame) -> dict[str, float]:
    """Return what decisions do on the labelled test clips, as :func:`classification` does.

    Args:
        clip_scores: ``clip_id, split, label``, one row per clip.
        decisions: ``clip_id, decision``, one row per clip.

    Returns:
        Without the values that are NaN; empty if no test clip has a label and is decided.
    """
    test = labelled_test(clip_scores).merge(decisions[["clip_id", "decision"]], on="clip_id")
    test = test[test.decision != Decision.UNDECIDED]
    if test.empty:
        return {}
    rates = classification(
        (test.label == Label.ANOMALOUS).to_numpy(), (test.decision == Decision.ANOMALOUS).to_numpy()
    )
    return {name: value for name, value in rates.items() if np.isfinite(value)}


def evaluate(
    clip_scores: pd.DataFrame, settings: EvaluationSettings, *, seed: int
) -> dict[str, Any]:
    """Compute the metrics of one method on one corpus.

    Args:
        clip_scores: ``machine_id, split, label, score``, one row per clip.
        settings: of the metrics.
        seed: of the bootstrap resamples that give ``auc_pooled`` an interval.

    Returns:
        ``auc_pooled``, its ``auc_pooled_interval``, ``average_precision``; ``auc_mean``,
        ``auc_hmean``, ``auc_min`` and ``pauc_mean`` over the machine IDs; ``per_machine_id``. What
        cannot be computed is None, and ``not_computed`` says why.
    """
    from sklearn.metrics import average_precision_score

    is_anomalous, scores = labelled_test_clips(clip_scores)
    metrics: dict[str, Any] = {}
    not_computed: dict[str, str] = {}
    reason = why_no_roc(is_anomalous)
    if reason is None:
        interval = bootstrap_interval(
            auc,
            is_anomalous,
            scores,
            resamples=settings.bootstrap_resamples,
            confidence=settings.confidence,
            seed=seed,
        )
        metrics["auc_pooled"] = auc(is_anomalous, scores)
        metrics["auc_pooled_interval"] = list(interval)
        metrics["average_precision"] = float(average_precision_score(is_anomalous, scores))
    else:
        for name in ("auc_pooled", "auc_pooled_interval", "average_precision"):
            metrics[name], not_computed[name] = None, reason
    metrics["confidence"] = settings.confidence
    metrics["max_fpr"] = settings.max_fpr
    per_machine_id = {
        str(machine_id): _evaluate_machine_id(group, settings.max_fpr)
        for machine_id, group in clip_scores.groupby("machine_id")
    }
    metrics |= _over_machine_ids(per_machine_id, not_computed)
    metrics["per_machine_id"] = per_machine_id
    metrics["not_computed"] = not_computed
    return metrics


def validation_errors(clips: pd.DataFrame, window_errors: pd.DataFrame) -> dict[str, float | None]:
    """Compute how large the errors of normal clips are that their network has not heard.

    Args:
        clips: ``clip_id, split``, one row per clip.
        window_errors: ``clip_id, error``, one row per window.

    Returns:
        ``validation_error_mean`` and ``validation_error_std`` (sample standard deviation) of the
        mean errors of the validation clips or, with folds, of all normal training clips. The
        spread of one clip is None.
    """
    held_out = clips.clip_id[calibration_clips(clips)]
    chosen = window_errors[window_errors.clip_id.isin(held_out)]
    # float64: a mean of many float32 errors
    of_clips = chosen.error.astype(float).groupby(chosen.clip_id.astype(str)).mean()
    return {
        "validation_error_mean": float(of_clips.mean()),
        "validation_error_std": float(of_clips.std()) if len(of_clips) > 1 else None,
    }


def _evaluate_machine_id(clip_scores: pd.DataFrame, max_fpr: float) -> dict[str, Any]:
    is_anomalous, scores = labelled_test_clips(clip_scores)
    can_be_computed = why_no_roc(is_anomalous) is None
    return {
        "auc": auc(is_anomalous, scores) if can_be_computed else None,
        "pauc": pauc(is_anomalous, scores, max_fpr) if can_be_computed else None,
        "n_normal": int((~is_anomalous).sum()),
        "n_anomalous": int(is_anomalous.sum()),
    }


def _over_machine_ids(
    per_machine_id: dict[str, dict[str, Any]], not_computed: dict[str, str]
) -> dict[str, float | None]:
    missing = sorted(name for name, values in per_machine_id.items() if values["auc"] is None)
    if missing:
        names = ("auc_mean", "auc_hmean", "auc_min", "pauc_mean")
        reason = "without normal and anomalous test clips: machine ID " + ", ".join(
            name or "(none given)" for name in missing
        )
        not_computed.update(dict.fromkeys(names, reason))
        return dict.fromkeys(names, None)
    aucs = np.array([values["auc"] for values in per_machine_id.values()])
    paucs = np.array([values["pauc"] for values in per_machine_id.values()])
    # a harmonic mean with a zero in it is zero
    hmean = len(aucs) / np.sum(1 / aucs) if aucs.all() else 0.0
    return {
        "auc_mean": float(aucs.mean()),
        "auc_hmean": float(hmean),
        "auc_min": float(aucs.min()),
        "pauc_mean": float(paucs.mean()),
    }
