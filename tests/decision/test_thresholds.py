import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.thresholds import (
    Thresholds,
    check_thresholds,
    decide,
    decide_clips,
    decide_new_clips,
    deploy,
)
from anomalous_sound.errors import InputError
from anomalous_sound.vocabulary import Decision

RULES = ThresholdSettings(
    per="machine_type",
    false_alarm_rate=0.2,
    k=2.0,
    percentile=90.0,
    tpr=0.8,
    deployed="validation_mean",
    fallback="validation_mean_plus_k_std",
)


def rules(**changes):
    return ThresholdSettings(**RULES.model_dump() | changes)


def plain(clips):
    """Evidence of clips that are like normal ones."""
    return clips[["clip_id"]].assign(foreign=False, comparable=True, note="")


def clips_of(machine_id, scores):
    return pd.DataFrame(
        {
            "clip_id": [f"{machine_id}/{number}.wav" for number in range(len(scores))],
            "machine_id": machine_id,
            "score": np.array(scores, dtype=float),
        }
    )


def calibration_of(**scores):
    """Return calibration scores; ``_00=(1, 2)`` are those of machine ID 00."""
    tables = [clips_of(name[1:], values) for name, values in scores.items()]
    return CalibrationScores.from_table(pd.concat(tables))


def for_one(scores=(1, 2, 3, 4), **changes):
    return deploy(calibration_of(_00=scores), rules(**changes))


TWO = calibration_of(_00=(1, 2, 3, 4), _02=(10, 20, 30, 40))


def test_a_clip_at_the_threshold_is_anomalous():
    thresholds = Thresholds("any", {"00": 5.0}, "machine_type")
    found = decide([4.9, 5, 5.1], ["00"] * 3, thresholds, TWO)
    assert found.decision == (Decision.NORMAL, Decision.ANOMALOUS, Decision.ANOMALOUS)
    assert found.threshold.tolist() == [5, 5, 5]


def test_p_values_count_the_calibration_clips_that_score_as_high():
    calibration = calibration_of(_00=(1, 2, 3, 4))
    thresholds = deploy(calibration, RULES)
    table = pd.concat(
        [calibration.table(), clips_of("00", (2, 3.5, 9)).assign(clip_id=list("abc"))]
    )
    decisions = decide_clips(table, thresholds, calibration, plain(table))
    assert list(decisions.columns) == [
        "clip_id",
        "score",
        "threshold",
        "decision",
        "p_value",
        "foreign",
        "note",
    ]
    assert decisions.p_value[:4].isna().all()
    assert decisions.p_value[4:].tolist() == [4 / 5, 2 / 5, 1 / 5]
    assert decisions.decision.tolist() == ["normal"] * 2 + ["anomalous"] * 2 + [
        "normal",
        "anomalous",
        "anomalous",
    ]


def test_a_new_clip_of_the_name_of_a_calibration_clip_is_another_clip():
    calibration = calibration_of(_00=(1, 2, 3, 4))
    thresholds = Thresholds("any", {"00": 3.5}, "machine_type")
    table = calibration.table()
    assert decide_clips(table, thresholds, calibration, plain(table)).p_value.isna().all()
    new = decide_new_clips(table, thresholds, calibration, plain(table))
    assert new.p_value.tolist() == [1, 4 / 5, 3 / 5, 2 / 5]


@pytest.mark.parametrize("per", ["machine_type", "machine_id"])
def test_one_clip_is_decided_as_the_whole_table_is(per):
    rng = np.random.default_rng(8)
    calibration = calibration_of(_00=rng.normal(size=40), _02=rng.normal(3, 1, size=30))
    thresholds = deploy(calibration, rules(per=per, deployed="conformal"))
    table = pd.concat([clips_of("00", rng.normal(size=20)), clips_of("02", rng.normal(4, size=20))])
    together = decide_new_clips(table, thresholds, calibration, plain(table))
    for clip, row in zip(table.to_dict("records"), together.to_dict("records"), strict=True):
        alone = decide([clip["score"]], [clip["machine_id"]], thresholds, calibration)
        assert alone.threshold[0] == row["threshold"]
        assert alone.decision[0] == row["decision"]
        assert alone.p_value[0] == row["p_value"]
        # the threshold and the p-value say the same
        assert (alone.decision[0] is Decision.ANOMALOUS) == (alone.p_value[0] <= 0.2)


