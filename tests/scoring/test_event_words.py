"""What events are called: no more than the deviation and the spectrogram show."""

import numpy as np
import pytest
from events_of_clips import EVENTS

from anomalous_sound.scoring.band_levels import BandLevels
from anomalous_sound.scoring.event_words import describe, frequency_range, in_hertz
from anomalous_sound.scoring.events import Event

FRAMES, BANDS, FRAME_S = 200, 40, 0.05
EDGES_HZ = 100.0 * np.arange(BANDS + 1)


def event(start_s, end_s, low_hz, high_hz, **changed):
    place = {"share": 0.1, "peak_s": (start_s + end_s) / 2, "peak_hz": (low_hz + high_hz) / 2}
    return Event(start_s, end_s, low_hz, high_hz, **place | changed)


def quiet():
    return np.full((FRAMES, BANDS), -40.0)


def words(events, decibels, levels=None):
    return describe(
        events,
        decibels,
        frame_s=FRAME_S,
        band_edges_hz=EDGES_HZ,
        levels=levels,
        settings=EVENTS.words,
    )


def test_a_narrow_line_that_rises_above_its_neighbours_is_a_tone():
    line = event(0.0, 10.0, 2800, 3000)
    decibels = quiet()
    assert words([line], decibels) == ["differs around 2.9 kHz all the time"]
    decibels[:, 28] = -20
    assert words([line], decibels) == ["a tone around 2.9 kHz"]
    assert words([event(2.0, 4.0, 2800, 3000)], decibels) == [
        "a tone around 2.9 kHz from 2.0 to 4.0 s"
    ]


def test_what_is_wide_is_no_tone():
    wide = event(0.0, 10.0, 1000, 3000)
    decibels = quiet()
    decibels[:, 10:30] = -20
    assert words([wide], decibels) == ["differs between 1 kHz and 3 kHz all the time"]


def levels(clip_db, normal_db):
    """Compare a clip with normal ones: dB of each band, or one number for all."""
    rows = [np.broadcast_to(np.asarray(row, float), BANDS) for row in normal_db]
    return BandLevels(np.broadcast_to(np.asarray(clip_db, float), BANDS), np.array(rows))


def in_bands(bands, decibels):
    """Return a spectrum that has so many dB in some bands, and 0 in the others."""
    spectrum = np.zeros(BANDS)
    spectrum[bands] = decibels
    return spectrum


LOW = slice(0, 10)
NORMAL = [in_bands(LOW, decibels) for decibels in (-1.0, 0.0, 1.0)]


@pytest.mark.parametrize(
    ("decibels", "how"),
    [(6.0, "louder"), (2.9, "differs"), (-2.9, "differs"), (-6.0, "quieter"), (0.5, "differs")],
)
def test_what_lasts_is_louder_or_quieter_than_in_all_normal_clips(decibels, how):
    low = event(0.0, 10.0, 0, 1000)
    found = words([low], quiet(), levels(in_bands(LOW, decibels), NORMAL))
    assert found == [f"{how} below 1 kHz all the time"]
    # with nothing to compare with, nothing is said
    assert words([low], quiet()) == ["differs below 1 kHz all the time"]


def test_a_level_that_a_normal_clip_has_too_is_not_louder():
    varied = [in_bands(LOW, decibels) for decibels in (-1.0, 0.0, 7.0)]
    found = words([event(0.0, 10.0, 0, 1000)], quiet(), levels(in_bands(LOW, 6.0), varied))
    assert found == ["differs below 1 kHz all the time"]


def test_a_gain_makes_nothing_louder():
    found = words([event(0.0, 10.0, 0, 1000)], quiet(), levels(20.0, NORMAL))
    assert found == ["differs below 1 kHz all the time"]


def test_where_most_frequencies_differ_nothing_is_called_louder():
    most = in_bands(slice(0, 21), 10.0)  # or the others are quieter
    found = words([event(0.0, 10.0, 0, 2100)], quiet(), levels(most, NORMAL))
    assert found == ["differs below 2.1 kHz all the time"]
    whole = words([event(0.0, 10.0, 0, 4000)], quiet(), levels(10.0, NORMAL))
    assert whole == ["differs at all frequencies all the time"]


def test_a_part_of_a_clip_is_not_compared_with_whole_ones():
    found = words([event(1.0, 7.0, 0, 1000)], quiet(), levels(in_bands(LOW, 20.0), NORMAL))
    assert found == ["differs below 1 kHz from 1.0 to 7.0 s"]


def test_two_that_last_are_not_several_times_all_the_time():
    lines = [event(0.0, 10.0, 2000, 2200), event(0.0, 10.0, 2000, 2200, share=0.05)]
    assert words(lines, quiet()) == ["differs around 2.1 kHz all the time"] * 2


