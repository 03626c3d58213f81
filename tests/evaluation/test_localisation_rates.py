import numpy as np
import pandas as pd
import pytest

from anomalous_sound.evaluation.localisation_rates import hit_rates


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
    for axis in ("time", "frequency"):  # marks in one of them only
        marks = found[found.axis == axis]
        assert hit_rates(marks, faults, durations_s={"a": 4.0}, band_edges_hz=edges) == {}
