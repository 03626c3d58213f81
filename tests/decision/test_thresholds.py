import numpy as np
import pandas as pd
import pytest

from anomalous_sound.decision.thresholds import (
    NORMAL_ONLY_STRATEGIES,
    THRESHOLD_COLUMNS,
    Deployed,
    calibration_tables,
    classification_report,
    decide,
    deploy,
    normal_only_thresholds,
    oracle_thresholds,
    rates_of,
    threshold_table,
)
from anomalous_sound.errors import InputError

SETTINGS = {"k": 2.0, "percentile": 90.0, "tpr": 0.8, "false_alarm_rate": 0.2}
RULES = {
    "deployed": "validation_mean",
    "fallback": "validation_mean_plus_k_std",
    "per": "machine_type",
    "false_alarm_rate": 0.2,
    "k": 2.0,
    "percentile": 90.0,
}


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
    assert np.isnan(rows.promised_fpr["validation_mean"])
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
    assert table.threshold.notna().sum() == 7
    assert table.fpr.isna().all()


def test_a_clip_at_the_threshold_is_anomalous():
    scores = scores_of()
    decisions = decide(scores, Deployed("any", {"00": 5.0}), per="machine_type")
    columns = ["clip_id", "score", "threshold", "decision", "p_value"]
    assert list(decisions.columns) == columns
    assert len(decisions) == len(scores)
    expected = ["anomalous" if score >= 5 else "normal" for score in scores.score]
    assert list(decisions.decision) == expected


def test_p_values_count_the_validation_clips_that_score_as_high():
    scores = scores_of(validation=(1, 2, 3, 4), normal=(2, 3.5), anomalous=(9,))
    decisions = decide(scores, deploy(scores, RULES), per="machine_type")
    assert decisions.p_value[scores.split == "validation"].isna().all()
    assert decisions.p_value[scores.split == "test"].tolist() == [4 / 5, 2 / 5, 1 / 5]


def two_machines():
    one, other = scores_of(), scores_of(validation=(10, 20, 30, 40), normal=(25,), anomalous=(35,))
    other = other.assign(machine_id="02", clip_id="other/" + other.clip_id)
    return pd.concat([one, other], ignore_index=True)


def test_each_machine_id_may_have_its_own_threshold():
    scores = two_machines()
    assert deploy(scores, RULES).by_machine_id == {"00": 13.75, "02": 13.75}
    own = deploy(scores, RULES | {"per": "machine_id"})
    assert own.by_machine_id == {"00": 2.5, "02": 25}
    assert own.shared is None
    decisions = decide(scores, own, per="machine_id")
    assert decisions.threshold.tolist() == [2.5] * 12 + [25.0] * 6
    assert decisions.decision.iloc[-2:].tolist() == ["anomalous", "anomalous"]
    assert decisions.p_value.iloc[-2:].tolist() == [3 / 5, 2 / 5]


def test_a_threshold_that_cannot_be_given_falls_back_and_says_so():
    deployed = deploy(scores_of(), RULES | {"deployed": "conformal", "false_alarm_rate": 0.02})
    assert deployed.strategy == "validation_mean_plus_k_std"
    assert "conformal cannot be given: 4 normal clips" in deployed.note
    assert "49 are needed for 1 in 50" in deployed.note
    given = deploy(scores_of(), RULES | {"deployed": "conformal"})
    assert (given.strategy, given.note) == ("conformal", "")


def test_a_machine_id_with_too_few_clips_makes_all_fall_back():
    scores = two_machines()
    scores = scores[(scores.machine_id == "00") | (scores.score != 10)]
    asked = RULES | {"deployed": "conformal", "per": "machine_id"}
    deployed = deploy(scores, asked)
    assert deployed.strategy == "validation_mean_plus_k_std"
    assert "machine ID 02: 3 normal clips" in deployed.note


def test_nothing_that_can_be_computed_is_an_error():
    with pytest.raises(InputError, match=r"two validation clips.*thresholds\.deployed"):
        deploy(scores_of(validation=(1,)), RULES | {"deployed": "conformal"})
    assert deploy(scores_of(validation=(1,)), RULES).by_machine_id == {"00": 1}


def test_rates_of_decisions():
    scores = scores_of()
    decisions = decide(scores, deploy(scores, RULES), per="machine_type")
    rates = rates_of(scores, decisions)
    assert rates["fpr"] == pytest.approx(2 / 3)
    assert rates["recall_anomalous"] == 1
    assert rates_of(scores_of(normal=(), anomalous=()), decisions) == {}


def test_promised_and_delivered_for_all_and_for_each_machine_id():
    table = calibration_tables(two_machines(), false_alarm_rate=0.2, confidence=0.95)
    assert set(table.machine_id) == {"all", "00", "02"}
    row = table[(table.machine_id == "00") & (table.strategy == "conformal")].iloc[0]
    # of the normal test clips 2, 3 and 5 the last is above 4
    assert (row.alarms, row.test_clips, row.delivered) == (1, 3, pytest.approx(1 / 3))
    assert row.delivered_low < 1 / 3 < row.delivered_high


def test_classification_report_has_a_row_a_class():
    report = classification_report(threshold_table(scores_of(), **SETTINGS), scores_of())
    assert len(report) == 18
    oracle = report[report.strategy == "oracle_given_tpr"].set_index("class")
    assert oracle.support.to_dict() == {"normal": 3, "anomalous": 5}
    assert oracle.precision.to_dict() == pytest.approx({"normal": 3 / 4, "anomalous": 1.0})
    assert oracle.recall.to_dict() == pytest.approx({"normal": 1.0, "anomalous": 4 / 5})
    assert oracle.f1.to_dict() == pytest.approx({"normal": 6 / 7, "anomalous": 8 / 9})