def test_each_machine_id_may_have_its_own_threshold():
    assert deploy(TWO, RULES).by_machine_id == {"00": 13.75, "02": 13.75}
    own = deploy(TWO, rules(per="machine_id"))
    assert own.by_machine_id == {"00": 2.5, "02": 25}
    assert own.per == "machine_id"
    assert own.shared is None
    new = pd.concat([clips_of("00", [3, 2]), clips_of("02", [25, 35])])
    decisions = decide_new_clips(new, own, TWO, plain(new))
    assert decisions.threshold.tolist() == [2.5, 2.5, 25, 25]
    assert decisions.decision.tolist() == ["anomalous", "normal", "anomalous", "anomalous"]
    assert decisions.p_value.tolist() == [3 / 5, 4 / 5, 3 / 5, 2 / 5]


@pytest.mark.parametrize("per", ["machine_type", "machine_id"])
def test_what_was_not_calibrated_is_undecided(per, caplog):
    """Neither a threshold of others nor a p-value says anything of it."""
    thresholds = deploy(TWO, rules(per=per))
    names = ["02", "07", "", None]
    assert [thresholds.judges(name) for name in names] == [True, False, False, False]
    found = decide([9.0, 50.0, 50.0, 50.0], names, thresholds, TWO)
    assert found.decision == (Decision.NORMAL, *[Decision.UNDECIDED] * 3)
    assert np.isnan(found.threshold).tolist() == [False, True, True, True]
    assert np.isnan(found.p_value).tolist() == [False, True, True, True]
    new = pd.concat([clips_of("02", [9.0]), clips_of("07", [50.0])])
    table = decide_new_clips(new, thresholds, TWO, plain(new))
    assert table.decision.tolist() == ["normal", "undecided"]
    assert "1 clips are undecided: no normal clip of machine ID 07 has" in caplog.text


def test_a_threshold_calibrated_for_unseen_machine_ids_decides_them():
    thresholds = deploy(TWO, RULES, for_unseen=True)
    for machine_id in ("02", "07", "", None):
        assert thresholds.of(machine_id) == 13.75
    found = decide([9.0, 50.0], ["07", None], thresholds, TWO)
    assert found.decision == (Decision.NORMAL, Decision.ANOMALOUS)
    assert found.p_value.tolist() == [5 / 9, 1 / 9]


def test_what_unseen_machine_ids_rest_on_is_told():
    values = {"00": 1.0, "02": 1.0}
    told = Thresholds("conformal", values, "machine_type", for_unseen=True).unseen_note
    assert "rests on 2 machine IDs: no rate below 1 in 3 " in told
    assert not Thresholds("conformal", values, "machine_type").unseen_note


def test_too_few_clips_for_a_threshold_are_told_of_before_the_training():
    check_thresholds(["00"] * 2, rules(deployed="conformal", false_alarm_rate=0.02))
    with pytest.raises(InputError, match="no threshold can be deployed: conformal cannot be"):
        check_thresholds(["00"], rules(deployed="conformal", false_alarm_rate=0.02))
    own = rules(deployed="conformal", false_alarm_rate=0.02, per="machine_id")
    with pytest.raises(InputError, match="machine ID 02: a spread needs two"):
        check_thresholds(["00", "00", "02"], own)


def test_thresholds_survive_json_bit_by_bit():
    own = deploy(TWO, rules(per="machine_id", deployed="validation_mean_plus_k_std"))
    own = dataclasses.replace(own, note="why", by_machine_id={**own.by_machine_id, "04": 0.1 + 0.2})
    assert Thresholds.from_json(json.loads(json.dumps(own.to_json()))) == own
    assert Thresholds.from_json(dataclasses.replace(own, for_unseen=True).to_json()).for_unseen


def test_a_threshold_that_cannot_be_given_falls_back_and_says_so():
    deployed = for_one(deployed="conformal", false_alarm_rate=0.02)
    assert deployed.strategy == "validation_mean_plus_k_std"
    assert "conformal cannot be given: 4 normal clips" in deployed.note
    assert "49 are needed for 1 in 50" in deployed.note
    given = for_one(deployed="conformal")
    assert (given.strategy, given.note) == ("conformal", "")


def test_a_machine_id_with_too_few_clips_makes_all_fall_back():
    calibration = calibration_of(_00=(1, 2, 3, 4), _02=(20, 30, 40))
    asked = rules(deployed="conformal", per="machine_id")
    deployed = deploy(calibration, asked)
    assert deployed.strategy == "validation_mean_plus_k_std"
    assert "machine ID 02: 3 normal clips" in deployed.note


def test_a_percentile_of_few_clips_is_given():
    assert for_one(deployed="validation_percentile").by_machine_id == {"00": pytest.approx(3.7)}


def test_nothing_that_can_be_computed_is_an_error():
    with pytest.raises(InputError, match=r"two validation clips.*thresholds\.deployed"):
        for_one(scores=(1,), deployed="conformal")
    assert for_one(scores=(1,)).by_machine_id == {"00": 1}
    with pytest.raises(InputError, match="there are no calibration clips"):
        deploy(CalibrationScores((), (), ()), RULES)
