"""The profiles: sets of numbers for one purpose."""

import numpy as np
import pytest
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
    assert parameters(project, profile="standard")["detector"]["folds"] == 4


@pytest.mark.slow
def test_the_standard_score_is_the_distance_from_normal_clips(project):
    project.configure("globals", {"simulation": SMALL_SIMULATION, "profile": "standard"})
    project.run("gru", detector={"folds": 1})
    clips, errors = project.load("clips"), project.load("gru.band_errors")
    scores = project.load("gru.clip_scores").set_index("clip_id").score
    weights = 0.5 ** np.arange(53)
    pooled = {
        clip.clip_id: weights
        @ np.sort(clip.band_errors[0].astype(float), axis=0)[::-1]
        / weights.sum()
        for clip in errors
    }
    training = clips[clips.split == "train"]
    means = {
        machine_id: np.mean([pooled[clip_id] for clip_id in group.clip_id], axis=0)
        for machine_id, group in training.groupby("machine_id")
    }
    rest = np.stack([pooled[c.clip_id] - means[c.machine_id] for c in training.itertuples()])
    freedom = len(rest) - len(means)
    deviation = np.sqrt((rest**2).sum(axis=0) / freedom)
    covariance = LedoitWolf(assume_centered=True).fit(rest / deviation).covariance_
    lower = np.linalg.cholesky(covariance * len(rest) / freedom)
    normal = np.linalg.solve(lower, (rest / deviation).T)
    # one Gaussian: each direction in units of its own spread, a tenth added
    spread, centre = normal.var(axis=1) + 0.1, normal.mean(axis=1)
    for clip in clips.itertuples():
        z = (pooled[clip.clip_id] - means[clip.machine_id]) / deviation
        expected = 10 * np.log10(((np.linalg.solve(lower, z) - centre) ** 2 / spread).mean())
        assert scores[clip.clip_id] == pytest.approx(expected, rel=1e-6)
    # a window's error is that of its unseen sixth frame
    times = project.load("gru.window_errors").start_s
    assert times.max() == pytest.approx(52 * 0.032)
    detector = project.load("gru.detector")
    assert detector.description.network.masked_frames == "centre"
    assert set(detector.score.means) == {"00", "02"}
    assert set(detector.reference.machine_ids) == {"00", "02"}
    localisation = project.load("gru.metrics")["localisation"]
    assert localisation["clips"] == 6
    assert 0 <= localisation["time_hit"] <= 1
