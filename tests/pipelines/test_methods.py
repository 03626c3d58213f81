"""The other methods run the same way, and the comparison sets them side by side."""

import mlflow
import numpy as np
import pandas as pd
import pytest

from anomalous_sound.errors import InputError
from anomalous_sound.methods.discovery import trained_methods

pytestmark = pytest.mark.slow

UNTRAINED = ("spectrum", "persistence", "persistence_mean_error", "level")


def test_every_method_scores_the_same_clips(compared_run):
    clips = set(compared_run.load("clips").clip_id)
    for method in trained_methods():
        assert set(compared_run.load(f"{method}.clip_scores").clip_id) == clips


def test_lstm_and_gru_share_windows_and_the_autoencoder_has_its_own(compared_run):
    counts = {
        method: len(compared_run.load(f"{method}.window_errors"))
        for method in ("lstm", "lstm_dense", "gru", "autoencoder")
    }
    clips = len(compared_run.load("clips"))
    shared = dict.fromkeys(("lstm", "lstm_dense", "gru"), 53 * clips)
    assert counts == shared | {"autoencoder": 59 * clips}


def test_runs_line_up_in_mlflow(compared_run):
    client = mlflow.MlflowClient(f"sqlite:///{compared_run.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound")
    found = client.search_runs([experiment.experiment_id])
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert {run.info.run_name for run in found} == {
        f"slider {pipeline} seed 1" for pipeline in (*trained_methods(), "compare")
    }
    runs = {run.info.run_name.split()[1]: run.data for run in found}
    assert {run.tags["detector"] for run in runs.values()} == {"slider"}
    assert set(runs["lstm"].metrics) == set(runs["gru"].metrics)
    own = {"network.decoder_input", "network.masked_frames"}
    assert set(runs["gru"].params) - set(runs["lstm"].params) == own
    assert set(runs["lstm"].params) <= set(runs["gru"].params)
    assert runs["gru"].params["training.batch_size"] == "64"
    fingerprints = {data.tags["corpus_fingerprint"] for data in runs.values()}
    assert len(fingerprints) == 1
    auc = compared_run.load("gru.metrics")["auc_pooled"]
    assert runs["compare"].metrics["auc_pooled.gru"] == pytest.approx(auc)


def test_the_comparison_has_all_rows(compared_run):
    comparison = compared_run.load("compare.comparison").set_index("method")
    assert list(comparison.index) == [
        *trained_methods(), "ensemble", *UNTRAINED,
    ]  # fmt: skip
    for method in trained_methods():
        metrics = compared_run.load(f"{method}.metrics")
        assert comparison.auc_pooled[method] == pytest.approx(metrics["auc_pooled"])
        assert comparison.auc_mean[method] == pytest.approx(metrics["auc_mean"])
        assert comparison.training_s[method] > 0
    assert comparison.training_s[["ensemble", *UNTRAINED]].isna().all()
    differences = compared_run.load("compare.differences")
    rows = len(trained_methods()) + 1 + len(UNTRAINED)
    assert len(differences) == rows * (rows - 1) / 2


def test_the_level_is_the_clips_rms(compared_run):
    corpus = compared_run.load("raw_audio")
    scores = compared_run.load("compare.scores").query("method == 'level'")
    for row in scores.head(3).itertuples():
        samples = corpus.recordings[row.clip_id].recording().samples[:, 0].astype(float)
        assert row.score == pytest.approx(10 * np.log10(np.mean(samples**2)), abs=1e-6)


def test_the_report_says_whether_training_pays(compared_run):
    report = compared_run.data("08_reporting/slider/compare/report.md").read_text()
    assert "Simulated data" in report
    assert "lstm" in report and "persistence: AUC" in report
    assert "the log-mel spectrum under the same score, with 6 normal clips to learn" in report
    for file in ("roc_figure.png", "auc_figure.png", "agreement_figure.png"):
        assert compared_run.data("08_reporting", "slider", "compare", file).stat().st_size > 0


def test_what_is_missing_or_of_another_corpus_is_named(project, dcase_folder, write_clip):
    audio_dir = str(dcase_folder)
    with pytest.raises(
        InputError, match=f"run: kedro run --pipeline gru --params audio_dir={audio_dir}"
    ):
        project.run("compare", audio_dir=audio_dir)
    project.run("lstm", to_outputs=["lstm.result"], audio_dir=audio_dir)
    project.run("compare", audio_dir=audio_dir)
    missing = project.load("compare.missing")
    assert set(missing) == set(trained_methods()) - {"lstm"}
    assert "it has not been run; run: kedro run --pipeline gru --params" in missing["gru"]
    compared = project.load("compare.comparison").method
    assert set(compared) == {"lstm", *UNTRAINED}
    # another corpus: one clip more
    write_clip(dcase_folder / "train" / "normal_id_00_00000055.wav", seed=555)
    with pytest.raises(InputError, match="it was run on other clips"):
        project.run("compare", audio_dir=audio_dir)


def test_results_of_another_seed_are_told_from_those_of_other_clips(project, dcase_folder):
    given = {"audio_dir": str(dcase_folder), "detector": "press_3"}
    project.run("lstm", to_outputs=["lstm.result"], **given)
    with pytest.raises(InputError, match="divided or labelled otherwise.*,detector=press_3,seed=7"):
        project.run("compare", **given, seed=7)


def test_latent_is_another_network(project, dcase_folder):
    def scores(decoder_input):
        project.run(
            "gru",
            to_outputs=["gru.clip_scores"],
            audio_dir=str(dcase_folder),
            gru={"network": {"decoder_input": decoder_input}},
        )
        return project.load("gru.clip_scores")

    states, latent = scores("states"), scores("latent")
    pd.testing.assert_frame_equal(states.drop(columns="score"), latent.drop(columns="score"))
    assert not np.allclose(states.score, latent.score)
