"""The profiles: sets of numbers for one purpose."""

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf
from support import SMALL_SIMULATION

REPORT_SCORE = {"type": "pooled_error", "pooling": {"type": "mean"}}


def parameters(project, environment=None, **given):
    from kedro.config import OmegaConfigLoader

    from anomalous_sound.settings import CONFIG_LOADER_ARGS

    loader = OmegaConfigLoader(
        str(project.path / "conf"), env=environment, runtime_params=given, **CONFIG_LOADER_ARGS
    )
    return loader["parameters"]


def is_reports(values):
    same = REPORT_SCORE.items() <= values["lstm"]["score"].items()
    network = values["gru"]["network"]
    return same and (network["decoder_input"], network["masked_frames"]) == ("states", "none")


def test_the_report_and_all_machine_ids_of_the_real_data(project):
    report = parameters(project, "dcase2020")
    assert report["profile"] == "report"
    assert report["corpus"]["machine_ids"] == ["00", "02", "04"]
    assert is_reports(report)
    training = report["lstm"]["training"]
    assert (training["epochs"], training["batch_size"], training["learning_rate"]) == (10, 32, 1e-3)
    assert report["gru"]["training"]["batch_size"] == 64
    dcase = parameters(project, "dcase2020", profile="dcase")
    assert dcase["corpus"]["machine_ids"] is None
    assert not is_reports(dcase)


def test_a_profile_is_chosen_for_one_run_and_single_values_still_change(project):
    # the simulated corpus keeps all machine IDs, whatever the profile
    report = parameters(project, profile="report", lstm={"score": {"pooling": {"type": "maximum"}}})
    assert report["corpus"]["machine_ids"] is None
    assert report["lstm"]["score"]["pooling"] == {"type": "maximum"}
    assert is_reports(parameters(project, profile="report"))
    assert not is_reports(parameters(project, profile="standard"))
    fast = parameters(project, profile="fast")["lstm"]["training"]
    assert fast["batch_size"] > 32
    strides = {
        profile: parameters(project, profile=profile)["gru"]["training"]["stride"]
        for profile in ("report", "standard", "fast")
    }
    assert strides == {"report": 1, "standard": 4, "fast": 4}
    # the lab report holds validation clips out of one network
    assert parameters(project, profile="report")["detector"]["folds"] == 1
    assert parameters(project, profile="standard")["detector"]["folds"] == 2


def test_two_profiles_compare_with_domains(project):
    """They are the standard one in all else."""
    standard = parameters(project, "dcase2023")
    for profile in ("domain", "balanced"):
        values = parameters(project, "dcase2023", profile=profile)
        assert values["profile"] == profile
        for method in ("lstm", "gru"):
            for part, usual in zip(
                values[method]["score"]["parts"], standard[method]["score"]["parts"], strict=True
            ):
                assert usual["reference"] == "machine_id"
                assert part == usual | {"reference": profile}


def test_the_baseline_has_the_features_and_the_training_that_its_authors_published(project):
    """``baseline.yaml`` and ``common.py`` of the 2020 baseline; 128 mel bands as the task says."""
    values = parameters(project, "dcase2020", profile="baseline")
    assert values["log_mel"] == {"n_fft": 1024, "hop_length": 512, "n_mels": 128, "top_db": None}
    assert values["scaling"]["method"] == "none"
    assert values["corpus"]["machine_ids"] is None
    assert values["corpus"]["validation_fraction"] == 0.1
    own = values["autoencoder"]
    assert own["windows"] == {"length": 5, "next_frame": False}
    assert REPORT_SCORE.items() <= own["score"].items()
    training = {name: own["training"][name] for name in ("epochs", "batch_size", "learning_rate")}
    assert training == {"epochs": 100, "batch_size": 512, "learning_rate": 1e-3}
    assert (own["training"]["stride"], own["training"]["precision"]) == (1, "32-true")
    assert values["detector"]["folds"] == 1
    # the other profiles keep the features of the lab report
    for profile in ("report", "standard", "dcase", "fast"):
        others = parameters(project, "dcase2020", profile=profile)
        assert others["log_mel"]["n_fft"] == 2048
        assert others["log_mel"]["top_db"] == 80.0
        assert others["scaling"]["method"] == "clip"


@pytest.mark.parametrize("year", range(2020, 2027))
def test_the_baseline_of_each_year(project, year):
    """``baseline.yaml`` and ``network.py`` of nttcslab/dcase2023_task2_baseline_ae from 2023 on.

    Before, ``baseline.yaml`` of 2021 (y-kawagu) and ``keras_model.py`` of 2022 (Kota-Dohi).
    """
    values = parameters(project, f"dcase{year}", profile="baseline")
    own = values["autoencoder"]
    assert own["network"] == {
        "architecture": "dense_autoencoder",
        "hidden_size": 128,
        "depth": 4,
        "bottleneck": 8,
        "norm_momentum": 0.01,  # Keras's .99
        "norm_epsilon": 1e-3,
        "error": "squared",
    }
    training = {name: own["training"][name] for name in ("epochs", "batch_size", "learning_rate")}
    batch_size = 256 if year >= 2023 else 512
    assert training == {"epochs": 100, "batch_size": batch_size, "learning_rate": 1e-3}
    assert values["log_mel"] == {"n_fft": 1024, "hop_length": 512, "n_mels": 128, "top_db": None}
    assert values["corpus"]["validation_fraction"] == 0.1
    # the first of the two channels of 2026
    assert values["audio"]["channel"] == 0
    standard = parameters(project, f"dcase{year}", profile="standard")["autoencoder"]
    assert standard["training"]["batch_size"] == 512
    assert (standard["network"]["norm_momentum"], standard["network"]["norm_epsilon"]) == (
        0.1,
        1e-5,
    )


