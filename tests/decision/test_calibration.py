import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma

from anomalous_sound.decision.calibration import (
    CALIBRATE,
    CALIBRATION_COLUMNS,
    STRATEGIES,
    binomial_interval,
    calibrate_by_machine_id,
    calibrate_pooled,
    calibration_table,
    clips_needed,
    conformal_p_value,
    conformal_rate_interval,
    conformal_threshold,
    cross_conformal_bound,
    cross_conformal_p_values,
    gamma_threshold,
    in_words,
    normal_threshold,
    percentile_threshold,
    student_t_threshold,
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
        assert conformal_threshold(np.arange(float(needed)), rate).given
        if needed:
            assert not conformal_threshold(np.arange(needed - 1.0), rate).given


def test_too_few_clips_promise_nothing():
    threshold = conformal_threshold(np.arange(20.0), 1 / 50)
    assert not threshold.given
    assert math.isnan(threshold.value)
    assert (threshold.clips, threshold.clips_needed) == (20, 49)
    assert threshold.note == (
        "20 normal clips can promise no rate below 1 in 21; 49 are needed for 1 in 50"
    )
    assert conformal_threshold(np.array([]), 0.02).note == (
        "there is no calibration clip; 49 are needed for 1 in 50"
    )


def test_conformal_threshold_by_hand():
    # 49 clips, 1 in 50: just above the highest; 99 clips: just above the second highest
    assert conformal_threshold(np.arange(49.0), 0.02).value == np.nextafter(48, 49)
    assert conformal_threshold(np.arange(99.0)[::-1], 0.02).value == np.nextafter(97, 98)
    # 100·0.29 is 28.999999999999996 in floating point, but 29 in 100 is 0.29
    assert conformal_threshold(np.arange(99.0), 0.29).value == np.nextafter(70, 71)


@pytest.mark.parametrize("clips", [1, 2, 4, 6])
@pytest.mark.parametrize("rate", RATES)
def test_all_orders_are_equally_likely_so_the_rate_is_kept(clips, rate):
    alarms = total = 0
    for *calibration, new in itertools.permutations(range(clips + 1)):
        alarms += new >= conformal_threshold(np.array(calibration), rate).value
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
            if new >= conformal_threshold(np.array(calibration, float), rate).value:
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
        threshold = conformal_threshold(calibration, rate).value
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
    # 49 clips, 1 in 50: the highest of 49 uniform scores u has P(1 − u ≤ x) = 1 − (1 − x)^49
    low, high = conformal_rate_interval(49, 0.02, 0.9)
    assert low == pytest.approx(1 - 0.95 ** (1 / 49))
    assert high == pytest.approx(1 - 0.05 ** (1 / 49))
    assert np.isnan(conformal_rate_interval(48, 0.02, 0.9)).all()
    rng = np.random.default_rng(0)
    draws = rng.random((4000, 99))
    rates = np.array([1 - conformal_threshold(scores, 0.05).value for scores in draws])
    low, high = conformal_rate_interval(99, 0.05, 0.9)
    assert np.mean(rates) == pytest.approx(0.05, abs=0.0015)
    assert np.mean((rates > low) & (rates < high)) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1])
def test_gamma_threshold_of_very_many_clips_is_the_gamma_quantile(rate):
    scores = np.random.default_rng(1).gamma(3.0, 2.0, size=200_000)
    exact = stats.gamma.ppf(1 - rate, 3.0, scale=2.0)
    assert gamma_threshold(scores, rate).value == pytest.approx(exact, rel=0.01)
    shifted = gamma_threshold(scores - 10, rate, location=-10)
    assert shifted.value == pytest.approx(exact - 10, rel=0.05, abs=0.15)


