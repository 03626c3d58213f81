"""Every benchmark and experiment can be started; the cheapest experiments run on tiny data."""

import pkgutil
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

import benchmarks
import experiments
from anomalous_sound.decision.alarms import AlarmState, Change
from anomalous_sound.decision.promise import Wish, find_rule
from anomalous_sound.decision.spectrum_distance import SpectrumReference, distances_from_others
from anomalous_sound.evaluation.metrics import auc
from anomalous_sound.scoring.band_errors import ClipErrors, squared
from anomalous_sound.scoring.pooling import pool_clip
from anomalous_sound.scoring.scores import fit_score
from benchmarks.configuration import method_settings, parameters
from experiments import (
    choice_docs,
    choice_page,
    choose_score,
    choose_spectrum,
    domains,
    false_alarms,
    promises,
    rule,
    watching,
)
from experiments import left_out_errors as left_out
from experiments.rule import Networks

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


def test_one_network_is_fitted_on_the_clips_that_it_has_heard(tiny):
    errors = left_out.train(tiny, "lstm_dense", next(tiny.tested()), folds=1)
    assert set(errors.left_out) == set(errors.heard)
    # of 3 clips of each machine ID, one is held out
    assert len(errors.left_out) == 4
    assert {len(of_networks) for of_networks in errors.test.values()} == {1}
    assert len(errors.cpu_s) == 1


def test_two_seeds_share_folds_and_their_errors_are_averaged(tiny):
    tested = next(tiny.tested())
    one, both = left_out.train_with_seeds(tiny, "lstm_dense", tested, Networks(2, seeds=2))
    other = left_out.train(tiny, "lstm_dense", tested, folds=2, training_seed=101)
    assert set(both.left_out) == set(one.left_out) == set(other.left_out)
    assert len(one.cpu_s) == 2
    assert len(both.cpu_s) == 4
    for name, roots in both.left_out.items():
        squares = [np.square(errors.left_out[name], dtype=float) for errors in (one, other)]
        np.testing.assert_allclose(np.square(roots, dtype=float), np.mean(squares, axis=0), 0.01)
    for name, of_networks in both.test.items():
        assert len(of_networks) == 2
        squares = [np.square(errors.test[name][1], dtype=float) for errors in (one, other)]
        np.testing.assert_allclose(
            np.square(of_networks[1], dtype=float), np.mean(squares, axis=0), 0.01
        )


@pytest.fixture
def tiny(monkeypatch):
    """Six short normal clips to train on, and two of each label to test."""
    few = {
        "machine_ids": ["00", "02"],
        "training_clips": 3,
        "normal_test_clips": 1,
        "anomalous_test_clips": 1,
        "duration_s": 3.0,
    }
    simulation = left_out.simulation() | few
    monkeypatch.setattr(left_out, "simulation", lambda: simulation)

    def smaller(method, profile):
        settings = method_settings(method, profile)
        network = settings.network.model_copy(update={"hidden_size": 8})
        training = settings.training.model_copy(update={"epochs": 1})
        return settings.model_copy(update={"network": network, "training": training})

    monkeypatch.setattr(left_out, "method_settings", smaller)
    return left_out.Corpus("simulated", "simulated", seed=3)


def test_scores_are_kept_and_become_a_page(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(choose_score, "METHODS", ("lstm", "gru"))
    monkeypatch.setattr(choose_score, "SEEDS", (3, 4))
    monkeypatch.setattr(choose_score, "NETWORK_SEEDS", (3, 4))
    monkeypatch.setattr(choose_score, "NETWORKS", (Networks(1), Networks(2), Networks(4)))
    kept = {name: choose_score.CANDIDATES[name] for name in choose_score.SHOWN}
    monkeypatch.setattr(choose_score, "CANDIDATES", kept)
    monkeypatch.setattr(choose_score, "RESULTS", tmp_path)
    monkeypatch.setattr(choose_score, "DOCUMENTS", ())
    (tmp_path / "recordings").mkdir()
    tasks = list(choose_score.tasks_of(tmp_path / "recordings"))
    described = [(task.corpus.seed, task.method, task.division.name) for task in tasks]
    assert described == [
        *((seed, method, "4") for seed in (3, 4) for method in ("lstm", "gru")),
        *((seed, method, "2") for seed in (3, 4) for method in ("lstm", "gru")),
        *((seed, method, "1") for seed in (3, 4) for method in ("lstm", "gru")),
    ]
    for task in tasks:
        assert not task.is_done(tmp_path)
        task.run(tmp_path)
        assert task.is_done(tmp_path)
    scores = pd.concat([pd.read_parquet(file) for file in tmp_path.glob("*.parquet")])
    of_another = scores.corpus == "simulated 3"
    scores["machine_type"] = scores.machine_type.mask(of_another, "rail")
    choose_score.write_results(scores)
    page = (tmp_path / "choose_score.md").read_text()
    assert "| `gru` | former standard | " in page
    assert page.count("\n| rail | ") == 2  # left out: of the scores, and of the networks
    table = pd.read_csv(tmp_path / "choose_score.csv")
    assert len(table) == len(tasks)
    assert pd.read_csv(tmp_path / "choose_score_intervals.csv").low.notna().all()
    # what has no scores any more keeps its AUC, and has no interval
    choose_score.write_results(scores[scores.corpus != "simulated 3"])
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "choose_score.csv").sort_values(choice_page.KEYS, ignore_index=True),
        table.sort_values(choice_page.KEYS, ignore_index=True),
    )
    found = pd.read_csv(tmp_path / "choose_score_intervals.csv")
    assert set(found.of[found.low.isna()]) == {"rail", "simulated 3", "mean of recorded", "mean"}


