"""Methods side by side on the same clips, with intervals that tell differences from noise.

Every interval comes from the same resamples of the test clips for all methods, so the difference of
two methods is a paired one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.corpus.split import calibration_clips
from anomalous_sound.decision.strategies import validation_mean_plus_k_std
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.evaluation.metrics import (
    auc,
    classification,
    draw_resamples,
    evaluate,
    labelled_test,
    labelled_test_clips,
    pauc,
    percentile_interval,
    resampled,
    why_no_roc,
)
from anomalous_sound.vocabulary import Decision, Label, Split

IDENTITY = ["clip_id", "machine_type", "machine_id", "split", "label"]


def ensemble_scores(scores: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Average the scores of several methods, each standardised on the normal clips that calibrate.

    Args:
        scores: for each method, a table with IDENTITY and ``score``, of the same clips.

    Returns:
        A table of the same form; a score counts standard deviations of normal clips.
    """
    first = next(iter(scores.values()))
    standardised = []
    for table in scores.values():
        aligned = first[["clip_id"]].merge(table, on="clip_id", validate="one_to_one")
        validation = aligned.score[calibration_clips(aligned)]
        standardised.append((aligned.score - validation.mean()) / validation.std())
    return first[IDENTITY].assign(score=np.mean(standardised, axis=0))


