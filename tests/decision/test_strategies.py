import math
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats
from scipy.special import digamma

from anomalous_sound.configuration.decision import StrategyName, ThresholdSettings
from anomalous_sound.decision.strategies import (
    STRATEGIES,
    conformal,
    gamma,
    student_t,
    validation_mean,
    validation_mean_plus_k_std,
    validation_mean_plus_variance,
    validation_percentile,
)
from anomalous_sound.errors import InputError


def settings(**changes):
    values = {
        "per": "machine_type",
        "false_alarm_rate": 0.2,
        "k": 2.0,
        "percentile": 90.0,
        "tpr": 0.8,
        "deployed": "conformal",
        "fallback": "validation_mean",
    }
    return ThresholdSettings(**values | changes)


def test_the_registry_holds_every_name_that_settings_accept():
    assert tuple(STRATEGIES) == get_args(StrategyName)
    for name, strategy in STRATEGIES.items():
        assert strategy.name == name
        threshold = strategy.threshold(np.arange(1.0, 50), settings())
        assert threshold.strategy == name
        assert threshold.given
        assert threshold.clips == 49


def test_thresholds_by_hand():
    scores, rules = np.array([1.0, 2, 3, 4]), settings()
    variance = (1.5**2 + 0.5**2 + 0.5**2 + 1.5**2) / 3
    expected = {
        "conformal": float(np.nextafter(4, 5)),
        "validation_mean": 2.5,
        "validation_mean_plus_variance": 2.5 + variance,
        "validation_mean_plus_k_std": 2.5 + 2 * variance**0.5,
        "validation_percentile": 3.7,
    }
    found = {name: STRATEGIES[name].threshold(scores, rules).value for name in expected}
    assert found == pytest.approx(expected)


def test_rates_that_are_promised_and_rates_that_are_implied():
    rules = settings(false_alarm_rate=0.02, k=2.0, percentile=95.0)
    rates = {name: strategy.rate(rules) for name, strategy in STRATEGIES.items()}
    assert rates == {
        "conformal": 0.02,
        "student_t": 0.02,
        "gamma": 0.02,
        "validation_mean": None,
        "validation_mean_plus_variance": None,
        "validation_mean_plus_k_std": pytest.approx(0.022750132),
        "validation_percentile": 0.05,
    }
    promising = [name for name, strategy in STRATEGIES.items() if strategy.promises]
    assert promising == ["conformal", "student_t", "gamma"]
    for name, strategy in STRATEGIES.items():
        assert bool(strategy.holds) == (rates[name] is not None)


def test_too_few_clips_promise_nothing():
    threshold = conformal(np.arange(20.0), 1 / 50)
    assert not threshold.given
    assert math.isnan(threshold.value)
    assert (threshold.clips, threshold.clips_needed) == (20, 49)
    assert threshold.note == (
        "20 normal clips can promise no rate below 1 in 21; 49 are needed for 1 in 50"
    )
    assert conformal(np.array([1.0]), 0.1).note.startswith(
        "1 normal clip can promise no rate below 1 in 2;"
    )
    assert conformal(np.array([]), 0.02).note == (
        "there is no calibration clip; 49 are needed for 1 in 50"
    )


def test_a_spread_needs_two_clips_and_a_mean_one():
    one, none = np.array([3.0]), np.array([])
    assert validation_mean(one).value == 3
    for of_scores in (
        validation_mean_plus_variance,
        lambda scores: validation_mean_plus_k_std(scores, 2.0),
    ):
        assert not of_scores(one).given
        assert of_scores(one).note == "a spread needs two validation clips or more"
        assert of_scores(none).note == "there are no normal clips to calibrate with"
        assert of_scores(np.array([3.0, 3.0])).value == 3
    assert not validation_mean(none).given
    assert validation_mean(none).note == "there are no normal clips to calibrate with"


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1])
def test_gamma_threshold_of_very_many_clips_is_the_gamma_quantile(rate):
    scores = np.random.default_rng(1).gamma(3.0, 2.0, size=200_000)
    exact = stats.gamma.ppf(1 - rate, 3.0, scale=2.0)
    assert gamma(scores, rate).value == pytest.approx(exact, rel=0.01)


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
    assert gamma(scores, 0.05).value == pytest.approx(exact, rel=1e-5)


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
    threshold = gamma(np.array(scores), 0.05)
    assert not threshold.given
    assert threshold.note == why


