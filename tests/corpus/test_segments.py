"""Boundaries worked out by hand."""

import itertools
from types import SimpleNamespace

import pytest

from anomalous_sound.corpus.segments import clock_time, piece_id, spans


def cut(samples, rate=1000, segment_s=10.0, hop_s=None):
    settings = SimpleNamespace(segment_s=segment_s, segment_hop_s=hop_s)
    return [(span.start, span.stop) for span in spans(samples, rate, settings)]


@pytest.mark.parametrize("seconds", [0, 1, 10, 12, 18, 19.999])
def test_less_than_two_segments_is_one_clip(seconds):
    assert cut(int(seconds * 1000)) == [(0, int(seconds * 1000))]


def test_nothing_is_cut_where_no_segment_is_given():
    assert cut(3_600_000, segment_s=None) == [(0, 3_600_000)]


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (20_000, [(0, 10_000), (10_000, 20_000)]),
        # a rest of less than a tenth of a segment stays with the last clip
        (20_999, [(0, 10_000), (10_000, 20_999)]),
        # any other: a last clip that ends with the recording
        (21_000, [(0, 10_000), (10_000, 20_000), (11_000, 21_000)]),
        (37_500, [(0, 10_000), (10_000, 20_000), (20_000, 30_000), (27_500, 37_500)]),
    ],
)
def test_the_rest_is_never_lost(samples, expected):
    assert cut(samples) == expected


def test_clips_may_overlap():
    assert cut(22_000, hop_s=5.0) == [
        (0, 10_000),
        (5_000, 15_000),
        (10_000, 20_000),
        (12_000, 22_000),
    ]


def test_a_rate_that_does_not_divide_does_not_drift():
    # 1/3 s at 44.1 kHz are 14,700 samples; 0.1 s at 11025 Hz are 1102.5
    found = cut(11_025 * 3600, rate=11_025, segment_s=0.2, hop_s=0.1)
    assert found[-1] == (round(35_998 * 1102.5), 11_025 * 3600)
    assert all(stop - start in (2205, 2206) for start, stop in found)
    assert all(b[0] <= a[1] for a, b in itertools.pairwise(found))


def test_an_hour_is_360_clips_of_ten_seconds():
    assert len(cut(3600 * 16_000, rate=16_000)) == 360


def test_names_sort_in_time():
    names = [piece_id("a.wav", start) for start in (0.0, 9.5, 10.0, 100.0, 86_400.0)]
    assert names == sorted(names)
    assert names[1] == "a.wav@000009.500"


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0:00:00"), (59.9, "0:00:59"), (3620.0, "1:00:20")]
)
def test_clock_times(seconds, expected):
    assert clock_time(seconds) == expected
