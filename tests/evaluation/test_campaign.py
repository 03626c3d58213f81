"""Figures over seeds, against scikit-learn, statistics and clips repeated one by one."""

import statistics

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.evaluation.campaign import figures_over_seeds
from anomalous_sound.evaluation.metrics import resample_counts, weighted_areas


def settings(year, resamples=200):
    return EvaluationSettings(
        max_fpr=0.1, bootstrap_resamples=resamples, confidence=0.9, challenge_year=year
    )


def clips_of(method, machine_type, seed, shift, sections=("00", "01")):
    """12 normal and 8 anomalous clips of either domain; the anomalous score ``shift`` higher."""
    rng = np.random.default_rng([len(method), len(machine_type), seed, int(10 * shift)])
    rows = []
    for section in sections:
        for domain in ("source", "target"):
            for label, count in (("normal", 12), ("anomalous", 8)):
                for number in range(count):
                    # one decimal: ties are frequent
                    score = round(rng.normal() + shift * (label == "anomalous"), 1)
                    clip_id = f"{machine_type}/{section}_{domain}_{label}_{number}.wav"
                    rows.append((clip_id, section, domain, label, score))
    table = pd.DataFrame(rows, columns=["clip_id", "machine_id", "domain", "label", "score"])
    return table.assign(method=method, machine_type=machine_type, seed=seed)


def several(shifts, machine_types=("fan", "pump"), seeds=(1, 2, 3)):
    return pd.concat(
        [
            clips_of(method, machine_type, seed, shift)
            for method, shift in shifts.items()
            for machine_type in machine_types
            for seed in seeds
        ]
    )


def area(table, section, max_fpr=None, domain=None):
    chosen = table[table.machine_id == section]
    if domain:
        chosen = chosen[(chosen.domain == domain) | (chosen.label == "anomalous")]
    return roc_auc_score(chosen.label == "anomalous", chosen.score, max_fpr=max_fpr)


def row(figures, method, machine_type, machine_id, figure):
    (found,) = figures[
        (figures.method == method)
        & (figures.machine_type == machine_type)
        & (figures.machine_id == machine_id)
        & (figures.figure == figure)
    ].to_dict("records")
    return found


@pytest.mark.parametrize("max_fpr", [1.0, 0.1, 0.37])
def test_areas_of_resamples_are_those_of_clips_repeated(max_fpr):
    rng = np.random.default_rng(5)
    is_anomalous = rng.random(60) < 0.4
    scores = rng.integers(0, 12, 60) + is_anomalous
    counts = resample_counts(np.where(is_anomalous, "a", "n"), 25, 7)
    assert (counts[:, is_anomalous].sum(axis=1) == is_anomalous.sum()).all()
    assert (counts[:, ~is_anomalous].sum(axis=1) == (~is_anomalous).sum()).all()
    found = weighted_areas(is_anomalous, scores, counts, max_fpr)
    for value, count in zip(found, counts.astype(int), strict=True):
        repeated = np.repeat(is_anomalous, count), np.repeat(scores, count)
        expected = roc_auc_score(*repeated, max_fpr=None if max_fpr == 1 else max_fpr)
        assert value == pytest.approx(expected)


def test_2020_takes_arithmetic_means_over_machine_ids_and_then_types():
    clips = several({"lstm": 1.0})
    figures, differences = figures_over_seeds(clips, settings(2020), seed=1)
    assert differences.empty
    of_seeds = {}
    for machine_type in ("fan", "pump"):
        for seed in (1, 2, 3):
            own = clips[(clips.machine_type == machine_type) & (clips.seed == seed)]
            of_seeds[machine_type, seed] = [area(own, "00", 0.1), area(own, "01", 0.1)]
    by_seed = [of_seeds["fan", seed][1] for seed in (1, 2, 3)]
    found = row(figures, "lstm", "fan", "01", "pauc")
    assert found["mean"] == pytest.approx(statistics.mean(by_seed))
    assert found["std"] == pytest.approx(statistics.stdev(by_seed))
    assert found["seeds"] == 3
    means = {key: statistics.mean(values) for key, values in of_seeds.items()}
    found = row(figures, "lstm", "pump", "mean", "pauc")
    assert found["mean"] == pytest.approx(statistics.mean(means["pump", s] for s in (1, 2, 3)))
    assert found["low"] < found["mean"] < found["high"]
    by_seed = [statistics.mean([means["fan", s], means["pump", s]]) for s in (1, 2, 3)]
    found = row(figures, "lstm", "mean", "mean", "pauc")
    assert found["mean"] == pytest.approx(statistics.mean(by_seed))
    assert found["std"] == pytest.approx(statistics.stdev(by_seed))
    assert set(figures.figure) == {"auc", "pauc"}