def test_mean_plus_k_std_and_student_t_in_closed_form():
    scores = np.array([1.0, 2, 3])  # mean 2, deviation 1
    assert validation_mean_plus_k_std(scores, stats.norm.isf(0.05)).value == pytest.approx(
        2 + 1.6448536
    )
    # t of 2 degrees of freedom has the quantile (2q − 1)·√(2 / (4q(1 − q))); 2.91999 at 0.95
    quantile = 0.9 * math.sqrt(2 / (4 * 0.95 * 0.05))
    assert quantile == pytest.approx(2.91999, abs=1e-5)
    expected = 2 + quantile * math.sqrt(4 / 3)
    assert student_t(scores, 0.05).value == pytest.approx(expected)
    # and of 1 degree of freedom (Cauchy) tan(π(q − 1/2))
    expected = 1 + math.tan(math.pi * 0.4) * math.sqrt(2) * math.sqrt(1.5)
    assert student_t(np.array([0.0, 2]), 0.1).value == pytest.approx(expected)


@pytest.mark.parametrize("clips", [2, 5, 20])
def test_student_t_is_exact_for_normal_scores_and_mean_plus_k_std_is_not(clips):
    rng = np.random.default_rng(clips)
    draws = rng.normal(5, 3, size=(2000, clips))
    rules = settings(false_alarm_rate=0.1, k=float(stats.norm.isf(0.1)))
    delivered = {}
    for name in ("student_t", "validation_mean_plus_k_std"):
        assert STRATEGIES[name].rate(rules) == pytest.approx(0.1)
        thresholds = [STRATEGIES[name].threshold(scores, rules).value for scores in draws]
        delivered[name] = stats.norm.sf(thresholds, 5, 3).mean()
    assert delivered["student_t"] == pytest.approx(0.1, abs=0.01)
    assert delivered["validation_mean_plus_k_std"] > 0.1


def test_percentile_is_numpys_and_never_above_the_highest_score():
    scores = np.arange(21.0)
    threshold = validation_percentile(scores, 95.0)
    assert (threshold.value, threshold.note) == (19.0, "")
    rare = validation_percentile(scores, 98.0)
    assert rare.value == pytest.approx(19.6)
    assert "21 normal clips can promise no rate below 1 in 22" in rare.note
    none = validation_percentile(np.array([]), 90.0)
    assert none.note == "there are no normal clips to calibrate with"


def test_percentile_delivers_more_than_asked_for_of_uniform_scores():
    rng = np.random.default_rng(3)
    delivered = [1 - validation_percentile(rng.random(20), 95.0).value for _ in range(4000)]
    assert np.mean(delivered) == pytest.approx((1 + 0.05 * 19) / 21, abs=0.003)


@pytest.mark.parametrize("rate", [0, 1, -0.1, float("nan")])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ValidationError, match="false_alarm_rate"):
        settings(false_alarm_rate=rate)
    with pytest.raises(InputError, match="false-alarm rate"):
        conformal(np.array([1.0, 2, 3]), rate)


@pytest.mark.parametrize("scores", [[1.0, np.nan], [1.0, np.inf], [[1.0, 2.0]]])
@pytest.mark.parametrize("name", STRATEGIES)
def test_scores_that_are_not_one_finite_number_each_are_refused(name, scores):
    if name == "conformal" and np.isinf(scores).any():
        assert STRATEGIES[name].threshold(np.array(scores), settings(false_alarm_rate=0.7)).given
        return  # above any score: it is foreign
    with pytest.raises(InputError, match="one finite number a clip"):
        STRATEGIES[name].threshold(np.array(scores), settings(false_alarm_rate=0.1))