@pytest.mark.slow
def test_a_run_with_the_baseline_profile_scores_by_the_mean_squared_error_in_decibels(
    project, dcase_folder
):
    own = {"training": {"epochs": 1}, "network": {"hidden_size": 16}}
    project.run(
        "autoencoder",
        to_outputs=["autoencoder.clip_scores"],
        profile="baseline",
        audio_dir=str(dcase_folder),
        autoencoder=own,
    )
    frames, network = project.load("log_mel"), project.load("autoencoder.network").build()
    scores = project.load("autoencoder.clip_scores").set_index("clip_id").score
    for clip_id in scores.index[::5]:
        decibels = frames.clip(clip_id)
        stacked = np.stack([decibels[n : n + 5].ravel() for n in range(len(decibels) - 4)])
        with torch.no_grad():
            rebuilt = network.layers(torch.from_numpy(stacked)).numpy()
        assert scores[clip_id] == pytest.approx(np.square(rebuilt - stacked).mean(), rel=1e-4)


@pytest.mark.slow
def test_the_standard_score_joins_errors_and_spectrum(project):
    """Worked out again with numpy and scikit-learn, from band errors and frames."""
    project.configure("globals", {"simulation": SMALL_SIMULATION, "profile": "standard"})
    project.run("gru", to_outputs=["gru.detector", "gru.metrics"], detector={"folds": 1})
    clips, errors = project.load("clips"), project.load("gru.band_errors")
    scores = project.load("gru.clip_scores").set_index("clip_id").score
    frames = project.load("log_mel")

    def ranked(values):
        weights = 0.5 ** np.arange(len(values))
        return weights @ np.sort(values.astype(float), axis=0)[::-1] / weights.sum()

    def scaled(values):
        return (values - values.min()) / (values.max() - values.min())

    logarithms = {c.clip_id: np.log(ranked(c.band_errors[0]) + 1e-12) for c in errors}
    spectra = {name: ranked(scaled(frames.clip(name))) for name in clips.clip_id}
    training = clips[clips.split == "train"]

    def means(values, chosen, prior):
        of_all = np.mean([values[name] for name in chosen.clip_id], axis=0)
        found = {}
        for machine_id, group in chosen.groupby("machine_id"):
            total = np.sum([values[name] for name in group.clip_id], axis=0)
            found[machine_id] = (total + prior * of_all) / (len(group) + prior)
        spent = sum(n / (n + prior) for n in chosen.machine_id.value_counts())
        rest = np.stack([values[c.clip_id] - found[c.machine_id] for c in chosen.itertuples()])
        return found, rest, len(chosen) - spent

    def of_errors(chosen, clip):
        found, rest, freedom = means(logarithms, chosen, 0)
        deviation = np.sqrt((rest**2).sum(axis=0) / freedom)
        covariance = LedoitWolf(assume_centered=True).fit(rest / deviation).covariance_
        inverse = np.linalg.inv(covariance * len(rest) / freedom)
        z = (logarithms[clip.clip_id] - found[clip.machine_id]) / deviation
        return 10 * np.log10(z @ inverse @ z / len(z))

    def of_spectrum(chosen, clip):
        found, rest, freedom = means(spectra, chosen, 1)
        deviation = np.sqrt((rest**2).sum(axis=0) / freedom)
        normal = rest / deviation
        apart = np.sqrt(np.square(normal[:, None] - normal[None]).mean(axis=2))
        density = [np.sort(np.delete(row, n))[:4].mean() for n, row in enumerate(apart)]
        z = (spectra[clip.clip_id] - found[clip.machine_id]) / deviation
        nearest = np.sqrt(np.square(normal - z).mean(axis=1)) / density
        return 20 * np.log10(nearest.min())

    expected = np.zeros(len(clips))
    for part in (of_errors, of_spectrum):
        left_out = [
            part(training[training.clip_id != clip.clip_id], clip) for clip in training.itertuples()
        ]
        values = np.array([part(training, clip) for clip in clips.itertuples()])
        expected += (values - np.mean(left_out)) / np.std(left_out, ddof=1) / 2
    others = (clips.split != "train").to_numpy()  # one is its own nearest normal clip
    np.testing.assert_allclose(scores[clips.clip_id[others]], expected[others], rtol=1e-5)
    # a window's error is that of its unseen sixth frame
    times = project.load("gru.window_errors").start_s
    assert times.max() == pytest.approx(52 * 0.032)
    detector = project.load("gru.detector")
    assert detector.description.network.masked_frames == "centre"
    assert set(detector.score.parts[0].means) == {"00", "02"}
    assert set(detector.reference.machine_ids) == {"00", "02"}
    localisation = project.load("gru.metrics")["localisation"]
    assert localisation["clips"] == 6
    assert 0 <= localisation["time_hit"] <= 1
