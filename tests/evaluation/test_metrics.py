import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.evaluation.metrics import (
    auc,
    bootstrap_interval,
    classification,
    evaluate,
    pauc,
    rates_of,
    validation_errors,
)


def draw(seed, count=200, shift=1.0, ties=False):
    rng = np.random.default_rng(seed)
    is_anomalous = rng.random(count) < 0.4
    scores = rng.normal(size=count) + shift * is_anomalous
    return is_anomalous, np.round(scores, 1) if ties else scores


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_the_part_of_pairs_in_order(ties):
    is_anomalous, scores = draw(0, 60, ties=ties)
    pairs = [
        1.0 if high > low else 0.5 if high == low else 0.0
        for high in scores[is_anomalous]
        for low in scores[~is_anomalous]
    ]
    assert auc(is_anomalous, scores) == pytest.approx(np.mean(pairs))
    assert auc(is_anomalous, scores) == pytest.approx(roc_auc_score(is_anomalous, scores))


@pytest.mark.parametrize("normal_clips", [4, 10, 40])
def test_pauc_is_mcclishs(normal_clips):
    """Half of the anomalous clips lie above all normal ones, the other half below them all."""
    is_anomalous = np.repeat([True, False, True], [3, normal_clips, 3])
    scores = -np.arange(len(is_anomalous), dtype=float)
    # TPR is 0.5 from FPR 0 to 1, so the area up to 0.1 is 0.05; by chance it is 0.005, at most 0.1
    expected = 0.5 * (1 + (0.05 - 0.005) / (0.1 - 0.005))
    assert pauc(is_anomalous, scores, 0.1) == pytest.approx(expected)


def test_bootstrap_interval_covers_as_often_as_it_says():
    """Over many draws with a known AUC (normal scores shifted by 1: Φ(1/√2) = 0.760)."""
    truth = 0.5 * (1 + math.erf(1 / 2))
    hits = 0
    for seed in range(200):
        is_anomalous, scores = draw(seed, 100)
        low, high = bootstrap_interval(
            auc, is_anomalous, scores, resamples=200, confidence=0.9, seed=seed
        )
        assert low < auc(is_anomalous, scores) < high
        hits += low <= truth <= high
    assert 0.82 <= hits / 200 <= 0.96


def test_bootstrap_keeps_both_classes():
    is_anomalous = np.array([True] + [False] * 30)
    low, high = bootstrap_interval(
        auc, is_anomalous, np.arange(31.0), resamples=100, confidence=0.95, seed=0
    )
    assert (low, high) == (0, 0)


def test_classification_by_counting():
    is_anomalous = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool)
    decided = np.array([1, 1, 1, 0, 1, 0, 0, 0, 0, 0], bool)
    expected = {
        "fpr": 1 / 6,
        "tpr": 3 / 4,
        "precision_normal": 5 / 6,
        "recall_normal": 5 / 6,
        "f1_normal": 5 / 6,
        "precision_anomalous": 3 / 4,
        "recall_anomalous": 3 / 4,
        "f1_anomalous": 3 / 4,
    }
    assert classification(is_anomalous, decided) == pytest.approx(expected)


def test_the_reports_classification_tables():
    """The report's LSTM table has integer solutions with 300 normal and 801 anomalous clips."""
    is_anomalous = np.repeat([False, True], [300, 801])
    decided = np.r_[np.arange(300) >= 270, np.arange(801) < 716]
    rounded = {
        name: round(value, 2) for name, value in classification(is_anomalous, decided).items()
    }
    assert (rounded["precision_normal"], rounded["recall_normal"]) == (0.76, 0.90)
    assert (rounded["precision_anomalous"], rounded["recall_anomalous"]) == (0.96, 0.89)
    assert (rounded["f1_normal"], rounded["f1_anomalous"]) == (0.82, 0.93)


def clip_scores(groups):
    rows = [
        {"machine_id": machine_id, "split": split, "label": label, "score": float(score)}
        for machine_id, split, label, scores in groups
        for score in scores
    ]
    return pd.DataFrame(rows)


SETTINGS = EvaluationSettings(
    max_fpr=0.1, bootstrap_resamples=20, confidence=0.95, challenge_year=None
)
VALIDATION = ("00", "validation", "normal", [1, 2, 3])