def test_since_2022_the_score_is_a_harmonic_mean_over_sections_and_types():
    clips = several({"lstm": 1.0}, seeds=(4,))
    figures, _ = figures_over_seeds(clips, settings(2022), seed=1)
    values = {}
    for machine_type in ("fan", "pump"):
        own = clips[clips.machine_type == machine_type]
        for section in ("00", "01"):
            values[machine_type, section] = [
                area(own, section, domain="source"),
                area(own, section, domain="target"),
                area(own, section, 0.1),
            ]
    assert row(figures, "lstm", "fan", "00", "auc_target")["mean"] == pytest.approx(
        values["fan", "00"][1]
    )
    of_fan = values["fan", "00"] + values["fan", "01"]
    assert row(figures, "lstm", "fan", "mean", "score")["mean"] == pytest.approx(
        statistics.harmonic_mean(of_fan)
    )
    everything = [value for section in values.values() for value in section]
    found = row(figures, "lstm", "mean", "mean", "score")
    assert found["mean"] == pytest.approx(statistics.harmonic_mean(everything))
    assert np.isnan(found["std"])


def test_an_interval_is_that_of_the_mean_over_seeds():
    clips = several({"lstm": 0.8}, machine_types=("fan",), seeds=(1, 2))
    figures, _ = figures_over_seeds(clips, settings(None, 4000), seed=1)
    found = row(figures, "lstm", "fan", "00", "auc")
    # drawn again, clip by clip, by another generator
    rng = np.random.default_rng(99)
    of_seed = [
        clips[(clips.seed == seed) & (clips.machine_id == "00")].sort_values("clip_id")
        for seed in (1, 2)
    ]
    groups = of_seed[0].groupby(["domain", "label"]).indices.values()
    is_anomalous = (of_seed[0].label == "anomalous").to_numpy()
    means = []
    for _ in range(3000):
        drawn = np.concatenate([rng.choice(places, len(places)) for places in groups])
        aucs = []
        for scores in (table.score.to_numpy() for table in of_seed):
            high, low = scores[drawn][is_anomalous[drawn]], scores[drawn][~is_anomalous[drawn]]
            apart = high[:, None] - low
            aucs.append((apart > 0).mean() + (apart == 0).mean() / 2)
        means.append(np.mean(aucs))
    assert (found["low"], found["high"]) == pytest.approx(
        np.quantile(means, [0.05, 0.95]), abs=0.01
    )


def test_differences_are_paired_and_of_the_seeds_that_both_have():
    better = several({"lstm": 2.0})
    # the other has one seed less, and the same scores with less of a fault
    worse = several({"lstm": 0.2}, seeds=(1, 2)).assign(method="gru")
    figures, differences = figures_over_seeds(pd.concat([better, worse]), settings(2020), seed=1)
    (found,) = differences[
        (differences.machine_type == "mean") & (differences.figure == "auc")
    ].to_dict("records")
    assert (found["method"], found["other"], found["clear"]) == ("lstm", "gru", True)
    without, _ = figures_over_seeds(better[better.seed < 3], settings(2020), seed=1)
    expected = (
        row(without, "lstm", "mean", "mean", "auc")["mean"]
        - row(figures, "gru", "mean", "mean", "auc")["mean"]
    )
    assert found["difference"] == pytest.approx(expected)
    # a method does not differ from itself, whatever is drawn
    twin = pd.concat([better, better.assign(method="twin")])
    _, none = figures_over_seeds(twin, settings(2020), seed=1)
    assert (none[["difference", "low", "high"]] == 0).all(axis=None)
    assert not none.clear.any()


def test_there_is_no_mean_over_some_of_the_machine_types():
    clips = pd.concat([several({"lstm": 1.0}), several({"gru": 1.0}, machine_types=("fan",))])
    figures, differences = figures_over_seeds(clips, settings(2020), seed=1)
    of_all = figures[figures.machine_type == "mean"]
    assert set(of_all.method) == {"lstm"}
    assert set(differences.machine_type) == {"fan"}


def test_a_section_without_anomalous_clips_has_no_figure_and_no_mean():
    clips = several({"lstm": 1.0}, machine_types=("fan",))
    clips = clips[(clips.machine_id == "00") | (clips.label == "normal")]
    figures, _ = figures_over_seeds(clips, settings(2020), seed=1)
    assert np.isnan(row(figures, "lstm", "fan", "01", "auc")["mean"])
    assert np.isnan(row(figures, "lstm", "fan", "mean", "auc")["mean"])
    assert row(figures, "lstm", "fan", "00", "auc")["mean"] > 0.5
