import math

import numpy as np
import pandas as pd
import pytest

from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.strategies import STRATEGIES
from anomalous_sound.evaluation.calibration_table import (
    CALIBRATION_COLUMNS,
    binomial_interval,
    calibration_table,
    promised_and_delivered,
)


def settings(rate):
    return ThresholdSettings(
        per="machine_type",
        false_alarm_rate=rate,
        k=2.0,
        percentile=95.0,
        tpr=0.8,
        deployed="conformal",
        fallback="validation_mean",
    )


def one_group(calibration, test, rate=0.02, in_folds=False, foreign=None):
    names = tuple(map(str, range(len(calibration))))
    rows = promised_and_delivered(
        CalibrationScores(names, ("00",) * len(names), tuple(calibration), in_folds, foreign),
        np.array(test, dtype=float),
        settings(rate),
        confidence=0.95,
    )
    return pd.DataFrame(rows, columns=CALIBRATION_COLUMNS).set_index("strategy")


@pytest.mark.parametrize(
    ("alarms", "clips", "confidence", "expected"),
    [
        (0, 10, 0.95, (0, 0.30850)),
        (10, 10, 0.95, (0.69150, 1)),
        (1, 10, 0.95, (0.00253, 0.44502)),
        (0, 49, 0.9, (0, 1 - 0.05 ** (1 / 49))),
    ],
)
def test_clopper_pearson_by_known_values(alarms, clips, confidence, expected):
    assert binomial_interval(alarms, clips, confidence) == pytest.approx(expected, abs=1e-5)


def test_clopper_pearson_without_clips():
    assert np.isnan(binomial_interval(0, 0, 0.95)).all()


def test_the_table_says_what_was_asked_and_delivered():
    table = one_group(np.arange(1.0, 50), [10, 20, 49, 50])
    rated = [name for name, strategy in STRATEGIES.items() if strategy.rate(settings(0.02))]
    assert list(table.index) == rated
    assert rated[3:] == ["validation_mean_plus_k_std", "validation_percentile"]
    row = table.loc["conformal"]
    # 49 is tied with the highest calibration score and no alarm; 50 is one
    assert (row.alarms, row.test_clips, row.delivered) == (1, 4, 0.25)
    assert (row.delivered_low, row.delivered_high) == binomial_interval(1, 4, 0.95)
    assert (row.calibration_clips, row.clips_needed, row.note) == (49, 49, "")
    assert table.rate.tolist() == [0.02, 0.02, 0.02, pytest.approx(0.022750132), 0.05]
    assert table.holds.str.len().gt(0).all()
    # the 95th percentile of 1 to 49 is 46.6
    row = table.loc["validation_percentile"]
    assert (row.threshold, row.alarms) == (pytest.approx(46.6), 2)


def test_the_table_without_enough_clips_and_without_test_clips():
    table = one_group(np.arange(1.0, 19), [30])
    assert math.isnan(table.threshold["conformal"])
    assert math.isnan(table.delivered["conformal"])
    assert "49 are needed for 1 in 50" in table.note["conformal"]
    assert table.delivered["student_t"] == 1
    assert "18 normal clips can promise no rate below" in table.note["validation_percentile"]
    assert table.delivered["validation_percentile"] == 1
    alone = one_group(np.arange(1.0, 50), [])
    assert alone[["alarms", "delivered", "delivered_low", "delivered_high"]].isna().all(axis=None)
    assert alone.threshold.notna().all()