def test_evaluate_by_machine_id():
    scores = clip_scores(
        [
            VALIDATION,
            ("00", "train", "normal", [100]),
            ("00", "test", "normal", [1, 2]),
            ("00", "test", "anomalous", [3, 4]),
            ("02", "test", "normal", [5, 7]),
            ("02", "test", "anomalous", [6, 8]),
            ("02", "test", "unknown", [0]),
        ]
    )
    metrics = evaluate(scores, SETTINGS, seed=0)
    # pooled: of 16 pairs only (3, 5), (3, 7), (4, 5), (4, 7), (6, 7) are out of order
    assert metrics["auc_pooled"] == pytest.approx(11 / 16)
    per_id = metrics["per_machine_id"]
    assert [per_id[name]["auc"] for name in ("00", "02")] == [1.0, 0.75]
    assert metrics["auc_mean"] == pytest.approx(0.875)
    assert metrics["auc_hmean"] == pytest.approx(2 / (1 / 1 + 1 / 0.75))
    assert metrics["auc_min"] == 0.75
    assert per_id["02"]["n_normal"] == per_id["02"]["n_anomalous"] == 2
    assert metrics["not_computed"] == {}


@pytest.mark.parametrize(
    ("test_clips", "reason"),
    [
        ([], "no test clip has a label"),
        ([("00", "test", "unknown", [1, 2])], "no test clip has a label"),
        ([("00", "test", "normal", [1, 2])], "no test clip is labelled anomalous"),
        ([("00", "test", "anomalous", [1, 2])], "no test clip is labelled normal"),
    ],
)
def test_what_cannot_be_computed_is_said(test_clips, reason):
    metrics = evaluate(clip_scores([VALIDATION, *test_clips]), SETTINGS, seed=0)
    assert metrics["auc_pooled"] is metrics["auc_mean"] is metrics["average_precision"] is None
    assert metrics["not_computed"]["auc_pooled"] == reason


def test_a_machine_id_without_anomalies_does_not_hide_in_a_mean():
    scores = clip_scores(
        [
            VALIDATION,
            ("00", "test", "normal", [1]),
            ("00", "test", "anomalous", [3]),
            ("02", "test", "normal", [5]),
        ]
    )
    metrics = evaluate(scores, SETTINGS, seed=0)
    assert metrics["auc_pooled"] == 0.5
    assert metrics["auc_mean"] is None
    assert "machine ID 02" in metrics["not_computed"]["auc_mean"]


def test_rates_of_decisions():
    clips = clip_scores(
        [
            VALIDATION,
            ("00", "test", "normal", [2, 3, 5]),
            ("00", "test", "anomalous", [4, 6, 7]),
            ("00", "test", "unknown", [9]),
        ]
    )
    clips["clip_id"] = [f"{number}.wav" for number in range(len(clips))]
    called = clips.score.ge(2.5).map({True: "anomalous", False: "normal"})
    decisions = pd.DataFrame({"clip_id": clips.clip_id, "decision": called})
    rates = rates_of(clips, decisions)
    assert rates["fpr"] == pytest.approx(2 / 3)
    assert rates["recall_anomalous"] == 1
    assert rates == rates_of(clips, decisions.sample(frac=1, random_state=0))
    no_anomalies = rates_of(clips[clips.label != "anomalous"], decisions)
    assert no_anomalies["fpr"] == pytest.approx(2 / 3)
    assert "tpr" not in no_anomalies
    assert rates_of(clips[clips.split != "test"], decisions) == {}


def test_bootstrap_interval_is_scipys():
    is_anomalous, scores = draw(1, 60)
    groups = (scores[is_anomalous], scores[~is_anomalous])
    reference = bootstrap(
        groups,
        lambda high, low: auc(np.repeat([True, False], [len(high), len(low)]), np.r_[high, low]),
        vectorized=False,
        n_resamples=300,
        confidence_level=0.9,
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval
    found = bootstrap_interval(auc, is_anomalous, scores, resamples=300, confidence=0.9, seed=5)
    assert found == pytest.approx((reference.low, reference.high), rel=1e-12)


@pytest.mark.parametrize(("splits", "expected"), [("vvt", [2.0, 5.0]), ("rrt", [2.0, 5.0])])
def test_errors_of_normal_clips_are_those_held_out_or_of_all_folds(splits, expected):
    names = {"v": "validation", "r": "train", "t": "test"}
    clips = pd.DataFrame({"clip_id": list("abc"), "split": [names[letter] for letter in splits]})
    windows = pd.DataFrame({"clip_id": list("aabbc"), "error": [1.0, 3.0, 4.0, 6.0, 99.0]})
    found = validation_errors(clips, windows)
    assert found["validation_error_mean"] == np.mean(expected)
    assert found["validation_error_std"] == pytest.approx(np.std(expected, ddof=1))
    assert validation_errors(clips[1:], windows)["validation_error_std"] is None
