"""The table to publish: our figures beside published ones."""

import io

import numpy as np
import pandas as pd

from anomalous_sound.evaluation.campaign import (
    DIFFERENCE_COLUMNS,
    FIGURE_COLUMNS,
    beside_published,
)
from anomalous_sound.reporting.facts import figure_title
from anomalous_sound.reporting.results_table import results_latex, results_page
from anomalous_sound.sources.dcase.published import published_figures

CELLS = {
    ("slider", "00"): (0.9, 0.01),
    ("slider", "02"): (0.7, 0.02),
    ("slider", "04"): (0.8, 0.03),
    ("slider", "mean"): (0.8, 0.02),
}


def figures(cells=CELLS, method="lstm_dense", figure="auc"):
    rows = [
        (method, *place, figure, mean, std, 3, mean - 0.05, mean + 0.05)
        for place, (mean, std) in cells.items()
    ]
    return pd.DataFrame(rows, columns=FIGURE_COLUMNS)


def page(results, differences=None, **changed):
    none = pd.DataFrame(columns=DIFFERENCE_COLUMNS)
    how = {
        "title": "DCASE 2020 Task 2",
        "year": 2020,
        "simulated": False,
        "missing": [],
        "confidence": 0.95,
        "max_fpr": 0.1,
    }
    return results_page(results, none if differences is None else differences, **how | changed)


def test_published_figures_stand_beside_ours_with_their_source():
    results = beside_published(figures(), published_figures(2020))
    text = page(results)
    assert "| slider | 00 | 0.900 ± 0.010 | 0.963 |" in text
    assert "| slider | 02 | 0.700 ± 0.020 | 0.788 |" in text
    source = "https://github.com/y-kawagu/dcase2020_task2_baseline (README.md at ebfcc2a)"
    assert f"- baseline (autoencoder): {source}" in text
    from_a_file = pd.read_csv(io.StringIO(results.to_csv(index=False)), dtype={"machine_id": str})
    assert page(from_a_file.fillna({"source": ""})) == text
    # three of four machine IDs: their mean is of something else
    assert "| slider | mean | 0.800 ± 0.020 | – |" in text
    assert "| lstm_dense | slider | AUC | 0.800 | 0.750 to 0.850 | 0.020 | 3 |" in text
    assert "0.85 " not in text
    assert "fan" not in text


def test_a_published_mean_is_taken_where_it_is_of_the_same_machine_ids():
    whole = CELLS | {("slider", "06"): (0.6, 0.01)}
    results = beside_published(figures(whole), published_figures(2020))
    published = results[results.origin == "published"]
    assert published["mean"][published.machine_id == "mean"].tolist() == [0.849916]
    assert published["std"].isna().all()
    assert "| slider | mean | 0.800 ± 0.020 | 0.850 |" in page(results)


def test_a_mean_over_all_machine_types_is_of_the_same_types_or_not_there():
    cells = {
        **{(kind, place): (0.7, np.nan) for kind in ("fan", "valve") for place in ("00", "mean")},
        ("mean", "mean"): (0.7, np.nan),
    }
    results = beside_published(figures(cells, figure="pauc"), published_figures(2022))
    taken = results[results.origin == "published"]
    # of all seven types, but here are two; of sections 00 to 02, but here is one
    assert set(taken.machine_id) == {"00"}
    assert set(taken.system) == {"baseline (autoencoder)", "baseline (MobileNetV2)"}
    assert "| all | mean | 0.700 | – | – |" in page(results, year=2022)


def test_without_published_figures_there_is_no_word_of_them():
    results = beside_published(figures(), published_figures(2024))
    assert len(results) == len(CELLS)
    assert "published" not in page(results, year=2024).lower()


def test_differences_and_what_is_missing_are_told():
    differences = pd.DataFrame(
        [("lstm", "gru", "mean", "score", 0.0312, 0.01, 0.05, True)], columns=DIFFERENCE_COLUMNS
    )
    text = page(
        figures_as_results(), differences, missing=["gru, fan, seed 2: it has not been run"]
    )
    assert "| lstm − gru | all | Official score | +0.031 | +0.010 to +0.050 | yes |" in text
    assert "- gru, fan, seed 2: it has not been run" in text


def figures_as_results():
    return beside_published(figures(), published_figures(2020).iloc[:0])


def test_latex_holds_the_same_cells_escaped():
    latex = results_latex(
        beside_published(figures(), published_figures(2020)), title="DCASE 2020 Task 2"
    )
    assert r"slider & 00 & 0.900 $\pm$ 0.010 & 0.963 \\" in latex
    assert r"machine type & machine ID & lstm\_dense & baseline (autoencoder) \\" in latex
    assert r"\caption{AUC, DCASE 2020 Task 2: mean and standard deviation over seeds}" in latex
    assert latex.count(r"\begin{tabular}{llrr}") == latex.count(r"\end{tabular}") == 1
    assert r"\url{https://github.com/y-kawagu/dcase2020_task2_baseline} (README.md at" in latex
    assert "±" not in latex


def test_figures_are_named_as_the_challenge_names_them():
    assert [figure_title(one) for one in ("auc", "pauc_target", "auc_source", "score")] == [
        *("AUC", "pAUC (target)", "AUC (source)", "Official score")
    ]
