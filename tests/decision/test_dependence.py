"""Looks that hang together are told once, independent ones are not."""

import numpy as np
import pytest

from anomalous_sound.decision.dependence import DependenceCheck


def test_the_correlation_is_that_of_numpy():
    scores = 5 + np.random.default_rng(0).standard_normal(200).cumsum()
    check = DependenceCheck()
    for score in scores:
        check.add(score)
    assert check.correlation == pytest.approx(np.corrcoef(scores[:-1], scores[1:])[0, 1])


def test_what_does_not_follow_is_no_pair():
    check = DependenceCheck()
    for score in np.repeat(np.random.default_rng(0).standard_normal(100), 2):
        check.gap()
        check.add(score)
    assert check.correlation == 0.0


def test_independent_looks_are_left_alone():
    rng, told = np.random.default_rng(1), 0
    for _ in range(100):
        check = DependenceCheck()
        told += any(check.add(score) is not None for score in rng.exponential(size=1500))
    assert told <= 2


def test_looks_that_hang_together_are_told_once():
    rng, check, told, score = np.random.default_rng(2), DependenceCheck(), [], 0.0
    for _ in range(2000):
        score = 0.5 * score + rng.standard_normal()
        if (found := check.add(score)) is not None:
            told.append(found)
    (one,) = told
    assert 50 < one.looks < 300
    assert one.correlation > 0.25
    alike = DependenceCheck()
    assert not any(alike.add(1.0) for _ in range(200))
