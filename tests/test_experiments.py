"""Every benchmark and experiment can be started; the cheapest experiments run on tiny data."""

import pkgutil
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

import benchmarks
import experiments
from anomalous_sound.scoring.band_errors import ClipErrors
from experiments import choose_score, false_alarms, promises

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


def test_every_candidate_score_finds_an_obvious_fault():
    rng = np.random.default_rng(0)
    kinds = ["train"] * 8 + ["held out"] * 4 + ["loose belt 0"] * 4
    clips = pd.DataFrame({"machine_id": ["00", "02"] * 8, "kind": kinds})
    sizes = [1 + 9 * (kind == "loose belt 0") for kind in kinds]
    bands = [size * rng.uniform(0.9, 1.1, (6, 3)).astype(np.float32) for size in sizes]
    errors = [ClipErrors.kept("", [""], of_clip[None], 0.0) for of_clip in bands]
    table = choose_score.compared(errors, clips)
    assert list(table.score) == list(choose_score.candidates())
    assert (table.auc == 1).all()


def test_faults_are_mixed_in_at_their_level():
    rate = 16000
    samples = np.random.default_rng(0).standard_normal(4 * rate).astype(np.float32)
    mixed = choose_score.with_faults(samples, "a.wav", "00", rate)
    assert len(mixed) == len(choose_score.FAULTS) * len(choose_score.LEVELS_DB)
    for kind in choose_score.FAULTS:
        loud, soft = (np.std(mixed[f"{kind} {level}"] - samples) for level in (0, -12))
        assert loud / soft == pytest.approx(10 ** (12 / 20), rel=1e-3)
