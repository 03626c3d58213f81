import numpy as np
import pandas as pd
import pytest

from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.strategies import STRATEGIES
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.evaluation.threshold_table import (
    THRESHOLD_COLUMNS,
    classification_report,
    threshold_table,
)

SETTINGS = ThresholdSettings(
    per="machine_type",
    false_alarm_rate=0.2,
    k=2.0,
    percentile=90.0,
    tpr=0.8,
    deployed="conformal",
    fallback="validation_mean",
)


DEPLOYED = Thresholds("conformal", {"00": 4.5}, "machine_type")


def scores_of(validation=(1, 2, 3, 4), normal=(2, 3, 5), anomalous=(4, 6, 7, 8, 9)):
    groups = (
        ("validation", "normal", validation),
        ("test", "normal", normal),
        ("test", "anomalous", anomalous),
    )
    rows = [(s, label, float(x)) for s, label, scores in groups for x in scores]
    table = pd.DataFrame(rows, columns=["split", "label", "score"])
    table.insert(0, "clip_id", [f"{n}.wav" for n in range(len(table))])
    return table.assign(machine_type="slider", machine_id="00")


def table_of(scores):
    calibration = CalibrationScores.from_table(scores[scores.split == "validation"])
    return threshold_table(scores, calibration, SETTINGS, DEPLOYED)


def test_the_table_says_what_each_threshold_does():
    table = table_of(scores_of())
    assert list(table.columns) == THRESHOLD_COLUMNS
    assert list(table.kind) == ["normal-only"] * 7 + ["oracle"] * 2
    rows = table.set_index("strategy")
    # at 2.5: normal 3 and 5 are called anomalous, and all anomalous clips are
    assert rows.fpr["validation_mean"] == pytest.approx(2 / 3)
    assert rows.tpr["validation_mean"] == 1
    # at 6, all but one anomalous clip and no normal one: the nearest to the corner
    assert rows.threshold["oracle_nearest_corner"] == 6
    assert rows.threshold["oracle_given_tpr"] == 6
    assert (rows.fpr["oracle_given_tpr"], rows.tpr["oracle_given_tpr"]) == (0, 0.8)
    # the highest of 4 is exceeded by a fifth normal clip 1 time in 5
    assert rows.threshold["conformal"] == np.nextafter(4.0, 5)
    assert rows.promised_fpr["conformal"] == 0.2
    # k and a percentile imply a rate, but it is not what was asked for
    promising = ["conformal", "student_t", "gamma"]
    assert rows.promised_fpr.drop(promising).isna().all()
    assert (table.note == "").all()


def test_without_anomalous_clips_the_false_alarms_are_still_counted():
    table = table_of(scores_of(anomalous=())).set_index("strategy")
    assert table.fpr["validation_mean"] == pytest.approx(2 / 3)
    assert table[["tpr", "recall_anomalous"]].isna().all(axis=None)
    assert table.threshold[list(STRATEGIES)].notna().all()
    assert table.threshold[["oracle_nearest_corner", "oracle_given_tpr"]].isna().all()
    assert (table.note == "no test clip is labelled anomalous").all()


def test_without_test_clips_only_thresholds_remain():
    table = table_of(scores_of(normal=(), anomalous=()))
    assert table.threshold.notna().sum() == 7
    assert table.fpr.isna().all()


def test_classification_report_has_a_row_a_class():
    report = classification_report(table_of(scores_of()), scores_of())
    assert len(report) == 18
    oracle = report[report.strategy == "oracle_given_tpr"].set_index("class")
    assert oracle.support.to_dict() == {"normal": 3, "anomalous": 5}
    assert oracle.precision.to_dict() == pytest.approx({"normal": 3 / 4, "anomalous": 1.0})
    assert oracle.recall.to_dict() == pytest.approx({"normal": 1.0, "anomalous": 4 / 5})
    assert oracle.f1.to_dict() == pytest.approx({"normal": 6 / 7, "anomalous": 8 / 9})


def test_with_two_domains_the_report_has_rows_of_each():
    scores = scores_of().assign(domain="source")
    one = scores.score.isin([3, 5, 9]) & (scores.split == "test")  # two normal, one anomalous
    scores.loc[one, "domain"] = "target"
    report = classification_report(table_of(scores), scores)
    assert report.domain.value_counts().to_dict() == {"": 18, "source": 18, "target": 18}
    whole = report[report.domain == ""].drop(columns="domain").reset_index(drop=True)
    pd.testing.assert_frame_equal(
        whole, classification_report(table_of(scores_of()), scores_of()).drop(columns="domain")
    )
    # at 2.5, both normal clips of the target domain are called anomalous
    mean = report[report.strategy == "validation_mean"].set_index(["domain", "class"])
    assert mean.support["target"].to_dict() == {"normal": 2, "anomalous": 1}
    assert mean.precision["target", "anomalous"] == pytest.approx(1 / 3)
    assert mean.recall["target", "anomalous"] == 1
    assert mean.recall["target", "normal"] == 0
    assert mean.recall["source", "normal"] == 1
    assert mean.f1["source", "anomalous"] == 1


def test_a_threshold_that_cannot_be_given_says_why():
    row = table_of(scores_of(validation=(3,))).set_index("strategy").loc
    assert row["conformal"].note.startswith("1 normal clip can promise no rate below 1 in 2;")
    for name in ("validation_mean_plus_variance", "validation_mean_plus_k_std"):
        assert row[name].note == "a spread needs two validation clips or more"
        assert row[["conformal", name]][["threshold", "fpr", "tpr"]].isna().all(axis=None)
    assert (row["validation_mean"].threshold, row["validation_mean"].note) == (3, "")


def test_thresholds_come_from_the_calibration_scores_and_rates_from_the_test_clips():
    """With folds, calibration clips have other scores than in the table."""
    scores = scores_of()
    held_out = scores[scores.split == "validation"].assign(score=[4.0, 5.0, 6.0, 7.0])
    table = threshold_table(scores, CalibrationScores.from_table(held_out), SETTINGS, DEPLOYED)
    row = table.set_index("strategy").loc["validation_mean"]
    assert (row.threshold, row.fpr, row.tpr) == (5.5, 0, 0.8)


def test_the_threshold_that_decides_is_marked():
    table = table_of(scores_of())
    assert table.strategy[table.deployed].tolist() == ["conformal"]
    assert set(table.per) == {"machine_type"}


def test_of_thresholds_of_their_own_those_that_decide_are_marked():
    one = scores_of()
    other = scores_of(validation=(10, 20), normal=(5, 25), anomalous=(30,))
    scores = pd.concat([one, other.assign(machine_id="02", clip_id="2/" + other.clip_id)])
    calibration = CalibrationScores.from_table(scores[scores.split == "validation"])
    own = Thresholds("validation_mean", {"00": 2.5, "02": 15.0}, "machine_id")
    table = threshold_table(scores, calibration, SETTINGS, own)
    deciding = table[table.deployed].set_index("machine_id")
    assert set(deciding.strategy) == {"validation_mean"}
    assert deciding.threshold.to_dict() == {"00": 2.5, "02": 15}
    # each of the clips of its machine ID: 2 of 3 and 1 of 2 normal clips are at or above
    assert deciding.fpr.to_dict() == {"00": pytest.approx(2 / 3), "02": 0.5}
    assert deciding.tpr.to_dict() == {"00": 1, "02": 1}
    assert set(deciding.per) == {"machine_id"}
    report = classification_report(table, scores)
    of_other = report[(report.per == "machine_id") & (report.machine_id == "02")]
    assert of_other.set_index("class").support.to_dict() == {"normal": 2, "anomalous": 1}
