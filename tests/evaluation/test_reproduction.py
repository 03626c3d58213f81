"""Figures that were published, beside those that were made again."""

import numpy as np
import pandas as pd
import pytest

from anomalous_sound.evaluation.campaign import MEASURED, PUBLISHED, RESULT_COLUMNS
from anomalous_sound.evaluation.reproduction import beyond, figures_apart


def table(*rows):
    """Rows of system, machine ID, mean, standard deviation, and the ends of the interval."""
    nan = np.nan
    made = [
        (system, origin, "fan", machine_id, "auc", mean, std, 2, low, high, "")
        for system, origin, machine_id, mean, std, low, high in rows
    ]
    made.append(("theirs", PUBLISHED, "fan", "00", "auc", 0.9, nan, nan, nan, nan, "a page"))
    return pd.DataFrame(made, columns=RESULT_COLUMNS)


THERE = table(
    ("lstm", MEASURED, "00", 0.75, 0.125, 0.5, 1.0),
    ("lstm", MEASURED, "02", 0.5, np.nan, 0.25, 0.75),
)


def test_each_value_is_compared_and_what_others_have_published_is_not():
    apart = figures_apart(THERE, THERE)
    assert list(zip(apart.machine_id, apart["value"], strict=True)) == [
        *(("00", "mean"), ("02", "mean"), ("00", "std")),
        *(("00", "low"), ("02", "low"), ("00", "high"), ("02", "high")),
    ]
    assert set(apart.difference) == {0.0}
    assert beyond(apart, 0).empty


def test_a_difference_has_a_sign_and_is_measured_against_the_tolerance():
    here = THERE.assign(**{"mean": [0.5, 0.5, 0.9], "high": [1.0, 0.875, np.nan]})
    apart = figures_apart(THERE, here)
    outside = beyond(apart, 0).set_index(["machine_id", "value"]).difference
    assert outside.to_dict() == {("00", "mean"): -0.25, ("02", "high"): 0.125}
    assert list(beyond(apart, 0.125).difference) == [-0.25]
    assert beyond(apart, 0.25).empty


def test_the_last_digit_counts():
    here = THERE.assign(**{"mean": [np.nextafter(0.75, 1), 0.5, 0.9]})
    assert len(beyond(figures_apart(THERE, here), 0)) == 1


def test_what_is_missing_is_within_no_tolerance():
    outside = beyond(figures_apart(THERE, THERE[THERE.machine_id != "02"]), 1e9)
    assert list(zip(outside.machine_id, outside["value"], strict=True)) == [
        ("02", value) for value in ("mean", "low", "high")
    ]
    assert outside.reproduced.isna().all()


def test_machines_without_an_id_and_figures_that_are_new_here():
    nameless = THERE.assign(machine_id=[np.nan, "02", "00"])
    assert beyond(figures_apart(nameless, nameless), 0).empty
    more = table(
        ("lstm", MEASURED, "00", 0.75, 0.125, 0.5, 1.0),
        ("lstm", MEASURED, "02", 0.5, np.nan, 0.25, 0.75),
        ("gru", MEASURED, "02", 0.5, 0.1, 0.25, 0.75),
    )
    assert beyond(figures_apart(THERE, more), 0).empty


def test_two_rows_of_one_figure_are_refused():
    twice = pd.concat([THERE, THERE.iloc[:1]])
    with pytest.raises(pd.errors.MergeError):
        figures_apart(THERE, twice)
