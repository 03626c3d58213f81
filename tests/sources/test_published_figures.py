"""The figures that the organisers have published of their baselines."""

import re
import statistics

import pytest

from anomalous_sound.sources.dcase.published import evaluation_labels, published_figures


def test_the_slider_of_2020_is_as_its_repository_shows_it():
    table = published_figures(2020)
    slider = table[(table.machine_type == "slider") & (table.system == "baseline (autoencoder)")]
    auc = slider[slider.figure == "auc"].set_index("machine_id").value
    # README.md of y-kawagu/dcase2020_task2_baseline
    assert auc.to_dict() == {
        "00": 0.963315,
        "02": 0.78809,
        "04": 0.946011,
        "06": 0.702247,
        "mean": 0.849916,
    }


def over_machine_ids(year):
    return statistics.mean if year == 2020 else statistics.harmonic_mean


@pytest.mark.parametrize("year", range(2020, 2027))
def test_the_means_that_are_stated_are_those_of_the_rows(year):
    """A slip of the pen would show."""
    table = published_figures(year)
    single = table[table.machine_id != "mean"]
    values = {
        (row.part, row.system, row.figure, f"{row.machine_type}/{row.machine_id}"): row.value
        for row in single.itertuples()
    }
    checked = 0
    for row in table[(table.machine_id == "mean") & (table.figure != "score")].itertuples():
        places = row.over.split()
        of_rows = [values.get((row.part, row.system, row.figure, place)) for place in places]
        if None in of_rows:
            continue  # only the mean is stated
        if year == 2020 and row.machine_type == "mean":  # of the means of the types
            by_type = {}
            for place, value in zip(places, of_rows, strict=True):
                by_type.setdefault(place.partition("/")[0], []).append(value)
            of_rows = [statistics.mean(of_type) for of_type in by_type.values()]
        assert row.value == pytest.approx(
            over_machine_ids(year)(of_rows), abs=0.0016
        )  # of rounded figures
        checked += 1
    assert checked or year == 2021  # whose means are over both domains, which no figure here is


@pytest.mark.parametrize("year", range(2023, 2027))
def test_the_official_score_is_the_harmonic_mean_of_all_figures(year):
    table = published_figures(year)
    assert table.system.nunique() == 2
    for system, rows in table.groupby("system"):
        single = rows[(rows.machine_id != "mean")]
        assert set(single.figure) == {"auc_source", "auc_target", "pauc"}
        (score,) = rows.value[rows.figure == "score"]
        assert score == pytest.approx(statistics.harmonic_mean(single.value)), system


def test_averages_over_machine_types_are_those_of_the_types():
    """Of the systems whose tables have no machine IDs."""
    table = published_figures(2020)
    table = table[table.system.str.contains("AE-ASD")]
    assert len(table) == 2 * 3 * 7 * 2
    for _, rows in table.groupby(["part", "system", "figure"]):
        of_types = rows.value[rows.machine_type != "mean"]
        (stated,) = rows.value[rows.machine_type == "mean"]
        assert stated == pytest.approx(of_types.mean(), abs=0.001)  # IDNN's is .0008 apart


def test_the_machine_ids_of_a_mean_are_those_of_the_part():
    for year in (2020, 2023, 2024, 2025):
        table = published_figures(year)
        table = table[(table.part == "evaluation") & (table.machine_type != "mean")]
        assert len(table)
        for row in table[table.machine_id == "mean"].itertuples():
            files = evaluation_labels(year, row.machine_type)
            ids = {re.search(r"(?:id|section)_(\d+)_", file)[1] for file in files}
            assert set(row.over.split()) == {f"{row.machine_type}/{one}" for one in ids}


def test_every_row_names_a_public_repository():
    for year in range(2020, 2027):
        table = published_figures(year)
        assert table.source.str.fullmatch(
            r"https://github\.com/[\w-]+/[\w-]+ \(README\.md(?: at [0-9a-f]{7})?\)"
        ).all()
        assert not table.duplicated(
            ["part", "system", "machine_type", "machine_id", "figure"]
        ).any()
        assert ((table.over != "") == (table.machine_id == "mean")).all()
    assert published_figures(2019).empty
