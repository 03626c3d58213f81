"""What the samples of a clip say of the sensor."""

from itertools import pairwise

import numpy as np
import pytest

from anomalous_sound.decision.evidence import CREST, LEVEL, Evidence
from anomalous_sound.decision.sensor import Sensor, doubts, level_db
from anomalous_sound.decision.verdict import Signal, Verdict
from anomalous_sound.features.levels import full_scale_share, longest_constant
from anomalous_sound.vocabulary import Decision


def verdict(full_scale_share=0.0, constant_s=0.0, level=-20.0, level_strange=False, foreign=False):
    return Verdict(
        *(1.0, 2.0, Decision.NORMAL, 0.5, (), ()),
        signal=Signal(10.0, full_scale_share, constant_s),
        evidence=(
            Evidence(LEVEL, level, -22.0, -18.0, 9, 0.2, level_strange),
            Evidence(CREST, 12.0, 11.0, 15.0, 9, 0.9, foreign),
        ),
    )


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({}, []),
        ({"full_scale_share": 0.0009}, []),
        ({"full_scale_share": 0.001}, [Sensor.CLIPPING]),
        ({"constant_s": 0.24}, []),
        ({"constant_s": 0.25}, [Sensor.STUCK]),
        ({"level": -40.0, "level_strange": True}, [Sensor.LEVEL]),
        ({"foreign": True}, [Sensor.FOREIGN]),
        ({"full_scale_share": 0.5, "foreign": True}, [Sensor.CLIPPING, Sensor.FOREIGN]),
    ],
)
def test_what_is_doubted(given, kinds):
    assert [one.kind for one in doubts(verdict(**given))] == kinds


def test_a_jump_is_told_with_its_size():
    (one,) = doubts(verdict(level=-40.0, level_strange=True), level_before_db=-21.0)
    assert one.reason.endswith("(19 dB softer than just before)")
    assert level_db(verdict(level=-40.0)) == -40.0


def test_a_loud_fault_may_still_vote():
    assert not Sensor.LEVEL.forbids_votes
    assert Sensor.CLIPPING.forbids_votes


def test_samples_at_full_scale_are_counted():
    samples = np.array([0, 16000, 32767, -32768, 32765, -32765], np.int16) * np.float32(2**-15)
    assert full_scale_share(samples) == pytest.approx(2 / 6)


@pytest.mark.parametrize("seed", range(5))
def test_the_longest_run_is_found(seed):
    samples = np.random.default_rng(seed).integers(0, 3, 200)
    longest = run = 1
    for before, after in pairwise(samples):
        run = run + 1 if before == after else 1
        longest = max(longest, run)
    assert longest_constant(samples) == longest
    assert longest_constant(np.zeros(7)) == 7
    assert longest_constant(np.array([1.0])) == 1