def test_how_much_a_band_changed_is_the_mean_over_it_beside_the_others():
    clip = in_bands(slice(0, 2), [4.0, 8.0]) + 3.0
    # the mean of 4 and 8; that everything else has 3 dB more than in normal clips is a gain
    assert levels(clip, NORMAL).change_db(slice(0, 2)) == pytest.approx(6.0)
    assert levels(-clip, NORMAL).change_db(slice(0, 2)) == pytest.approx(-6.0)
    assert levels(clip, NORMAL).change_db(slice(0, 21)) == 0.0


def test_a_normal_clip_is_rarely_louder_or_quieter():
    rng = np.random.default_rng(3)
    many = rng.normal(0.0, 2.0, (2000, 10, BANDS))
    changed = [levels(one[0], one[1:]).change_db(slice(5, 9)) for one in many]
    # of ten that are alike, to be first or last: 1 in 5
    assert np.count_nonzero(changed) / 2000 == pytest.approx(0.2, abs=0.03)


def test_what_is_short_is_a_burst_if_it_rises_above_what_is_around_it():
    short = event(3.0, 3.2, 1000, 4000)
    decibels = quiet()
    assert words([short], decibels) == ["differs above 1 kHz at 3.1 s"]
    decibels[60:64, 10:] = -20
    assert words([short], decibels) == ["a burst above 1 kHz at 3.1 s"]
    decibels[60:64, 10:] = -60  # quieter, and not said to be
    assert words([short], decibels) == ["differs above 1 kHz at 3.1 s"]


def test_what_goes_on_for_a_while_is_no_burst():
    longer = event(1.0, 7.0, 1000, 4000)
    decibels = quiet()
    decibels[20:140, 10:] = -20
    assert words([longer], decibels) == ["differs above 1 kHz from 1.0 to 7.0 s"]


def series(*starts_s, length_s=0.2):
    return [event(start, start + length_s, 2000, 4000) for start in starts_s]


def loud_in(events):
    decibels = quiet()
    for one in events:
        decibels[round(one.start_s / FRAME_S) : round(one.end_s / FRAME_S), 20:] = -20
    return decibels


def test_regular_bursts_share_their_words():
    bursts = series(5.0, 1.0, 3.1, 2.0, 4.0)  # ranked, not in the order of time
    assert words(bursts, loud_in(bursts)) == ["bursts about once a second above 2 kHz"] * 5
    assert words(bursts, quiet()) == ["differs about once a second above 2 kHz"] * 5


def test_a_burst_too_faint_to_be_found_leaves_a_gap_of_two_periods():
    bursts = series(0.5, 1.0, 2.0, 2.5, 3.0)
    assert words(bursts, loud_in(bursts)) == ["bursts about 2 times a second above 2 kHz"] * 5


def test_a_slow_series_is_given_by_its_period():
    bursts = series(0.5, 2.5, 4.5, 6.5)
    assert words(bursts, loud_in(bursts)) == ["bursts about every 2.0 s above 2 kHz"] * 4


@pytest.mark.parametrize("starts_s", [(1.0, 2.0, 3.0), (1.0, 2.4, 3.0, 6.5, 7.0)])
def test_few_or_irregular_bursts_are_no_series(starts_s):
    bursts = series(*starts_s)
    count = len(bursts)
    assert words(bursts, loud_in(bursts)) == ["several bursts above 2 kHz"] * count
    assert words(bursts, quiet()) == ["differs above 2 kHz several times"] * count


def test_other_frequencies_do_not_belong_to_a_series():
    bursts = [*series(1.0, 2.0, 3.0, 4.0), event(2.5, 2.7, 100, 900)]
    found = words(bursts, loud_in(bursts[:4]))
    assert found[4] == "differs between 100 Hz and 900 Hz at 2.6 s"
    assert set(found[:4]) == {"bursts about once a second above 2 kHz"}


@pytest.mark.parametrize(
    ("low_hz", "high_hz", "text"),
    [
        (0, 8000, "at all frequencies"),
        (0, 196, "below 200 Hz"),
        (4044, 8000, "above 4 kHz"),
        (995, 3162, "between 1 kHz and 3.2 kHz"),
    ],
)
def test_a_range_of_frequencies_in_words(low_hz, high_hz, text):
    assert frequency_range(low_hz, high_hz, 0, 8000) == text


def test_a_frequency_has_two_digits():
    assert [in_hertz(f) for f in (31.4, 818, 996, 2929, 11234)] == [
        "31 Hz",
        "820 Hz",
        "1 kHz",
        "2.9 kHz",
        "11 kHz",
    ]


def test_no_events_no_words():
    assert words([], quiet()) == []
