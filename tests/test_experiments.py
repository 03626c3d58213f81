"""Every benchmark and experiment can be started; the cheapest experiments run on tiny data."""

import pkgutil
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

import benchmarks
import experiments
from anomalous_sound.decision.spectrum import SpectrumReference, distances_from_others
from anomalous_sound.evaluation.metrics import auc
from anomalous_sound.scoring.band_errors import ClipErrors, squared
from anomalous_sound.scoring.pooling import pool_clip
from anomalous_sound.scoring.scores import fit_score
from benchmarks.configuration import method_settings, parameters
from experiments import choose_score, choose_spectrum, false_alarms, promises
from experiments import left_out_errors as left_out

MODULES = [
    module.name
    for package in (benchmarks, experiments)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported(name):
    assert import_module(name)


def test_thresholds_on_known_distributions(monkeypatch):
    monkeypatch.setattr(false_alarms, "RATES", (1 / 50, 1 / 20))
    table = false_alarms.measure(draws=3, seed=0)
    assert set(table.strategy) == set(false_alarms.STRATEGIES)
    refused = table[table.draws_given == 0]
    assert set(refused.strategy) == {"conformal"}  # 20 clips promise no 1 in 50
    assert set(zip(refused.calibration_clips, refused.promised_rate, strict=True)) == {(20, 0.02)}
    assert len(false_alarms.figure(table).axes) == 4
    assert "| 1 in 50 (2) | conformal | not given |" in false_alarms.markdown(table)


@pytest.mark.parametrize("experiment", [false_alarms, promises])
def test_stored_results_can_be_drawn(experiment):
    table = pd.read_csv(experiment.RESULTS)
    assert set(table.strategy) == set(false_alarms.STRATEGIES)
    panels = 4 if experiment is false_alarms else table.folds.nunique()
    assert len(experiment.figure(table).axes) == panels


@pytest.mark.slow
def test_promises_are_measured_with_and_without_folds(monkeypatch):
    few = {"training_clips": 4, "normal_test_clips": 2, "duration_s": 2.0}
    monkeypatch.setattr(promises, "SIZES", promises.SIZES | few)
    table = promises.promises(1, 0.2, epochs=1, folds=(1, 2), hidden_size=8)
    assert set(table.strategy) == set(false_alarms.STRATEGIES)
    conformal = table[table.strategy == "conformal"].set_index("folds")
    # half of 8 clips are held out, or all are left out of one network
    assert conformal.calibration_clips.to_dict() == {1: 4, 2: 8}
    assert conformal.test_clips.to_dict() == {1: 4, 2: 4}
    assert "not proven" in conformal.holds[2]
    assert len(promises.figure(table).axes) == 2


BANDS = 16


def left_out_errors(rng):
    """Errors and frames of 12 training and 8 test clips, half of these ten times as loud."""
    ids = {f"clip {number}": ("00", "02")[number % 2] for number in range(20)}
    names = list(ids)

    def bands(name, *sizes):
        faulty = names.index(name) >= 16
        return (rng.uniform(0.9, 1.1, sizes) * (1 + 9 * faulty)).astype(np.float16)

    errors = left_out.LeftOutErrors(
        left_out={name: bands(name, 6, BANDS) for name in names[:12]},
        test={name: [bands(name, 6, BANDS) for _ in range(2)] for name in names[12:]},
        heard={name: bands(name, 6, BANDS) for name in names[:9]},
    )
    frames = {}
    for name in names:
        frames[name] = rng.uniform(0.9, 1.1, (7, BANDS)) * 10
        frames[name][0, 0], frames[name][1, 1] = 0, 100
        frames[name][:, 2] *= 1 + 4 * (names.index(name) >= 16)
    return errors, frames, pd.Series(ids)


def test_every_candidate_score_finds_an_obvious_fault():
    readings = choose_score.Readings(*left_out_errors(np.random.default_rng(0)))
    faulty = np.array([False] * 4 + [True] * 4)
    for name, parts in choose_score.CANDIDATES.items():
        if "PCA" in name:  # of three bands no residual is left
            continue
        assert auc(faulty, readings.joined(parts)) > 0.8, name


def test_the_chosen_candidate_is_the_standard_score():
    """The experiment joins its parts itself; the package must do the same."""
    errors, frames, ids = left_out_errors(np.random.default_rng(1))
    settings = method_settings("lstm", "standard").score
    scaled = {name: (f - f.min()) / (f.max() - f.min()) for name, f in frames.items()}

    def pooled(name, roots):
        values = squared(roots)[None]
        clip = ClipErrors(name, ("fold",), values, values.mean(axis=2), 0.0)
        return pool_clip(settings, clip, scaled[name])[0]

    readings = choose_score.Readings(errors, frames, ids)
    normal = np.stack([pooled(*item) for item in errors.left_out.items()])
    fitted = fit_score(settings, normal, ids[list(errors.left_out)].to_numpy(), seed=1)
    expected = [
        fitted.clip_score(np.stack([pooled(name, roots) for roots in of_networks]), ids[name])
        for name, of_networks in errors.test.items()
    ]
    found = readings.joined(choose_score.CANDIDATES[choose_score.CHOSEN])
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_rule_leaves_each_machine_type_out():
    rows = []
    for machine_type, best in (("fan", "a"), ("pump", "b"), ("valve", "b")):
        for score in "ab":
            for method in choose_score.METHODS:
                rows.append(
                    (machine_type, machine_type, 0, method, score, 0.9 - 0.2 * (score != best))
                )
    columns = ["corpus", "machine_type", "fold", "method", "score", "auc"]
    page = choose_score.report(pd.DataFrame(rows, columns=columns))
    assert "| fan | b | 0.700 | 0.700 | 0.700 |" in page
    assert "it chooses: **b**" in page


def test_the_stored_table_was_chosen_by_the_rule():
    table = pd.read_csv(choose_score.RESULTS / "choose_score.csv")
    assert set(table.score) == set(choose_score.CANDIDATES)
    chosen = choose_score.choose(
        choose_score.by_machine_type(table), sorted(set(table.machine_type))
    )
    assert chosen == choose_score.CHOSEN


def test_the_spectrum_evidence_is_what_the_rule_takes():
    table = pd.read_csv(choose_spectrum.RESULTS, index_col=choose_spectrum.CANDIDATE)
    machine_types = ["fan_8ch", "pump", "slider", "valve"]
    *how, margin = choose_spectrum.choose(table, machine_types)
    assert how == ["mean power", "root mean square", "all others"]
    assert margin == parameters("standard").evidence.spectrum_margin


@pytest.mark.parametrize("against", choose_spectrum.AGAINST)
def test_ratios_of_spectra(against):
    rng = np.random.default_rng(6)
    normal, judged = rng.normal(0, 2, (5, 8)).round(2), rng.normal(0, 4, (3, 8)).round(2)
    found = choose_spectrum.ratios(normal, judged, "root mean square", against)
    reference = SpectrumReference.fit(["00"] * 5, normal, sample_rate=16000)
    for ratio, spectrum in zip(found, judged, strict=True):
        distance = reference.distance(spectrum, "00")
        highest = distance.highest_db
        if against == "normal others":
            highest = distances_from_others(normal).max()
        assert ratio == pytest.approx(distance.value_db / highest)