def toy_choice(averages):
    """Two methods, each machine type one corpus: score, networks and machine type to AUC."""
    rows = [
        (machine_type, machine_type, 0, method, networks, score, value)
        for (score, networks, machine_type), value in averages.items()
        for method in rule.CHOOSING
    ]
    columns = ["corpus", "machine_type", "fold", "method", "networks", "score", "auc"]
    return pd.DataFrame(rows, columns=columns)


def test_the_rule_leaves_each_machine_type_out():
    table = toy_choice(
        {
            (score, "4", machine_type): 0.9 - 0.2 * (score != best)
            for machine_type, best in (("fan", "a"), ("pump", "b"), ("valve", "b"))
            for score in "ab"
        }
    )
    averages = rule.by_machine_type(table)
    assert rule.choose(averages, ["fan", "pump", "valve"]) == "b"
    assert rule.choose(averages, ["fan"]) == "a"
    assert averages.loc["b", ("lstm", "fan")] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("aucs", "chosen"),
    [
        # the best of all takes too long
        ({"1": 0.80, "2": 0.81, "3": 0.82, "4": 0.84, "8": 0.90}, "4"),
        # within .003 of the best that is allowed: the fewest networks
        ({"1": 0.80, "2": 0.8371, "3": 0.8369, "4": 0.84, "8": 0.90}, "2"),
        ({"1": 0.80, "2": 0.8369, "3": 0.8371, "4": 0.84, "8": 0.90}, "3"),
        # exactly .003 is within
        ({"1": 0.837, "2": 0.80, "3": 0.80, "4": 0.84, "8": 0.90}, "1"),
        # the nearness counts from the best that is allowed, not from one that is near it
        ({"1": 0.835, "2": 0.8375, "3": 0.80, "4": 0.84, "8": 0.90}, "2"),
    ],
)
def test_the_rule_takes_the_fewest_networks_that_are_near_the_best(aucs, chosen):
    of_networks = {("a", name, "fan"): auc for name, auc in aucs.items()}
    averages = rule.by_machine_type(toy_choice(of_networks), "networks")
    # a network without a Kth of the clips takes 1 - 1/K of the time
    cpu_s = {"1": 10.0, "2": 10.0, "3": 20.0, "4": 30.0, "8": 70.0}
    seconds = rule.seconds_on_cores(cpu_s)
    assert seconds == pytest.approx({"1": 10, "2": 5, "3": 40 / 3, "4": 15, "8": 35})
    assert rule.choose_networks(averages, seconds, ["fan"]) == chosen


def test_as_many_networks_with_two_seeds_are_a_tie_for_the_better_one():
    table = toy_choice({("a", "8", "fan"): 0.900, ("a", "4 × 2 seeds", "fan"): 0.902})
    averages = rule.by_machine_type(table, "networks")
    seconds = {"1": 10.0, "8": 10.0, "4 × 2 seeds": 10.0}
    assert rule.choose_networks(averages, seconds, ["fan"]) == "4 × 2 seeds"


def test_networks_are_compared_where_all_were_trained():
    table = toy_choice(
        {
            **{("a", networks, "fan"): 0.9 for networks in ("1", "2", "4")},
            **{("a", networks, "pump"): 0.9 for networks in ("1", "4")},
            ("a", "4", "valve"): 0.9,
        }
    )
    kept = rule.with_all_networks(table)
    assert set(zip(kept.networks, kept.machine_type, strict=True)) == {
        (networks, name) for networks in ("1", "4") for name in ("fan", "pump")
    }


def test_no_candidate_of_the_stored_table_leads_the_standard_clearly():
    """It was chosen by the rule, on networks that judged with other rounding."""
    table = choose_score.stored_aucs()
    assert set(table.score) == set(choose_score.CANDIDATES)
    averages = rule.by_machine_type(table[table.networks == rule.STANDARD.name])
    means = rule.means_of(averages, sorted(set(table.machine_type)))
    assert means[choose_score.CHOSEN] >= means.max() - rule.NEAR


