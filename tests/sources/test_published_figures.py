"""The figures that the organisers have published of their baselines."""

import statistics

import pytest

from anomalous_sound.sources.dcase.published import published_figures


def test_the_slider_of_2020_is_as_its_repository_shows_it():
    table = published_figures(2020)
    slider = table[table.machine_type == "slider"]
    auc = slider[slider.figure == "auc"].set_index("machine_id").value
    # README.md of y-kawagu/dcase2020_task2_baseline
    assert auc.to_dict() == {
        "00": 0.963315,
        "02": 0.78809,
        "04": 0.946011,
        "06": 0.702247,
        "mean": 0.849916,
    }


@pytest.mark.parametrize(
    ("year", "mean"), [(2020, statistics.mean), (2022, statistics.harmonic_mean)]
)
def test_the_means_that_are_stated_are_those_of_the_rows(year, mean):
    """A slip of the pen would show."""
    table = published_figures(year)
    table = table[table.machine_type != "mean"]
    for _, rows in table.groupby(["system", "machine_type", "figure"]):
        stated = rows.value[rows.machine_id == "mean"].item()
        assert stated == pytest.approx(
            mean(rows.value[rows.machine_id != "mean"]), abs=0.0016
        )  # of rounded figures


def test_every_row_names_a_public_repository_and_its_revision():
    for year in range(2020, 2027):
        table = published_figures(year)
        assert table.source.str.fullmatch(
            r"https://github\.com/[\w-]+/\w+ \(README\.md at [0-9a-f]{7}\)"
        ).all()
        assert not table.duplicated(
            ["part", "system", "machine_type", "machine_id", "figure"]
        ).any()
    assert published_figures(2024).empty
