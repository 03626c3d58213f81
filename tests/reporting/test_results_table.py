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
    assert (
        "| machine type | machine ID | lstm_dense | baseline (autoencoder) | STgram-MFN |" in text
    )
    assert "| slider | 00 | 0.900 ± 0.010 | 0.963 | 1.000 |" in text
    assert "| slider | 02 | 0.700 ± 0.020 | 0.788 | 0.982 |" in text
    source = "https://github.com/y-kawagu/dcase2020_task2_baseline (README.md at ebfcc2a)"
    assert f"- baseline (autoencoder): {source}" in text
    from_a_file = pd.read_csv(io.StringIO(results.to_csv(index=False)), dtype={"machine_id": str})
    assert page(from_a_file.fillna({"source": ""})) == text
    # three of four machine IDs: their mean is of something else
    assert "| slider | mean | 0.800 ± 0.020 | – | – |" in text
    assert "| lstm_dense | slider | AUC | 0.800 | 0.750 to 0.850 | 0.020 | 3 |" in text
    assert "0.85 " not in text
    assert "fan" not in text


def test_a_published_mean_is_taken_where_it_is_of_the_same_machine_ids():
    whole = CELLS | {("slider", "06"): (0.6, 0.01)}
    results = beside_published(figures(whole), published_figures(2020))
    published = results[results.origin == "published"]
    means = published[published.machine_id == "mean"].set_index("system")["mean"].to_dict()
    # of the development set; the evaluation set has other machine IDs
    assert means == {
        "baseline (autoencoder)": 0.849916,
        "STgram-MFN": 0.995468165,
        "AE (AE-ASD)": 0.8156,
        "VAE (AE-ASD)": 0.7662,
        "IDNN (AE-ASD)": 0.8410,
    }
    assert published["std"].isna().all()
    assert "| slider | mean | 0.800 ± 0.020 | 0.850 | 0.995 | 0.816 | 0.766 | 0.841 |" in page(
        results
    )


def over_all(machine_types, machine_ids):
    """The cells of a method that was run on all of them."""
    cells = {
        (kind, place): (0.7, np.nan) for kind in machine_types for place in (*machine_ids, "mean")
    }
    return cells | {("mean", "mean"): (0.7, np.nan)}


def test_a_mean_over_all_machine_types_is_of_the_same_types_or_not_there():
    def taken(machine_types, machine_ids):
        cells = over_all(machine_types, machine_ids)
        results = beside_published(figures(cells, figure="pauc"), published_figures(2022))
        published = results[results.origin == "published"]
        assert set(published.system) == {"baseline (autoencoder)", "baseline (MobileNetV2)"}
        return set(published[["machine_type", "machine_id"]].itertuples(index=False, name=None))

    of_sections = {(kind, section) for kind in ("fan", "valve") for section in ("00", "01", "02")}
    of_types = {("fan", "mean"), ("valve", "mean")}
    # theirs is of all seven types, of which their table shows these two
    assert taken(("fan", "valve"), ("00", "01", "02")) == of_sections | of_types
    assert taken(("fan", "valve"), ("00",)) == {("fan", "00"), ("valve", "00")}
    everything = ("ToyCar", "ToyTrain", "bearing", "fan", "gearbox", "slider", "valve")
    assert taken(everything, ("00", "01", "02")) == of_sections | of_types | {("mean", "mean")}


def test_the_baselines_since_2023_stand_beside_the_same_evaluation_set():
    types = ("ToyDrone", "ToyNscale", "ToyTank", "Vacuum", "bandsaw", "grinder", "shaker")
    cells = over_all(types, ("00",))
    text = page(
        beside_published(figures(cells, figure="auc_target"), published_figures(2023)), year=2023
    )
    columns = "baseline (autoencoder, selective Mahalanobis) | baseline (autoencoder)"
    assert f"| machine type | machine ID | lstm_dense | {columns} |" in text
    assert "| Vacuum | 00 | 0.700 | 0.901 | 0.453 |" in text
    assert "| all | mean | 0.700 | 0.531 | 0.525 |" in text
    # the development set has other machine types
    own = figures(over_all(("bearing", "fan"), ("00",)), figure="auc_target")
    assert "published" not in page(beside_published(own, published_figures(2023))).lower()


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
    assert r"slider & 00 & 0.900 $\pm$ 0.010 & 0.963 & 1.000 \\" in latex
    head = r"machine type & machine ID & lstm\_dense & baseline (autoencoder) & STgram-MFN \\"
    assert head in latex
    assert r"\caption{AUC, DCASE 2020 Task 2: mean and standard deviation over seeds}" in latex
    assert latex.count(r"\begin{tabular}{llrrr}") == latex.count(r"\end{tabular}") == 1
    assert r"\url{https://github.com/y-kawagu/dcase2020_task2_baseline} (README.md at" in latex
    assert "±" not in latex


def test_figures_are_named_as_the_challenge_names_them():
    assert [figure_title(one) for one in ("auc", "pauc_target", "auc_source", "score")] == [
        *("AUC", "pAUC (target)", "AUC (source)", "Official score")
    ]
