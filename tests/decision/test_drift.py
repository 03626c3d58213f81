"""A bet on uniform p-values is fair, false drifts are as rare as promised, and drift is found."""

import numpy as np
import pytest

from anomalous_sound.decision import drift
from anomalous_sound.decision.calibration import conformal_threshold
from anomalous_sound.decision.drift import DriftMonitor, Jumper


def capital_after(p_values):
    jumper, capital = Jumper(), 1.0
    for p_value in p_values:
        capital *= jumper.factor(p_value)
    return capital


def test_the_capital_is_that_of_the_source():
    # the algorithm of the paper, written down with sums that are not normalised
    p_values = np.random.default_rng(0).random(50) ** 2
    bets, jump = (-1, 0, 1), 0.01
    held = dict.fromkeys(bets, 1 / 3)
    for p_value in p_values:
        total = sum(held.values())
        held = {bet: (1 - jump) * held[bet] + jump / 3 * total for bet in bets}
        held = {bet: held[bet] * (1 + bet * (p_value - 0.5)) for bet in bets}
    assert capital_after(p_values) == pytest.approx(sum(held.values()))


def test_nothing_is_won_on_average_over_all_p_values():
    jumper_at = (np.arange(10) + 0.5) / 10  # a grid whose mean is that of the uniform law
    means = []
    for first in jumper_at:
        for second in jumper_at:
            means.append(capital_after([first, second]))
    assert np.mean(means) == pytest.approx(1.0)


def test_the_capital_rarely_grows_large():
    # Ville: P(capital ever >= 20) <= 1/20
    rng, often = np.random.default_rng(3), 0
    for _ in range(600):
        jumper, capital = Jumper(), 1.0
        for p_value in rng.random(400):
            capital *= jumper.factor(p_value)
            if capital >= 20:
                often += 1
                break
    assert often / 600 <= 1 / 20 + 4 * np.sqrt(0.05 * 0.95 / 600)


@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential", "ties"])
@pytest.mark.parametrize("clips", [3, 40])
def test_false_drifts_are_as_rare_as_promised(draw, clips):
    """The mean number of looks until one is at least what was asked for."""
    rng, limit, lengths = np.random.default_rng(4), 60.0, []

    def scores(count):
        if draw == "ties":
            return rng.integers(0, 4, count).astype(float)
        return getattr(rng, draw)(count)

    for _ in range(150):
        calibration = scores(clips)
        threshold = conformal_threshold(calibration, 0.25) if clips > 3 else np.inf
        monitor = DriftMonitor(calibration, threshold, looks=limit, rng=rng)
        heard = 0
        while heard < 3000:
            score = scores(1)[0]
            if score < threshold:
                heard += 1
                if monitor.add(score) is not None:
                    break
        lengths.append(heard)
    error = np.std(lengths) / np.sqrt(len(lengths))
    assert np.mean(lengths) >= limit - 4 * error


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_drift_is_found_with_its_direction(shift):
    rng = np.random.default_rng(5)
    monitor = DriftMonitor(rng.standard_normal(100), np.inf, looks=10_000, rng=rng)
    assert all(monitor.add(score) is None for score in rng.standard_normal(300))
    found, after = None, 0
    while found is None and after < 200:
        found, after = monitor.add(shift + rng.standard_normal()), after + 1
    assert found is not None
    assert found.higher == (shift > 0)
    assert found.looks == 300 + after
    assert found.compared_with == 100 + 300 + after
    assert monitor.statistic == 0.0  # it begins anew


def test_the_clip_that_set_the_threshold_is_not_compared_with():
    scores, rng = np.arange(10.0), np.random.default_rng(0)
    threshold = conformal_threshold(scores, 0.2)  # above the second of 10
    monitor = DriftMonitor(scores, threshold, looks=1.0, rng=rng)
    assert monitor.add(3.5).compared_with == 8 + 1  # 0 to 7, and itself


def test_no_more_scores_are_remembered_than_fit(monkeypatch):
    monkeypatch.setattr(drift, "_REMEMBERED", 50)
    rng = np.random.default_rng(6)
    monitor = DriftMonitor(rng.standard_normal(20), np.inf, looks=1e12, rng=rng)
    for score in rng.standard_normal(500):
        monitor.add(score)
    assert len(monitor._scores) == 50