def compare_methods(
    scores: Mapping[str, pd.DataFrame],
    thresholds: Mapping[str, Mapping[str, float]],
    settings: EvaluationSettings,
    *,
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare methods on the labelled test clips.

    Clips are called anomalous by the score alone: foreign sound, which is anomalous whatever its
    score (see :mod:`anomalous_sound.decision.evidence`), is so for every method.

    Args:
        scores: for each method, a table with IDENTITY and ``score``, of the same clips.
        thresholds: the deployed, normal-only threshold of each method and machine ID.
        settings: of the metrics and their intervals.
        seed: of the resamples.

    Returns:
        One row per method with metrics and intervals (``…_low``, ``…_high``), and one row per pair
        of methods with the difference of their pooled AUC and its interval. A ROC needs normal and
        anomalous test clips: without both, the first table only lists the methods, and the second
        is empty.
    """
    resamples, confidence = settings.bootstrap_resamples, settings.confidence
    by_method = {name: table.sort_values("clip_id") for name, table in scores.items()}
    reference = next(iter(by_method.values()))
    is_anomalous, _ = labelled_test_clips(reference)
    if why_no_roc(is_anomalous):
        return pd.DataFrame({"method": list(scores)}), _differences({}, {}, confidence)
    draws = draw_resamples(is_anomalous, resamples, seed)
    by_id_draws = _draws_by_machine_id(reference, resamples, seed)
    partial_auc = partial(pauc, max_fpr=settings.max_fpr)
    points_only = settings.model_copy(update={"bootstrap_resamples": 1})
    points: dict[str, float] = {}
    samples: dict[str, np.ndarray] = {}
    rows = []
    for name, table in by_method.items():
        metrics = evaluate(table, points_only, seed=seed)
        _, values = labelled_test_clips(table)
        points[name] = metrics["auc_pooled"]
        samples[name] = resampled(auc, is_anomalous, values, draws)
        paucs = resampled(partial_auc, is_anomalous, values, draws)
        row: dict[str, Any] = {
            "method": name,
            "auc_pooled": points[name],
            **_interval("auc_pooled", samples[name], confidence),
            "pauc_pooled": partial_auc(is_anomalous, values),
            **_interval("pauc_pooled", paucs, confidence),
            "average_precision": metrics["average_precision"],
        }
        row |= {key: metrics[key] for key in ("auc_mean", "auc_hmean", "auc_min", "pauc_mean")}
        if metrics["auc_mean"] is not None:
            means = np.mean(
                [resampled(auc, is_anomalous, values, drawn) for drawn in by_id_draws], axis=0
            )
            row |= _interval("auc_mean", means, confidence)
        row |= _decided(table, thresholds[name])
        for machine_id, of_id in metrics["per_machine_id"].items():
            row |= {f"auc_id_{machine_id}": of_id["auc"], f"pauc_id_{machine_id}": of_id["pauc"]}
        rows.append(row)
    return pd.DataFrame(rows), _differences(points, samples, confidence)


def _decided(table: pd.DataFrame, thresholds: Mapping[str, float]) -> dict[str, float]:
    """What thresholds do; precision, recall and F1 are of the anomalous class."""
    from sklearn.metrics import balanced_accuracy_score

    judged = table[table.machine_id.isin(list(thresholds))]
    is_anomalous, decided = labelled_test_clips(judged.assign(score=_called(judged, thresholds)))
    rates = classification(is_anomalous, decided)
    values = set(thresholds.values())
    row = {"threshold": values.pop() if len(values) == 1 else np.nan, "fpr": rates["fpr"]}
    row |= {name: rates[f"{name}_anomalous"] for name in ("precision", "recall", "f1")}
    return row | {"balanced_accuracy": balanced_accuracy_score(is_anomalous, decided)}


def _decisions(table: pd.DataFrame, thresholds: Mapping[str, float]) -> np.ndarray:
    called = np.where(_called(table, thresholds), Decision.ANOMALOUS, Decision.NORMAL)
    return np.where(table.machine_id.isin(list(thresholds)), called, Decision.UNDECIDED)


def _called(table: pd.DataFrame, thresholds: Mapping[str, float]) -> np.ndarray:
    """Whether each clip is called anomalous; not, if its machine ID has no threshold."""
    return (table.score >= table.machine_id.map(dict(thresholds)).astype(float)).to_numpy()


def baseline_thresholds(scores: pd.DataFrame, *, k: float) -> Thresholds:
    """Return the threshold of a row without training: mean + k standard deviations of normal clips.

    Args:
        scores: ``machine_id, split, score``, one row per clip.
        k: standard deviations above the mean.

    Returns:
        One for all machine IDs that calibrate; NaN if there are fewer than two scores.
    """
    calibrating = scores[calibration_clips(scores)]
    # an ensemble has no scores where a method's scores have no spread
    found = validation_mean_plus_k_std(calibrating.score.dropna().to_numpy(), k)
    by_machine_id = dict.fromkeys(sorted(set(calibrating.machine_id)), found.value)
    return Thresholds(found.strategy, by_machine_id, "machine_type", found.note)


def disagreements(
    scores: Mapping[str, pd.DataFrame], thresholds: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    """List the test clips on which the methods do not all decide alike.

    Returns:
        ``clip_id, machine_id, label``, the decision of each method, and ``spread``: the widest
        difference between two methods in the clip's rank among the test clips (0 to 1); widest
        first.
    """
    tables = {
        name: table[table.split == Split.TEST].sort_values("clip_id")
        for name, table in scores.items()
    }
    result = next(iter(tables.values()))[["clip_id", "machine_id", "label"]].reset_index(drop=True)
    ranks = {}
    for name, table in tables.items():
        result[name] = _decisions(table, thresholds[name])
        ranks[name] = table.score.reset_index(drop=True).rank(pct=True)
    ranked = pd.DataFrame(ranks)
    result["spread"] = ranked.max(axis=1) - ranked.min(axis=1)
    decisions = result[list(tables)]
    differ = decisions.ne(decisions.iloc[:, 0], axis=0).any(axis=1)
    return result[differ].sort_values(["spread", "clip_id"], ascending=[False, True])


def verdicts(
    differences: pd.DataFrame, networks: Sequence[str], baselines: Sequence[str]
) -> list[str]:
    """Say for each network whether it beats each row without training.

    It does if the whole interval of the paired difference of the pooled AUC is above zero.
    """
    sentences = []
    paired = _paired(differences)
    for network, baseline in itertools.product(networks, baselines):
        if (network, baseline) not in paired:
            continue
        difference, low, high = paired[network, baseline]
        words = "beats" if low > 0 else "is worse than" if high < 0 else "does not clearly beat"
        sentences.append(
            f"{network} {words} {baseline}: AUC {difference:+.3f} ({low:+.3f} to {high:+.3f})"
        )
    return sentences


def does_training_pay(
    differences: pd.DataFrame, networks: Sequence[str], spectrum: str, *, normal_clips: int
) -> str:
    """Say in a sentence whether networks beat the spectrum under the same score.

    Args:
        differences: of the pooled AUC, as :func:`compare_methods` returns them.
        networks: names of the methods.
        spectrum: name of the row that has the same score without a network.
        normal_clips: that were trained on.
    """
    if not networks:
        return "Whether training pays cannot be told: no trained network is compared."
    paired = _paired(differences)
    against = {name: paired[name, spectrum] for name in networks if (name, spectrum) in paired}
    if not against:
        return "Whether training pays cannot be told without normal and anomalous test clips."
    under = f"the log-mel spectrum under the same score, with {normal_clips} normal clips to learn"

    def words(name: str) -> str:
        difference, low, high = against[name]
        return f"{name} {difference:+.3f} ({low:+.3f} to {high:+.3f})"

    clear = [name for name, (_, low, _) in against.items() if low > 0]
    if clear:
        return f"Training pays here: AUC against {under}: {', '.join(map(words, clear))}."
    best = max(against, key=lambda name: against[name][0])
    worse = all(high < 0 for _, _, high in against.values())
    says = "Training does not pay here" if worse else "It is not shown that training pays here"
    return f"{says}: no network clearly beats {under}; the best, {words(best)} AUC."


def best_of(
    comparison: pd.DataFrame, differences: pd.DataFrame, methods: Sequence[str]
) -> tuple[str, list[str]] | None:
    """Find the method with the highest pooled AUC.

    Args:
        comparison: one row per method, as of :func:`compare_methods`.
        differences: one row per pair of methods, likewise.
        methods: those to choose from.

    Returns:
        The best, and those that it is not clearly better than (the interval of the difference
        reaches below 0); None without any AUC.
    """
    if "auc_pooled" not in comparison:
        return None
    values = comparison.set_index("method").auc_pooled[list(methods)]
    best = str(values.idxmax())
    pairs = _paired(differences)
    return best, [one for one in methods if one != best and pairs[best, one][1] <= 0]


def _paired(differences: pd.DataFrame) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Return difference, low and high end of its interval for each ordered pair of methods."""
    pairs = {}
    for row in differences.to_dict("records"):
        difference, low, high = row["difference"], row["low"], row["high"]
        pairs[row["method"], row["other"]] = (difference, low, high)
        pairs[row["other"], row["method"]] = (-difference, -high, -low)
    return pairs


def _draws_by_machine_id(reference: pd.DataFrame, resamples: int, seed: int) -> list[np.ndarray]:
    """Draw resamples within each machine ID, so that each keeps both classes."""
    test = labelled_test(reference)
    machine_ids = test.machine_id.to_numpy()
    is_anomalous = (test.label == Label.ANOMALOUS).to_numpy()
    draws = []
    for number, machine_id in enumerate(sorted(set(machine_ids))):
        places = np.flatnonzero(machine_ids == machine_id)
        # each machine ID has a seed of its own: equal draws would vary together
        draws.append(places[draw_resamples(is_anomalous[places], resamples, [seed, number])])
    return draws


def _interval(name: str, values: np.ndarray, confidence: float) -> dict[str, float]:
    low, high = percentile_interval(values, confidence)
    return {f"{name}_low": low, f"{name}_high": high}


def _differences(
    points: Mapping[str, float], samples: Mapping[str, np.ndarray], confidence: float
) -> pd.DataFrame:
    rows = []
    for method, other in itertools.combinations(points, 2):
        low, high = percentile_interval(samples[method] - samples[other], confidence)
        rows.append(
            {
                "method": method,
                "other": other,
                "difference": points[method] - points[other],
                "low": low,
                "high": high,
            }
        )
    table = pd.DataFrame(rows, columns=["method", "other", "difference", "low", "high"])
    return table.assign(clear=(table.low > 0) | (table.high < 0))
