import json

import numpy as np
import pandas as pd
import pytest
from events_of_clips import EVENTS

from anomalous_sound.configuration.scoring import LocalisationSettings
from anomalous_sound.scoring.localisation import (
    Place,
    WindowReference,
    fit_window_reference,
    localise,
)

RNG = np.random.default_rng(0)
NORMAL = {
    "00": [np.exp(RNG.normal(-8, 0.5, (50, 4))) for _ in range(6)],
    "02": [np.exp(RNG.normal(-2, 2.0, (30, 4))) for _ in range(3)],
}
LOCALISATION = LocalisationSettings(
    segment_s=0.5, segments=2, bands=1, peak_percentile=99.0, events=EVENTS, clip_ids=None
)


@pytest.fixture
def reference():
    def errors():
        return ((name, clip) for name, clips in NORMAL.items() for clip in clips)

    return fit_window_reference(errors, peak_percentile=99.0, events=EVENTS)


def test_the_reference_is_mean_and_deviation_of_all_windows_at_once(reference):
    everything = [clip for clips in NORMAL.values() for clip in clips]
    groups = [(reference.machine_ids[name], clips) for name, clips in NORMAL.items()]
    for group, clips in (*groups, (reference.all, everything)):
        logarithms = np.log(np.concatenate(clips))
        np.testing.assert_allclose(group.means, logarithms.mean(axis=0))
        np.testing.assert_allclose(group.deviations, logarithms.std(axis=0))
        peaks = [np.percentile(clip, 99, axis=0) for clip in clips]
        np.testing.assert_allclose(group.peaks, np.mean(peaks, axis=0))
    squares = sum(
        len(clips) * np.var([np.percentile(clip, 99, axis=0) for clip in clips], axis=0)
        for clips in NORMAL.values()
    )
    np.testing.assert_allclose(reference.peak_deviations, np.sqrt(squares / (9 - 2)))


def test_a_map_counts_deviations_from_the_clips_own_machine(reference):
    z = reference.deviation_map(np.concatenate(NORMAL["00"]), "00")
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-6)
    assert reference.deviation_map(NORMAL["02"][0], "00").mean() > 5
    # a machine ID without normal clips is compared with all, also one that is called so
    usual = reference.all
    expected = (np.log(NORMAL["02"][0]) - usual.means) / usual.deviations
    for unknown in ("77", "all"):
        found = reference.deviation_map(NORMAL["02"][0], unknown)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def localised_table(*arguments, **options):
    return pd.DataFrame(localise(*arguments, **options), columns=Place._fields)


def test_a_fault_is_found_when_and_where_it_is(reference):
    clip = NORMAL["00"][0].copy()
    clip[20:30, 2] *= np.e**10  # ten times a tenth of a second, in the third band
    table = localised_table(
        clip,
        reference,
        "00",
        times_s=0.05 + 0.1 * np.arange(50),
        band_edges_hz=np.array([0.0, 100, 300, 700, 1500]),
        settings=LOCALISATION,
    )
    times = table[table.axis == "time"]
    assert sorted(times.start) == pytest.approx([2.0, 2.5])
    assert times["rank"].tolist() == [1, 2]
    assert times.share.sum() > 0.9
    bands = table[table.axis == "frequency"]
    assert bands[["start", "end"]].to_numpy().tolist() == [[300, 700]]
    assert 0.9 < bands.share.item() <= 1


def localised(reference, clip, *, window_s, **changed):
    return localised_table(
        clip,
        reference,
        "00",
        times_s=window_s * np.arange(len(clip)),
        band_edges_hz=np.array([0.0, 100, 300, 700, 1500]),
        settings=LOCALISATION.model_copy(update=changed),
    )


def test_segments_of_more_windows_do_not_win_for_their_length(reference):
    # windows begin every 0.2 s: the segments of 0.5 s have 3, 2, 3, 2 of them
    normal = reference.machine_ids["00"]
    z = np.repeat([2.0, 2.1, 2.0, 1.0], [3, 2, 3, 2])[:, None]
    table = localised(reference, np.exp(normal.means + z * normal.deviations), window_s=0.2)
    times = table[table.axis == "time"]
    assert times.start.tolist() == [0.5, 0.0]
    # the share is one of the whole deviation
    whole = 3 * 2.0**2 + 2 * 2.1**2 + 3 * 2.0**2 + 2 * 1.0**2
    expected = [2 * 2.1**2 / whole, 3 * 2.0**2 / whole]
    np.testing.assert_allclose(times.share, expected, rtol=1e-4)


def test_where_nothing_deviates_nothing_is_named(reference):
    quiet = np.full((50, 4), 1e-9)
    table = localised(reference, quiet, window_s=0.1)
    assert table.empty
    assert table.columns.tolist() == ["axis", "rank", "start", "end", "share"]
    quiet[3, 1] = 1.0
    table = localised(reference, quiet, window_s=0.1, bands=3)
    assert table[["axis", "start", "share"]].to_numpy().tolist() == [
        ["time", 0.0, 1.0],
        ["frequency", 100.0, 1.0],
    ]


def test_a_reference_goes_to_json_and_back_without_losing_a_bit(reference):
    again = WindowReference.from_json(json.loads(json.dumps(reference.to_json())))
    clip = NORMAL["02"][0].astype(np.float32)
    tables = []
    for which in (reference, again):
        for machine_id in ("00", "02", "77"):
            where = {"times_s": 0.1 * np.arange(30), "band_edges_hz": np.arange(5.0)}
            table = localised_table(clip, which, machine_id, **where, settings=LOCALISATION)
            tables.append(table)
            assert np.array_equal(
                which.deviation_map(clip, machine_id), reference.deviation_map(clip, machine_id)
            )
    for table, expected in zip(tables[3:], tables[:3], strict=True):
        pd.testing.assert_frame_equal(table, expected, check_exact=True)
    assert again.to_json() == reference.to_json()


def test_a_peak_counts_deviations_from_the_peaks_of_normal_clips(reference):
    clip = NORMAL["02"][1]
    normal = [np.percentile(other, 99, axis=0) for other in NORMAL["02"]]
    expected = (np.percentile(clip, 99, axis=0) - np.mean(normal, axis=0)) / (
        reference.peak_deviations
    )
    np.testing.assert_allclose(reference.peak_deviation(clip, "02"), expected)