def test_a_stream_of_looks_is_counted_as_a_watch_counts_it():
    rng, rule = np.random.default_rng(0), find_rule({"": 30}, Wish(3e4, 600.0, 60.0, True))
    for rate in (0.02, 0.3, 0.8):
        above = rng.random(2000) < rate
        state = AlarmState(rule, watching.RECOVER_AFTER)
        steps = [state.step(bool(one), is_look=True).change for one in above]
        assert watching.false_alarms(above, rule) == steps.count(Change.BEGINS)


def test_looks_are_drawn_with_the_correlation_that_is_asked_for():
    for correlation in (0.0, 0.9):
        scores = watching.drawn(50_000, correlation, np.random.default_rng(1))
        assert scores.std() == pytest.approx(1, abs=0.05)
        assert np.corrcoef(scores[:-1], scores[1:])[0, 1] == pytest.approx(correlation, abs=0.02)


def test_watching_is_measured(monkeypatch):
    monkeypatch.setattr(watching, "CLIPS", (24,))
    monkeypatch.setattr(watching, "CORRELATIONS", (0.0,))
    table = watching.streams(sets=3, drift_sets=1, seed=0)
    assert set(table.assumes) == {"independence", "nothing"}
    assert (table.bound <= 1 + 1e-9).all()


def test_the_spectrum_evidence_is_what_the_rule_takes():
    table = pd.read_csv(choose_spectrum.RESULTS, index_col=choose_spectrum.CANDIDATE)
    machine_types = ["fan_8ch", "pump", "slider", "valve"]
    *how, margin = choose_spectrum.choose(table, machine_types)
    spectrum, distance, against = how
    assert (spectrum, against) == (choose_spectrum.BOTH, "all others")
    evidence = parameters("standard").evidence
    assert evidence.spectrum_margin == margin
    by = choose_spectrum.FLUX_BY.get(distance, 1.0)
    assert evidence.flux_margin == pytest.approx(margin * by, abs=0.01)


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


def test_of_spectrum_and_flux_the_farther_one_counts():
    rng = np.random.default_rng(7)
    normal, judged = rng.normal(0, 2, (5, 2, 8)), rng.normal(0, 4, (3, 2, 8))
    how = ("root mean square", "all others")
    each = [choose_spectrum.ratios(normal[:, one], judged[:, one], *how) for one in (0, 1)]
    found = choose_spectrum.ratios(normal, judged, *how)
    assert found.tolist() == [max(pair) for pair in zip(*each, strict=True)]
    by = choose_spectrum.ratios(normal, judged, "root mean square, flux by 1.2", "all others")
    assert by.tolist() == [max(one, other / 1.2) for one, other in zip(*each, strict=True)]


def test_the_documentation_shows_the_stored_numbers():
    stored = pd.read_csv(
        choose_score.RESULTS / "choose_score_intervals.csv", dtype={"networks": str}
    )
    table = choose_score.stored_aucs()
    averages = rule.by_machine_type(table[table.networks == rule.STANDARD.name])
    types = set(table.machine_type)
    chosen = {name: rule.choose(averages, sorted(types - {name})) for name in types}
    written = choice_docs.tables(stored, chosen)
    shown = ""
    for document in choose_score.DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert choice_docs.replaced(text, written) == text, document
        shown += text
    assert all(f"<!-- choice: {name} -->" in shown for name in written)


def test_a_table_stands_between_its_marks():
    text = (
        "a\n<!-- choice: one -->\nold\n<!-- /choice -->\nb\n<!-- choice: two -->\n<!-- /choice -->"
    )
    found = choice_docs.replaced(text, {"one": "new\n", "two": "other\n"})
    assert found == (
        "a\n<!-- choice: one -->\nnew\n<!-- /choice -->\nb\n"
        "<!-- choice: two -->\nother\n<!-- /choice -->"
    )


def test_two_domains_are_measured(tiny, monkeypatch):
    monkeypatch.setattr(domains, "PAIRS", (("00", "02"),))
    clips, _ = tiny.loaded
    machine = domains.two_domains(clips, "00", "02", 3, 2)
    assert set(machine.machine_id) == {"00"}
    trained = machine[machine.split == "train"].domain.value_counts().to_dict()
    assert trained == {"source": 3, "target": 2}
    table = domains.measure(seed=3, source_clips=4, target_clips=3)
    assert len(table) == 9
    figures = table[list(domains.FIGURES)].to_numpy()
    assert ((figures >= 0) & (figures <= 1)).all()
    assert set(table.reference) == {"machine_id", "balanced", "domain"}
