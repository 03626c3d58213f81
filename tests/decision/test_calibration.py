import itertools
import json
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from anomalous_sound.decision.calibration import (
    CalibrationScores,
    clips_needed,
    conformal_p_value,
    conformal_threshold,
    in_words,
)
from anomalous_sound.errors import InputError

RATES = (0.02, 0.05, 0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 2 / 3, 0.9)


@pytest.mark.parametrize(
    ("rate", "clips"), [(0.5, 1), (1 / 3, 2), (0.1, 9), (0.05, 19), (0.02, 49), (0.03, 33)]
)
def test_clips_needed_by_hand(rate, clips):
    assert clips_needed(rate) == clips


def test_clips_needed_is_the_least_number_that_gives_a_threshold():
    for part in range(2, 400):
        assert clips_needed(1 / part) == part - 1
    for rate in RATES:
        needed = clips_needed(rate)
        assert math.isfinite(conformal_threshold(np.arange(float(needed)), rate))
        if needed:
            assert math.isnan(conformal_threshold(np.arange(needed - 1.0), rate))


def test_conformal_threshold_by_hand():
    # 49 clips, 1 in 50: just above the highest; 99 clips: just above the second highest
    assert conformal_threshold(np.arange(49.0), 0.02) == np.nextafter(48, 49)
    assert conformal_threshold(np.arange(99.0)[::-1], 0.02) == np.nextafter(97, 98)
    # 100·0.29 is 28.999999999999996 in floating point, but 29 in 100 is 0.29
    assert conformal_threshold(np.arange(99.0), 0.29) == np.nextafter(70, 71)


@pytest.mark.parametrize("clips", [1, 2, 4, 6])
@pytest.mark.parametrize("rate", RATES)
def test_all_orders_are_equally_likely_so_the_rate_is_kept(clips, rate):
    alarms = total = 0
    for *calibration, new in itertools.permutations(range(clips + 1)):
        alarms += new >= conformal_threshold(np.array(calibration), rate)
        total += 1
    assert Fraction(alarms, total) == Fraction(int(rate * (clips + 1) + 1e-9), clips + 1)
    assert alarms / total <= rate


@pytest.mark.parametrize("seed", range(4))
def test_ties_keep_the_rate_under_every_discrete_distribution_tried(seed):
    rng = np.random.default_rng(seed)
    parts = rng.integers(1, 6, size=3)
    parts = [Fraction(int(part), int(parts.sum())) for part in parts]
    for clips, rate in itertools.product((1, 3, 5), RATES):
        alarm = Fraction(0)
        for *calibration, new in itertools.product(range(3), repeat=clips + 1):
            if new >= conformal_threshold(np.array(calibration, float), rate):
                alarm += math.prod(parts[value] for value in (*calibration, new))
        assert alarm <= rate


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_p_value_and_threshold_decide_alike(dtype):
    rng = np.random.default_rng(7)
    for _ in range(300):
        clips = int(rng.integers(1, 120))
        rate = float(rng.choice([*RATES, rng.uniform(0.001, 0.999), 1 / (clips + 1)]))
        digits = int(rng.integers(0, 4))  # few digits, many ties
        calibration = np.round(rng.normal(size=clips), digits).astype(dtype)
        scores = np.round(rng.normal(size=50), digits).astype(dtype)
        scores = np.concatenate([scores, calibration, np.nextafter(calibration, dtype(np.inf))])
        threshold = conformal_threshold(calibration, rate)
        by_p_value = conformal_p_value(calibration, scores) <= rate
        assert np.array_equal(scores >= threshold, by_p_value)
        assert np.array_equal(scores >= np.float64(threshold), by_p_value)


def test_p_values_by_hand():
    calibration = np.array([3.0, 1, 2, 2])
    scores = np.array([[0.0, 2, 2.5], [3, 4, np.nan]])
    expected = np.array([[1, 4 / 5, 2 / 5], [2 / 5, 1 / 5, np.nan]])
    assert conformal_p_value(calibration, scores) == pytest.approx(expected, nan_ok=True)
    assert float(conformal_p_value(calibration, 2.0)) == 4 / 5
    assert float(conformal_p_value(np.array([]), 2.0)) == 1


