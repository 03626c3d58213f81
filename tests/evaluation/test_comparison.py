import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.evaluation.comparison import (
    baseline_thresholds,
    best_of,
    compare_methods,
    disagreements,
    ensemble_scores,
    verdicts,
)

SETTINGS = EvaluationSettings(
    max_fpr=0.1, bootstrap_resamples=200, confidence=0.95, challenge_year=None
)


def table(seed, shift, clips=120):
    """Two machine IDs; the anomalous test clips score ``shift`` standard deviations higher."""
    rng = np.random.default_rng(seed)
    split = np.array(["validation"] * 20 + ["test"] * (clips - 20))
    anomalous = (split == "test") & (np.arange(clips) % 2 == 0)
    return pd.DataFrame(
        {
            "clip_id": [f"{number:03d}.wav" for number in range(clips)],
            "machine_type": "slider",
            "machine_id": np.where(np.arange(clips) % 4 < 2, "00", "02"),
            "split": split,
            "label": np.where(anomalous, "anomalous", "normal"),
            "score": rng.normal(size=clips) + shift * anomalous,
        }
    )


def test_ensemble_standardises_on_normal_validation_clips():
    one, other = table(0, 1.0), table(1, 1.0)
    shuffled = other.sample(frac=1, random_state=0)
    combined = ensemble_scores({"one": one.assign(score=5 + 3 * one.score), "other": shuffled})
    expected = 0
    for scores in (one.score, other.score):
        validation = scores[one.split == "validation"]
        expected = expected + (scores - validation.mean()) / validation.std(ddof=1) / 2
    assert list(combined.clip_id) == list(one.clip_id)
    np.testing.assert_allclose(combined.score, expected)


def everywhere(threshold):
    return {"00": threshold, "02": threshold}


def compared(scores):
    return compare_methods(scores, dict.fromkeys(scores, everywhere(1.0)), SETTINGS, seed=0)


def test_metrics_agree_with_scikit_learn_whatever_the_order_of_the_clips():
    scores = {"good": table(0, 2.0), "poor": table(1, 0.1).sample(frac=1, random_state=1)}
    comparison, _ = compared(scores)
    for row in comparison.to_dict("records"):
        test = scores[row["method"]].query("split == 'test'")
        anomalous = test.label == "anomalous"
        assert row["auc_pooled"] == pytest.approx(roc_auc_score(anomalous, test.score))
        expected = roc_auc_score(anomalous, test.score, max_fpr=0.1)
        assert row["pauc_pooled"] == pytest.approx(expected)
        by_id = [
            roc_auc_score(group.label == "anomalous", group.score)
            for _, group in test.groupby("machine_id")
        ]
        assert row["auc_mean"] == pytest.approx(np.mean(by_id))
        assert row["auc_min"] == pytest.approx(min(by_id))
        assert row["auc_id_02"] == pytest.approx(by_id[1])
        assert row["auc_pooled_low"] < row["auc_pooled"] < row["auc_pooled_high"]
        found = (test.score >= 1.0)[anomalous].mean()
        quiet = (test.score < 1.0)[~anomalous].mean()
        assert row["recall"] == pytest.approx(found)
        assert row["balanced_accuracy"] == pytest.approx((found + quiet) / 2)


def test_a_paired_difference_is_narrower_than_two_intervals():
    """Nearly the same scores: each AUC is uncertain, their difference is not."""
    one = table(0, 1.0)
    noise = np.random.default_rng(5).normal(0, 0.05, len(one))
    comparison, differences = compared({"one": one, "twin": one.assign(score=one.score + noise)})
    row = differences.iloc[0]
    width = comparison.auc_pooled_high - comparison.auc_pooled_low
    assert row.high - row.low < 0.3 * width.min()
    assert row.difference == pytest.approx(comparison.auc_pooled[0] - comparison.auc_pooled[1])
    assert not row.clear


def test_identical_methods_differ_by_exactly_nothing():
    _, differences = compared({"one": table(0, 1.0), "same": table(0, 1.0)})
    assert differences[["difference", "low", "high"]].iloc[0].tolist() == [0, 0, 0]


def test_verdicts_say_what_is_clear_and_what_is_not():
    scores = {
        "network": table(0, 2.0),
        "rival": table(1, 2.0),
        "worse": table(2, -1.0),
        "baseline": table(3, 0.3),
    }
    _, differences = compared(scores)
    lines = verdicts(differences, ["network", "worse"], ["baseline"])
    assert lines[0].startswith("network beats baseline: AUC +")
    assert lines[1].startswith("worse is worse than baseline: AUC -")
    assert "network does not clearly beat rival" in verdicts(differences, ["network"], ["rival"])[0]
    # a pair is found whichever way round it was listed
    assert verdicts(differences, ["baseline"], ["network"])[0].startswith("baseline is worse than")


def test_without_two_classes_there_is_no_auc_but_a_row():
    normal_only = table(0, 1.0).assign(label="normal")
    comparison, differences = compared({"one": normal_only, "other": normal_only})
    assert list(comparison.method) == ["one", "other"]
    assert "auc_pooled" not in comparison
    assert differences.empty


def test_disagreements_are_test_clips_that_are_decided_differently():
    base = table(0, 1.0).query("split == 'test'").head(4).reset_index(drop=True)
    one = base.assign(score=[1.0, 2.0, 3.0, 4.0])
    other = base.assign(score=[40.0, 10.0, 20.0, 30.0])
    thresholds = {"one": everywhere(2.5), "other": everywhere(25.0)}
    found = disagreements({"one": one, "other": other}, thresholds)
    # decisions: one n n a a, other a n n a; ranks 1 2 3 4 and 4 1 2 3 of 4
    assert list(found.clip_id) == [base.clip_id[0], base.clip_id[2]]
    assert list(found.one) == ["normal", "anomalous"]
    assert list(found.other) == ["anomalous", "normal"]
    assert list(found.spread) == [0.75, 0.25]


def test_the_threshold_of_a_row_without_training():
    scores = table(0, 1.0)
    validation = scores.score[scores.split == "validation"]
    found = baseline_thresholds(scores, k=1.5)
    expected = validation.mean() + 1.5 * validation.std()
    assert found.by_machine_id == pytest.approx({"00": expected, "02": expected})
    assert found.strategy == "validation_mean_plus_k_std"
    none = baseline_thresholds(scores.assign(score=np.nan), k=1.5)
    assert np.isnan(list(none.by_machine_id.values())).all()
    assert none.note == "there are no normal clips to calibrate with"


def test_the_best_method_and_those_that_it_is_not_clearly_better_than():
    comparison = pd.DataFrame({"method": ["a", "b", "c", "d"], "auc_pooled": [0.7, 0.9, 0.8, 0.95]})
    pairs = [("a", "b", -0.2, -0.3, -0.1), ("b", "c", 0.1, -0.02, 0.2), ("a", "c", -0.1, -0.2, 0.1)]
    differences = pd.DataFrame(pairs, columns=["method", "other", "difference", "low", "high"])
    assert best_of(comparison, differences, ["a", "b", "c"]) == ("b", ["c"])
    assert best_of(comparison, differences, ["a"]) == ("a", [])
    assert best_of(comparison[["method"]], differences, ["a"]) is None
