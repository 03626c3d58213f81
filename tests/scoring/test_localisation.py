import numpy as np
import pandas as pd
import pytest

from anomalous_sound.scoring.localisation import (
    deviation_map,
    fit_window_reference,
    hit_rates,
    localise,
)

RNG = np.random.default_rng(0)
NORMAL = {
    "00": [np.exp(RNG.normal(-8, 0.5, (50, 4))) for _ in range(6)],
    "02": [np.exp(RNG.normal(-2, 2.0, (30, 4))) for _ in range(3)],
}


@pytest.fixture
def reference():
    errors = ((name, clip) for name, clips in NORMAL.items() for clip in clips)
    return fit_window_reference(errors, peak_percentile=99.0)


def test_the_reference_is_mean_and_deviation_of_all_windows_at_once(reference):
    everything = [clip for clips in NORMAL.values() for clip in clips]
    groups = [(reference["machine_ids"][name], clips) for name, clips in NORMAL.items()]
    for group, clips in (*groups, (reference["all"], everything)):
        logarithms = np.log(np.concatenate(clips))
        np.testing.assert_allclose(group["means"], logarithms.mean(axis=0))
        np.testing.assert_allclose(group["deviations"], logarithms.std(axis=0))
        peaks = [np.percentile(clip, 99, axis=0) for clip in clips]
        np.testing.assert_allclose(group["peaks"], np.mean(peaks, axis=0))
    squares = sum(
        len(clips) * np.var([np.percentile(clip, 99, axis=0) for clip in clips], axis=0)
        for clips in NORMAL.values()
    )
    np.testing.assert_allclose(reference["peak_deviations"], np.sqrt(squares / (9 - 2)))


def test_a_map_counts_deviations_from_the_clips_own_machine(reference):
    z = deviation_map(np.concatenate(NORMAL["00"]), reference, "00")
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-6)
    assert deviation_map(NORMAL["02"][0], reference, "00").mean() > 5
    # a machine ID without normal clips is compared with all, also one that is called so
    usual = reference["all"]
    expected = (np.log(NORMAL["02"][0]) - usual["means"]) / usual["deviations"]
    for unknown in ("77", "all"):
        found = deviation_map(NORMAL["02"][0], reference, unknown)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_fault_is_found_when_and_where_it_is(reference):
    clip = NORMAL["00"][0].copy()
    clip[20:30, 2] *= np.e**10  # ten times a tenth of a second, in the third band
    table = localise(
        clip,
        reference,
        "00",
        times_s=0.05 + 0.1 * np.arange(50),
        band_edges_hz=np.array([0.0, 100, 300, 700, 1500]),
        stretch_s=0.5,
        stretches=2,
        bands=1,
    )
    times = table[table.axis == "time"]
    assert sorted(times.start) == pytest.approx([2.0, 2.5])
    assert times["rank"].tolist() == [1, 2]
    assert times.share.sum() > 0.9
    bands = table[table.axis == "frequency"]
    assert bands[["start", "end"]].to_numpy().tolist() == [[300, 700]]
    assert 0.9 < bands.share.item() <= 1


def test_hits_and_chance_by_counting():
    edges = np.array([0.0, 100, 200, 400, 800])
    found = pd.DataFrame(
        [
            ("a", "time", 1.0, 1.5),  # a fifth of it is fault
            ("a", "time", 3.0, 3.5),  # none of it is
            ("a", "frequency", 100.0, 200.0),
            ("a", "frequency", 200.0, 400.0),
            ("other", "time", 0.0, 0.5),  # of a clip without a fault
        ],
        columns=["clip_id", "axis", "start", "end"],
    )
    faults = pd.DataFrame(
        [("a", "1.2-1.3;2.0-2.1", "140", "190"), ("unscored", "0-1", "0", "1")],
        columns=["file", "intervals_s", "low_hz", "high_hz"],
    )
    rates = hit_rates(found, faults, durations_s={"a": 4.0, "other": 4.0}, band_edges_hz=edges)
    assert rates == pytest.approx(
        {
            "time_hit": 0.1 / 1.0,
            "time_chance": 0.2 / 4.0,
            "frequency_hit": 0.5,
            "frequency_chance": 1 / 4,
            "clips": 1,
        }
    )
    assert hit_rates(found, faults[1:], durations_s={}, band_edges_hz=edges) == {}
