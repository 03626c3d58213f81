import numpy as np
import pandas as pd
import pytest

from anomalous_sound.errors import InputError
from anomalous_sound.thresholds import (
    NORMAL_ONLY_STRATEGIES,
    THRESHOLD_COLUMNS,
    classification_report,
    decide,
    normal_only_thresholds,
    oracle_thresholds,
    threshold_table,
)

SETTINGS = {"k": 2.0, "percentile": 90.0, "tpr": 0.8}


def scores_of(validation=(1, 2, 3, 4), normal=(2, 3, 5), anomalous=(4, 6, 7, 8, 9)):
    groups = (
        ("validation", "normal", validation),
        ("test", "normal", normal),
        ("test", "anomalous", anomalous),
    )
    rows = [(s, label, float(x)) for s, label, scores in groups for x in scores]
    table = pd.DataFrame(rows, columns=["split", "label", "score"])
    table.insert(0, "clip_id", [f"{n}.wav" for n in range(len(table))])
    return table


def test_normal_only_thresholds_by_hand():
    found = normal_only_thresholds(np.array([1.0, 2, 3, 4]), k=2.0, percentile=90.0)
    variance = (1.5**2 + 0.5**2 + 0.5**2 + 1.5**2) / 3
    assert found == pytest.approx(
        {
            "validation_mean": 2.5,
            "validation_mean_plus_variance": 2.5 + variance,
            "validation_mean_plus_k_std": 2.5 + 2 * variance**0.5,
            "validation_percentile": 3.7,
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_oracle_thresholds_by_trying_every_score(seed):
    rng = np.random.default_rng(seed)
    is_anomalous = rng.random(80) < 0.5
    scores = np.round(rng.normal(size=80) + 0.8 * is_anomalous, 1)
    tried = []
    for threshold in np.unique(scores):
        decided = scores >= threshold
        fpr, tpr = decided[~is_anomalous].mean(), decided[is_anomalous].mean()
        tried.append((threshold, fpr, tpr))
    found = oracle_thresholds(is_anomalous, scores, tpr=0.8)
    distance = {threshold: np.hypot(fpr, 1 - tpr) for threshold, fpr, tpr in tried}
    assert distance[found["oracle_nearest_corner"]] == pytest.approx(min(distance.values()))
    enough = max(threshold for threshold, _, tpr in tried if tpr >= 0.8)
    assert found["oracle_given_tpr"] == enough


def test_the_table_says_what_each_threshold_does():
    table = threshold_table(scores_of(), **SETTINGS)
    assert list(table.columns) == THRESHOLD_COLUMNS
    assert list(table.kind) == ["normal-only"] * 4 + ["oracle"] * 2
    rows = table.set_index("strategy")
    # at 2.5: normal 3 and 5 are called anomalous, and all anomalous clips are
    assert rows.fpr["validation_mean"] == pytest.approx(2 / 3)
    assert rows.tpr["validation_mean"] == 1
    # at 6, all but one anomalous clip and no normal one: the nearest to the corner
    assert rows.threshold["oracle_nearest_corner"] == 6
    assert rows.threshold["oracle_given_tpr"] == 6
    assert (rows.fpr["oracle_given_tpr"], rows.tpr["oracle_given_tpr"]) == (0, 0.8)
    assert (table.note == "").all()


def test_without_anomalous_clips_the_false_alarms_are_still_counted():
    table = threshold_table(scores_of(anomalous=()), **SETTINGS).set_index("strategy")
    assert table.fpr["validation_mean"] == pytest.approx(2 / 3)
    assert table[["tpr", "recall_anomalous"]].isna().all(axis=None)
    assert table.threshold[list(NORMAL_ONLY_STRATEGIES)].notna().all()
    assert table.threshold[["oracle_nearest_corner", "oracle_given_tpr"]].isna().all()
    assert (table.note == "no test clip is labelled anomalous").all()


def test_without_test_clips_only_thresholds_remain():
    table = threshold_table(scores_of(normal=(), anomalous=()), **SETTINGS)
    assert table.threshold.notna().sum() == 4
    assert table.fpr.isna().all()


def test_a_clip_at_the_threshold_is_anomalous():
    scores = scores_of()
    table = threshold_table(scores, **SETTINGS)
    table.loc[table.strategy == "validation_mean", "threshold"] = 5.0
    decisions = decide(scores, table, "validation_mean")
    assert list(decisions.columns) == ["clip_id", "score", "threshold", "decision"]
    assert len(decisions) == len(scores)
    expected = ["anomalous" if score >= 5 else "normal" for score in scores.score]
    assert list(decisions.decision) == expected


def test_a_threshold_that_cannot_be_computed_is_not_deployed():
    table = threshold_table(scores_of(validation=(1,)), **SETTINGS)
    with pytest.raises(InputError, match=r"two validation clips.*thresholds\.deployed"):
        decide(scores_of(), table, "validation_mean_plus_k_std")
    assert decide(scores_of(), table, "validation_mean").threshold.eq(1).all()


def test_classification_report_has_a_row_a_class():
    report = classification_report(threshold_table(scores_of(), **SETTINGS), scores_of())
    assert len(report) == 12
    oracle = report[report.strategy == "oracle_given_tpr"].set_index("class")
    assert oracle.support.to_dict() == {"normal": 3, "anomalous": 5}
    assert oracle.precision.to_dict() == pytest.approx({"normal": 3 / 4, "anomalous": 1.0})
    assert oracle.recall.to_dict() == pytest.approx({"normal": 1.0, "anomalous": 4 / 5})
    assert oracle.f1.to_dict() == pytest.approx({"normal": 6 / 7, "anomalous": 8 / 9})
