import json

import numpy as np
import pytest
from events_of_clips import EVENTS, events_with

from anomalous_sound.scoring.events import EventLimits, find_events, fit_event_limits

WINDOWS, BANDS, STEP_S = 200, 40, 0.05
TIMES_S = STEP_S * np.arange(WINDOWS)
EDGES_HZ = 100.0 * np.arange(BANDS + 1)  # band n is from 100 n to 100 (n + 1) Hz
LIMITS = EventLimits(level=1.0, mass=60.0, peak=5.0, smooth_windows=5, smooth_bands=3)


def noise(seed):
    return np.random.default_rng(seed).normal(size=(WINDOWS, BANDS))


def found(deviations, limits=LIMITS, count=10):
    return find_events(deviations, limits, times_s=TIMES_S, band_edges_hz=EDGES_HZ, count=count)


def test_a_block_is_one_event_with_the_edges_of_the_block():
    deviations = np.zeros((WINDOWS, BANDS))
    deviations[60:100, 10:15] = 4.0
    deviations[70, 12] = 6.0
    (event,) = found(deviations)
    # window n lies around n steps
    assert (event.start_s, event.end_s) == pytest.approx((59.5 * STEP_S, 99.5 * STEP_S))
    assert (event.low_hz, event.high_hz) == (1000, 1500)
    assert (event.peak_s, event.peak_hz) == pytest.approx((70 * STEP_S, 1250))
    assert 0.9 < event.share <= 1


def test_a_line_through_the_whole_clip_is_one_event():
    deviations = 0.3 * noise(0)
    deviations[:, 20] += 4.0
    (event,) = found(deviations)
    assert event.start_s == pytest.approx(-STEP_S / 2)
    assert event.end_s == pytest.approx(TIMES_S[-1] + STEP_S / 2)
    assert event.low_hz <= 2000 and event.high_hz >= 2100
    assert event.high_hz - event.low_hz <= 300
    assert event.peak_hz == 2050


def test_blobs_are_events_of_their_own_heaviest_first():
    deviations = np.zeros((WINDOWS, BANDS))
    for strength, start in ((3.0, 10), (5.0, 80), (4.0, 150)):
        deviations[start : start + 10, 5:15] = strength
    events = found(deviations)
    assert [round(event.start_s / STEP_S + 0.5) for event in events] == [80, 150, 10]
    shares = [event.share for event in events]
    assert shares == pytest.approx([5 / 12, 4 / 12, 3 / 12], abs=0.03)  # smoothed edges
    assert found(deviations, count=2) == events[:2]


def test_what_is_short_and_strong_counts_although_it_is_light():
    deviations = np.zeros((WINDOWS, BANDS))
    deviations[100:103, 8:11] = 10.0  # averaged over 5 windows: 6, and a mass of 90
    heavy = EventLimits(level=1.0, mass=1000.0, peak=5.0, smooth_windows=5, smooth_bands=3)
    (event,) = found(deviations, heavy)
    assert (event.low_hz, event.high_hz) == (800, 1100)
    assert found(deviations / 2, heavy) == []


def test_where_nothing_is_above_normal_there_is_no_event():
    assert found(np.full((WINDOWS, BANDS), -1.0)) == []
    assert found(np.zeros((1, BANDS))) == []


def test_noise_has_events_no_more_often_than_normal_clips_may():
    settings = events_with(false_event_rate=0.1)
    limits = fit_event_limits(lambda: (noise(seed) for seed in range(100)), settings)
    of_new_clips = [bool(found(noise(1000 + seed), limits)) for seed in range(100)]
    # 0.1 of 100 clips, and three standard deviations of that count
    assert sum(of_new_clips) <= 10 + 3 * 3
    of_these = [bool(found(noise(seed), limits)) for seed in range(100)]
    assert sum(of_these) <= 10


def test_with_few_normal_clips_none_of_them_has_an_event():
    limits = fit_event_limits(lambda: (noise(seed) for seed in range(5)), EVENTS)
    assert [found(noise(seed), limits) for seed in range(5)] == [[]] * 5
    a_fault = noise(0)
    a_fault[50:90, 10:20] += 3
    (event,) = found(a_fault, limits)
    assert event.start_s == pytest.approx(2.5, abs=0.2)
    assert event.end_s == pytest.approx(4.5, abs=0.2)


def test_limits_go_to_json_and_back():
    limits = fit_event_limits(lambda: (noise(seed) for seed in range(3)), EVENTS)
    assert EventLimits.from_json(json.loads(json.dumps(limits.to_json()))) == limits