def test_gamma_fit_satisfies_the_likelihood_equations():
    scores = np.random.default_rng(2).gamma(2.0, size=30)
    # at the maximum: shape·scale is the mean, and log(shape) − digamma(shape) a known number
    target = np.log(scores.mean()) - np.log(scores).mean()
    low, high = 1e-3, 1e3
    for _ in range(200):
        shape = math.sqrt(low * high)
        above = math.log(shape) - float(digamma(shape)) > target
        low, high = (shape, high) if above else (low, shape)
    exact = stats.gamma.ppf(0.95, shape, scale=scores.mean() / shape)
    assert gamma_threshold(scores, 0.05).value == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize(
    ("scores", "why"),
    [
        ([1.0, 0.0, 2.0], "a gamma distribution needs scores above 0; the lowest is 0"),
        ([-1.5, 2.0], "a gamma distribution needs scores above 0; the lowest is -1.5"),
        ([1.0], "a spread needs two calibration clips or more"),
        ([2.0, 2.0], "the scores of the calibration clips do not differ"),
        ([1.0, 1.0 + 1e-12], "the scores of the calibration clips hardly differ"),
        ([], "a spread needs two calibration clips or more"),
    ],
)
def test_gamma_threshold_says_why_it_cannot_be_given(scores, why):
    threshold = gamma_threshold(np.array(scores), 0.05)
    assert not threshold.given
    assert threshold.note == why


def test_normal_and_student_t_in_closed_form():
    scores = np.array([1.0, 2, 3])  # mean 2, deviation 1
    assert normal_threshold(scores, 0.05).value == pytest.approx(2 + 1.6448536)
    # t of 2 degrees of freedom has the quantile (2q − 1)·√(2 / (4q(1 − q))); 2.91999 at 0.95
    quantile = 0.9 * math.sqrt(2 / (4 * 0.95 * 0.05))
    assert quantile == pytest.approx(2.91999, abs=1e-5)
    expected = 2 + quantile * math.sqrt(4 / 3)
    assert student_t_threshold(scores, 0.05).value == pytest.approx(expected)
    # and of 1 degree of freedom (Cauchy) tan(π(q − 1/2))
    expected = 1 + math.tan(math.pi * 0.4) * math.sqrt(2) * math.sqrt(1.5)
    assert student_t_threshold(np.array([0.0, 2]), 0.1).value == pytest.approx(expected)


@pytest.mark.parametrize("clips", [2, 5, 20])
def test_student_t_is_exact_for_normal_scores_and_normal_is_not(clips):
    rng = np.random.default_rng(clips)
    draws = rng.normal(5, 3, size=(2000, clips))
    delivered = {}
    for strategy in ("student_t", "normal"):
        thresholds = [CALIBRATE[strategy](scores, 0.1).value for scores in draws]
        delivered[strategy] = stats.norm.sf(thresholds, 5, 3).mean()
    assert delivered["student_t"] == pytest.approx(0.1, abs=0.01)
    assert delivered["normal"] > 0.1


def test_percentile_is_numpys_and_never_above_the_highest_score():
    scores = np.arange(21.0)
    threshold = percentile_threshold(scores, 0.05)
    assert (threshold.value, threshold.note) == (19.0, "")
    rare = percentile_threshold(scores, 0.02)
    assert rare.value == pytest.approx(19.6)
    assert "21 normal clips can promise no rate below 1 in 22" in rare.note
    assert percentile_threshold(np.array([]), 0.1).note == "there is no calibration clip"


def test_percentile_delivers_more_than_asked_for_of_uniform_scores():
    rng = np.random.default_rng(3)
    delivered = [1 - percentile_threshold(rng.random(20), 0.05).value for _ in range(4000)]
    assert np.mean(delivered) == pytest.approx((1 + 0.05 * 19) / 21, abs=0.003)


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
    calibration, test = np.arange(1.0, 50), np.array([10.0, 20, 49, 50])
    table = calibration_table(calibration, 0.02, normal_test_scores=test).set_index("strategy")
    assert [table.index.name, *table.columns] == CALIBRATION_COLUMNS
    assert tuple(table.index) == STRATEGIES
    row = table.loc["conformal"]
    # 49 is tied with the highest calibration score and no alarm; 50 is one
    assert (row.alarms, row.test_clips, row.delivered) == (1, 4, 0.25)
    assert (row.delivered_low, row.delivered_high) == binomial_interval(1, 4, 0.95)
    assert (row.calibration_clips, row.clips_needed, row.note) == (49, 49, "")
    assert table.rate.eq(0.02).all()
    assert table.holds.str.len().gt(0).all()