def test_promised_and_delivered_for_all_and_for_each_machine_id():
    groups = [
        ("00", "validation", "normal", (1, 2, 3, 4)),
        ("00", "test", "normal", (2, 3, 5)),
        ("00", "test", "anomalous", (4, 6, 7, 8, 9)),
        ("02", "validation", "normal", (10, 20, 30, 40)),
        ("02", "test", "normal", (25,)),
        ("02", "test", "unknown", (99,)),
    ]
    rows = [(*group, float(score)) for *group, scores in groups for score in scores]
    clips = pd.DataFrame(rows, columns=["machine_id", "split", "label", "score"])
    clips["foreign"] = False
    clips["clip_id"] = [f"{number}.wav" for number in range(len(clips))]
    calibration = CalibrationScores.from_table(clips[clips.split == "validation"])
    table = calibration_table(clips, calibration, settings(0.2), confidence=0.95)
    assert list(table.columns) == ["per", "machine_id", *CALIBRATION_COLUMNS]
    of_all = table[(table.strategy == "conformal") & (table.per == "machine_type")].iloc[0]
    rows = table[(table.strategy == "conformal") & (table.per == "machine_id")]
    rows = rows.set_index("machine_id")
    assert list(rows.index) == ["00", "02"]
    # of the normal test clips 2, 3 and 5 the last is above 4
    row = rows.loc["00"]
    assert (row.alarms, row.test_clips, row.delivered) == (1, 3, pytest.approx(1 / 3))
    assert row.delivered_low < 1 / 3 < row.delivered_high
    assert (rows.loc["02"].calibration_clips, rows.loc["02"].alarms) == (4, 0)
    assert (of_all.calibration_clips, of_all.test_clips) == (8, 4)
    # one threshold for both says nothing of each alone
    assert of_all.holds.endswith("for the mixture of machine IDs, not for each")
    assert rows.holds["00"] == "always, if the clips are exchangeable"


def test_foreign_clips_are_delivered_alarms_and_count_in_the_conformal_threshold():
    scores = [float(score) for score in range(1, 50)]
    foreign = tuple(score == 3 for score in scores)
    table = one_group(scores, [np.inf, 48.5, 47.5, 10], rate=0.04, foreign=foreign)
    # two alarms are allowed of 49, and the foreign one is the first
    assert table.threshold["conformal"] == np.nextafter(49, np.inf)
    assert (table.alarms["conformal"], table.delivered["conformal"]) == (1, 0.25)
    # others promise for the score alone, and are measured by the whole verdict
    assert table.threshold["validation_percentile"] == pytest.approx(46.6)
    assert table.alarms["validation_percentile"] == 3
    none = one_group(scores, [np.inf], rate=0.02, foreign=foreign).loc["conformal"]
    assert np.isnan(none.threshold)
    assert np.isnan(none.delivered)
    assert none.clips_needed == 99
    assert none.note.startswith(
        "1 of 49 normal clips is foreign among the others, and so anomalous whatever the "
        "threshold, where 1 in 50 leaves room for 0; 99 are needed for as many"
    )


def test_with_folds_nothing_is_said_to_be_proven():
    proven = one_group(np.arange(1.0, 50), []).holds
    observed = one_group(np.arange(1.0, 50), [], in_folds=True).holds
    assert proven["conformal"] == "always, if the clips are exchangeable"
    assert observed["conformal"] == "observed, not proven, with folds"
    assert observed.str.contains("not proven").all()
    assert not proven.str.contains("not proven").any()


def calibrated(*machine_ids):
    """Return normal clips with the scores 0 to 8 of each machine ID, and their calibration."""
    rows = [(name, split, float(number)) for name in machine_ids for number in range(9)
            for split in ("validation", "test")]  # fmt: skip
    clips = pd.DataFrame(rows, columns=["machine_id", "split", "score"])
    clips = clips.assign(label="normal", foreign=False)
    clips["clip_id"] = [f"{number}.wav" for number in range(len(clips))]
    return clips, CalibrationScores.from_table(clips[clips.split == "validation"])


def test_a_machine_id_called_all_is_one_of_several():
    clips, calibration = calibrated("00", "all")
    table = calibration_table(clips, calibration, settings(0.2), confidence=0.95)
    rows = table[table.strategy == "conformal"].set_index(["per", "machine_id"])
    assert rows.calibration_clips.to_dict() == {
        ("machine_type", ""): 18,
        ("machine_id", "00"): 9,
        ("machine_id", "all"): 9,
    }


def test_clips_that_no_threshold_decides_are_no_false_alarms():
    clips, calibration = calibrated("00")
    unseen = clips.iloc[:1].assign(machine_id="07", split="test", score=99.0)
    table = calibration_table(
        pd.concat([clips, unseen]), calibration, settings(0.2), confidence=0.95
    )
    row = table[(table.strategy == "conformal") & (table.per == "machine_type")].iloc[0]
    assert row.test_clips == 9