def test_the_rate_of_one_set_of_clips_is_beta_distributed():
    draws = np.random.default_rng(0).random((4000, 99))
    rates = np.array([1 - conformal_threshold(scores, 0.05) for scores in draws])
    # m = 5 of 99 clips: Beta(5, 95)
    low, high = stats.beta.ppf([0.05, 0.95], 5, 95)
    assert np.mean(rates) == pytest.approx(0.05, abs=0.0015)
    assert np.mean((rates > low) & (rates < high)) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("rate", [0, 1, -0.1, float("nan")])
def test_a_rate_out_of_range_is_refused(rate):
    for function in (clips_needed, lambda rate: conformal_threshold(np.arange(3.0), rate)):
        with pytest.raises(InputError, match="false-alarm rate"):
            function(rate)


def test_rates_in_words():
    assert [in_words(rate) for rate in (0.02, 1 / 3, 0.03)] == ["1 in 50", "1 in 3", "3 in 100"]


def two_machines():
    return CalibrationScores(
        ("a", "b", "c", "d", "e"), ("00", "02", "00", "00", "02"), (1.0, 20.0, 2.0, 3.0, 10.0)
    )


def test_calibration_scores_of_all_clips_and_of_one_machine_id():
    scores = two_machines()
    assert scores.values().tolist() == [1, 20, 2, 3, 10]
    assert scores.values("02").tolist() == [20, 10]
    assert scores.values("04").tolist() == []
    assert scores.values().dtype == np.float64


def test_scores_of_some_machine_ids():
    scores = CalibrationScores(("a", "b", "c"), ("00", "02", "00"), (1.0, 2.0, 3.0), True)
    assert scores.only(["00"]) == CalibrationScores(("a", "c"), ("00", "00"), (1.0, 3.0), True)
    assert scores.only(["07"]).scores == ()


def test_calibration_scores_survive_json_bit_by_bit():
    rng = np.random.default_rng(6)
    values = np.concatenate(
        [rng.normal(size=200) * 10.0 ** rng.integers(-300, 300, 200), [0.1, -0.0]]
    )
    names = [f"{number}.wav" for number in range(len(values))]
    table = pd.DataFrame({"clip_id": names, "machine_id": "00", "score": values})
    scores = CalibrationScores.from_table(table.assign(split="validation", label="normal"))
    again = CalibrationScores.from_json(json.loads(json.dumps(scores.to_json())))
    assert again == scores
    in_folds = CalibrationScores.from_table(table, in_folds=True)
    assert CalibrationScores.from_json(json.loads(json.dumps(in_folds.to_json()))) == in_folds
    assert again.values().tobytes() == values.tobytes()
    pd.testing.assert_frame_equal(again.table(), table, check_exact=True)


def test_float32_scores_keep_their_values():
    table = pd.DataFrame({"clip_id": ["a"], "machine_id": ["00"], "score": np.float32([0.1])})
    assert CalibrationScores.from_table(table).scores == (float(np.float32(0.1)),)


def test_p_values_among_all_clips_and_among_those_of_the_machine_id():
    new, ids = np.array([2.0, 15, 25, 15]), ["00", "02", "00", "04"]
    of_all = two_machines().p_values(new, ids, per="machine_type")
    assert of_all.tolist() == [5 / 6, 2 / 6, 1 / 6, 2 / 6]
    own = two_machines().p_values(new, ids, per="machine_id")
    # machine ID 04 has no calibration clip to be compared with
    assert own[:3].tolist() == [3 / 4, 2 / 3, 1 / 4]
    assert np.isnan(own[3])
    unknown = two_machines().p_values(np.array([2.0]), [None], per="machine_id")
    assert np.isnan(unknown).all()


@pytest.mark.parametrize("scores", [[1.0, np.nan], [1.0, np.inf], [[1.0, 2.0], [3.0, 4.0]]])
def test_calibration_scores_that_are_not_finite_numbers_are_refused(scores):
    with pytest.raises(InputError, match="one finite number a clip"):
        CalibrationScores(("a", "b"), ("00", "00"), tuple(scores))


def test_calibration_scores_of_different_lengths_are_refused():
    with pytest.raises(InputError, match="3 scores and 2 machine IDs"):
        CalibrationScores(("a", "b", "c"), ("00", "02"), (1.0, 2.0, 3.0))
    with pytest.raises(InputError, match="3 scores and 2 clip IDs"):
        CalibrationScores(("a", "b"), ("00", "02", "04"), (1.0, 2.0, 3.0))