def test_the_table_without_enough_clips_and_without_test_clips():
    table = calibration_table(np.arange(1.0, 21), 0.02, normal_test_scores=np.array([30.0]))
    table = table.set_index("strategy")
    assert math.isnan(table.threshold["conformal"])
    assert math.isnan(table.delivered["conformal"])
    assert "49 are needed for 1 in 50" in table.note["conformal"]
    assert table.delivered["student_t"] == 1
    alone = calibration_table(np.arange(1.0, 21), 0.02, strategies=["student_t", "normal"])
    assert list(alone.strategy) == ["student_t", "normal"]
    assert alone[["alarms", "delivered", "delivered_low", "delivered_high"]].isna().all(axis=None)
    assert alone.threshold.notna().all()


def test_each_machine_id_gets_its_own_threshold():
    scores = np.concatenate([np.arange(9.0), 100 + np.arange(19.0), [7.0]])
    ids = np.array(["00"] * 9 + ["02"] * 19 + ["04"])
    thresholds = calibrate_by_machine_id(scores, ids, 0.1)
    assert list(thresholds) == ["00", "02", "04"]
    assert thresholds["00"].value == np.nextafter(8, 9)
    assert thresholds["02"].value == np.nextafter(117, 118)
    assert not thresholds["04"].given
    assert "1 normal clip can promise no rate below 1 in 2;" in thresholds["04"].note


def test_pooled_is_one_threshold_and_says_that_it_holds_only_about():
    scores = np.arange(9.0)
    ids = np.array(["00", "02", "04"] * 3)
    thresholds = calibrate_pooled(scores, ids, 0.1)
    assert list(thresholds) == ["00", "02", "04"]
    assert {found.value for found in thresholds.values()} == {np.nextafter(8, 9)}
    assert "pooled over 3 machine IDs" in thresholds["00"].note
    assert "only about" in thresholds["00"].note
    assert "pooled" not in calibrate_pooled(scores[:4], ids[:4], 0.1)["00"].note


def test_cross_conformal_p_values_by_hand():
    calibration = [np.array([1.0, 2]), np.array([10.0, 20, 30])]
    test = np.array([[0.0, 2, 3, 3, 3], [5, 20, 31, 20, np.nan]])
    expected = [1, 4 / 6, 1 / 6, 3 / 6, np.nan]
    assert cross_conformal_p_values(calibration, test) == pytest.approx(expected, nan_ok=True)
    sure = cross_conformal_p_values(calibration, test, guaranteed=True)
    assert sure == pytest.approx([1, 1, 4 / 7, 1, np.nan], nan_ok=True)


def test_guaranteed_p_values_are_twice_the_weighted_mean_of_the_folds():
    rng = np.random.default_rng(4)
    calibration, test = [rng.normal(size=n) for n in (3, 7, 5)], rng.normal(1.5, size=(3, 40))
    by_fold = [conformal_p_value(c, t) for c, t in zip(calibration, test, strict=True)]
    expected = np.minimum(2 * np.average(by_fold, axis=0, weights=[4, 8, 6]), 1)
    found = cross_conformal_p_values(calibration, test, guaranteed=True)
    assert found == pytest.approx(expected)


def memorised(training, clips):
    """Score like a network that knows its training clips by heart and nothing else."""
    return np.array([0.0 if clip in training else 1.0 for clip in clips])


def far_from_mean(training, clips):
    return np.abs(np.asarray(clips) - np.mean(training))


def nearest(training, clips):
    return np.min(np.abs(np.subtract.outer(clips, training)), axis=1)


def deal(clips, folds):
    """Return the positions of the clips of each fold, dealt in turn."""
    return [list(range(fold, clips, folds)) for fold in range(folds)]


def cross_conformal(detector, values, new, folds, **settings):
    calibration, test = [], []
    for held_out in folds:
        training = [value for i, value in enumerate(values) if i not in held_out]
        calibration.append(detector(training, [values[i] for i in held_out]))
        test.append(detector(training, [new]))
    return cross_conformal_p_values(calibration, np.array(test), **settings)[0]


@pytest.mark.parametrize("detector", [memorised, far_from_mean, nearest])
@pytest.mark.parametrize("folds", [2, 4])
def test_cross_conformal_bounds_hold_over_all_draws(detector, folds):
    clips, values = 4, (0.0, 1.0, 3.0, 9.0)
    dealt = deal(clips, folds)
    draws = list(itertools.product(values, repeat=clips + 1))
    plain = np.array([cross_conformal(detector, draw[:-1], draw[-1], dealt) for draw in draws])
    sure = np.array(
        [cross_conformal(detector, draw[:-1], draw[-1], dealt, guaranteed=True) for draw in draws]
    )
    for rate in np.arange(1, 20) / 20:
        bound = cross_conformal_bound(rate, [len(fold) for fold in dealt])
        assert np.mean(plain <= rate) <= bound + 1e-12
        assert np.mean(sure <= rate) <= rate + 1e-12


def test_cross_conformal_is_about_the_rate_where_scores_of_training_clips_are_not():
    rng = np.random.default_rng(5)
    found = {"cross": [], "training": []}
    for _ in range(1500):
        values, new = rng.normal(size=20), rng.normal()
        found["cross"].append(cross_conformal(nearest, values, new, deal(20, 5)))
        # what not to do: the distance of training clips to themselves is 0
        found["training"].append(conformal_p_value(nearest(values, values), nearest(values, [new])))
    assert np.mean(np.array(found["cross"]) <= 0.1) == pytest.approx(0.1, abs=0.025)
    assert np.mean(np.array(found["training"]) <= 0.1) > 0.9


def test_cross_conformal_bound_by_hand():
    # 100 clips in 5 folds, 1 in 50: m = 2
    assert cross_conformal_bound(0.02, [20] * 5) == pytest.approx(2 * (2 + 4) / 105)
    # leave one out: m = 2, and no more than twice the rate (jackknife+)
    assert cross_conformal_bound(0.02, [1] * 100) == pytest.approx(3 / 101)
    assert cross_conformal_bound(0.02, [10] * 4) == 0  # 40 clips: no p-value is that small
    assert cross_conformal_bound(0.9, [5, 6]) == 1
    for clips, folds, rate in itertools.product((20, 60, 100), (2, 5, 10, 20), (0.05, 0.1)):
        published = min(
            2 * (1 - 1 / folds) / (clips / folds + 1), (1 - folds / clips) / (folds + 1)
        )
        bound = cross_conformal_bound(rate, [clips // folds] * folds)
        assert bound <= 2 * rate + published + 1e-12


@pytest.mark.parametrize("rate", [0, 1, -0.1, float("nan")])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_rate_that_is_none_is_refused(strategy, rate):
    with pytest.raises(InputError, match="false-alarm rate"):
        CALIBRATE[strategy](np.array([1.0, 2, 3]), rate)


@pytest.mark.parametrize("scores", [[1.0, np.nan], [1.0, np.inf], [[1.0, 2.0]]])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_scores_that_are_none_are_refused(strategy, scores):
    with pytest.raises(InputError, match="one finite number a clip"):
        CALIBRATE[strategy](np.array(scores), 0.1)


def test_groups_and_folds_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="3 scores and 2 machine IDs"):
        calibrate_by_machine_id(np.arange(3.0), np.array(["00", "02"]), 0.1)
    with pytest.raises(InputError, match="one row for each of the 2 folds"):
        cross_conformal_p_values([np.arange(3.0)] * 2, np.zeros((3, 4)))
    for folds in ([np.arange(3.0)], [np.arange(3.0), np.array([])]):
        with pytest.raises(InputError, match="two folds or more"):
            cross_conformal_p_values(folds, np.zeros((len(folds), 4)))


def test_rates_in_words():
    assert [in_words(rate) for rate in (0.02, 1 / 3, 0.03)] == ["1 in 50", "1 in 3", "3 in 100"]
