"""The LSTM pipeline whole, on small corpora; what MLflow stored is read back from MLflow."""

import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from anomalous_sound.errors import InputError
from anomalous_sound.scoring.events import EVENT_COLUMNS
from anomalous_sound.training import loop as training_module

pytestmark = pytest.mark.slow

FILES = (
    "06_models/slider/lstm/network/weights.safetensors",
    "06_models/slider/lstm/detector/settings.json",
    "06_models/slider/lstm/training_history.csv",
    "07_model_output/slider/lstm/decisions.csv",
    "08_reporting/slider/lstm/metrics.json",
    "08_reporting/slider/lstm/classification_report.csv",
    "08_reporting/slider/lstm/report.md",
    "08_reporting/slider/lstm/report.html",
    "08_reporting/slider/lstm/events.csv",
    "08_reporting/slider/lstm/roc_figure.png",
    "08_reporting/slider/lstm/score_figure.png",
    "08_reporting/slider/lstm/history_figure.png",
    "08_reporting/slider/lstm/timeline_figure.png",
)


def mlflow_runs(project):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound")
    return client, client.search_runs([experiment.experiment_id])


def test_everything_is_written(simulated_run):
    for file in FILES:
        assert simulated_run.data(file).stat().st_size > 0, file
    assert simulated_run.load("rejected_clips").empty


def test_the_page_plays_the_test_clips_and_says_that_they_are_simulated(simulated_run):
    page = simulated_run.data("08_reporting/slider/lstm/report.html").read_text(encoding="utf-8")
    scores = simulated_run.load("lstm.clip_scores").query("split == 'test'")
    assert page.count("<audio ") == len(scores)
    for clip_id in scores.clip_id:
        assert f'<span class="name">{clip_id}</span>' in page
    assert "<strong>Simulated data:</strong>" in page
    assert simulated_run.load("lstm.events").columns.tolist() == EVENT_COLUMNS


def test_the_default_corpus_is_simulated_and_split(simulated_run):
    clips = simulated_run.load("clips")
    counts = clips.groupby(["machine_id", "split", "label"]).size().to_dict()
    expected = {
        ("train", "normal"): 3,
        ("validation", "normal"): 1,
        ("test", "normal"): 3,
        ("test", "anomalous"): 3,
    }
    assert counts == {
        (machine_id, *group): count
        for machine_id in ("00", "02")
        for group, count in expected.items()
    }
    assert simulated_run.load("corpus_summary").simulated is True
    assert (
        "(simulated data)" in simulated_run.data("08_reporting/slider/lstm/report.md").read_text()
    )


def test_scores_are_the_mean_of_the_window_errors(simulated_run):
    errors = simulated_run.load("lstm.window_errors")
    scores = simulated_run.load("lstm.clip_scores")
    assert set(scores.clip_id) == set(simulated_run.load("clips").clip_id)
    # 2 s are 63 frames, so 53 windows, 32 ms apart
    for clip_id, group in errors.groupby("clip_id", observed=True):
        assert len(group) == 53
        assert group.start_s.max() == pytest.approx(52 * 0.032)
        score = scores.score[scores.clip_id == clip_id].item()
        assert score == pytest.approx(group.error.astype(float).mean(), rel=1e-6)


def test_metrics_agree_with_scikit_learn(simulated_run):
    metrics = simulated_run.load("lstm.metrics")
    scores = simulated_run.load("lstm.clip_scores")
    test = scores[scores.split == "test"]
    by_id = {
        machine_id: roc_auc_score(group.label == "anomalous", group.score)
        for machine_id, group in test.groupby("machine_id")
    }
    assert metrics["auc_pooled"] == pytest.approx(
        roc_auc_score(test.label == "anomalous", test.score)
    )
    for machine_id, auc in by_id.items():
        assert metrics["per_machine_id"][machine_id]["auc"] == pytest.approx(auc)
    assert metrics["auc_mean"] == pytest.approx(np.mean(list(by_id.values())))
    validation = scores.score[scores.split == "validation"]
    assert metrics["validation_error_mean"] == pytest.approx(validation.mean(), rel=1e-5)
    assert metrics["validation_error_std"] == pytest.approx(validation.std(ddof=1), rel=1e-4)


def test_decisions_follow_the_deployed_threshold_and_the_detector_carries_it(simulated_run):
    scores = simulated_run.load("lstm.clip_scores")
    validation = scores.score[scores.split == "validation"]
    threshold = validation.mean() + 2 * validation.std(ddof=1)
    decisions = simulated_run.load("lstm.decisions")
    assert decisions.threshold.to_numpy() == pytest.approx(threshold)
    anomalous = decisions.decision == "anomalous"
    assert (anomalous == (decisions.score >= decisions.threshold)).all()
    detector = simulated_run.load("lstm.detector")
    values = dict(detector.thresholds.by_machine_id)
    assert values == pytest.approx({"00": threshold, "02": threshold})
    assert detector.score == simulated_run.load("lstm.fitted_score")
    assert detector.description.features.log_mel.n_fft == 2048


def test_one_mlflow_run_holds_everything(simulated_run):
    client, runs = mlflow_runs(simulated_run)
    (run,) = (run for run in runs if run.info.run_name == "slider lstm seed 1")
    assert run.info.status == "FINISHED"
    # the namespace is stripped, so that two methods line up
    params = run.data.params
    assert params["training.learning_rate"] == "0.001"
    assert params["network.hidden_size"] == "16"
    assert params["log_mel.n_fft"] == "2048"
    assert params["seed"] == "1"
    assert not [name for name in params if name.startswith("lstm.")]
    metrics = simulated_run.load("lstm.metrics")
    assert run.data.metrics["auc_pooled"] == pytest.approx(metrics["auc_pooled"])
    assert run.data.metrics["auc_pooled_interval.low"] == metrics["auc_pooled_interval"][0]
    assert run.data.metrics["per_machine_id.02.auc"] == metrics["per_machine_id"]["02"]["auc"]
    assert "deployed.f1_anomalous" in run.data.metrics or "deployed.fpr" in run.data.metrics
    history = simulated_run.load("lstm.training_history")
    tracked = client.get_metric_history(run.info.run_id, "validation_loss")
    assert [metric.step for metric in tracked] == [1, 2]
    assert [metric.value for metric in tracked] == pytest.approx(list(history.validation_loss))
    tags = run.data.tags
    assert tags["simulated"] == "true"
    assert tags["corpus_fingerprint"] == metrics["corpus"]["fingerprint"]
    assert "git_revision" in tags
    assert tags["trained_device"] == "cpu"
    assert tags["trained_precision"] in ("32-true", "bf16-mixed")
    artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {
        "roc_figure.png",
        "report.md",
        "report.html",
        "events.csv",
        "thresholds.csv",
        "metrics.json",
    } <= artifacts
    environment = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/environment.json")
    assert "torch" in environment["packages"]


@pytest.fixture
def first_scores(project, dcase_folder):
    project.run(to_outputs=["lstm.clip_scores"], audio_dir=str(dcase_folder))
    return project.load("lstm.clip_scores")


def test_the_same_seed_gives_the_same_scores(project, dcase_folder, first_scores):
    scores, audio_dir = ["lstm.clip_scores"], str(dcase_folder)
    project.run(to_outputs=scores, audio_dir=audio_dir)
    pd.testing.assert_frame_equal(project.load("lstm.clip_scores"), first_scores)
    project.run(to_outputs=scores, audio_dir=audio_dir, seed=2)
    assert not np.allclose(project.load("lstm.clip_scores").score, first_scores.score)


def test_interrupted_and_run_again_is_the_unbroken_run(
    project, dcase_folder, first_scores, monkeypatch
):
    unbroken = project.load("lstm.network")
    whole = training_module._train_epoch
    begun = []

    def interrupted(*arguments):
        begun.append(1)
        if len(begun) == 2:
            raise RuntimeError("killed")
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(training_module, "_train_epoch", interrupted)
        with pytest.raises(RuntimeError, match="killed"):
            project.run(audio_dir=str(dcase_folder))
    project.run(to_outputs=["lstm.clip_scores"], audio_dir=str(dcase_folder))
    assert len(begun) == 2
    resumed = project.load("lstm.network")
    for name, weights in unbroken.weights.items():
        assert np.array_equal(weights, resumed.weights[name])
    pd.testing.assert_frame_equal(project.load("lstm.clip_scores"), first_scores)
    _, runs = mlflow_runs(project)
    assert sorted(run.info.status for run in runs) == ["FAILED", "FINISHED", "FINISHED"]


def test_bad_clips_do_not_stop_the_run(project, dcase_folder, write_clip):
    train = dcase_folder / "train"
    (train / "normal_id_00_00000010.wav").write_bytes(b"")
    (train / "normal_id_00_00000011.wav").write_text("text")
    write_clip(train / "normal_id_00_00000012.wav", np.zeros(16000))
    long = np.random.default_rng(5).normal(0, 0.1, (3 * 48000, 2))
    write_clip(train / "normal_id_00_00000013.flac", long, samplerate=48000, subtype="PCM_24")
    project.run(audio_dir=str(dcase_folder))
    assert len(project.load("rejected_clips")) == 3
    scores = project.load("lstm.clip_scores")
    assert len(scores) == 17
    windows = project.load("lstm.window_errors").groupby("clip_id", observed=True).size()
    assert windows["train/normal_id_00_00000013.flac"] == 48000 // 512 + 1 - 10
    report = project.data("08_reporting/slider/lstm/report.md").read_text()
    assert "20 clips found = 17 used" in report
    assert "train/normal_id_00_00000010.wav | the file is empty" in report


@pytest.mark.parametrize("kept", ["normal", "anomaly", "none"])
def test_without_two_classes_all_else_still_works(project, dcase_folder, kept):
    for path in (dcase_folder / "test").glob("*.wav"):
        if not path.name.startswith(kept):
            path.unlink()
    project.run(audio_dir=str(dcase_folder))
    metrics = project.load("lstm.metrics")
    assert metrics["auc_pooled"] is None
    assert "auc_pooled" in metrics["not_computed"]
    assert "not computed" in project.data("08_reporting/slider/lstm/report.md").read_text()
    assert len(project.load("lstm.decisions")) == len(project.load("clips"))
    for file in FILES:
        assert project.data(file).exists(), file


def test_a_plain_folder_is_learned_and_judged(project, tmp_path, write_clip):
    for number in range(5):
        write_clip(tmp_path / "press" / f"monday {number}.wav", seed=number)
    project.run(audio_dir=str(tmp_path / "press"))
    assert project.load("lstm.clip_scores").machine_type.eq("press").all()
    assert len(project.load("lstm.decisions")) == 5


def test_nothing_usable_is_one_sentence(project, dcase_folder):
    for path in dcase_folder.rglob("*.wav"):
        path.write_bytes(b"")
    with pytest.raises(InputError, match="none of the 16 clips found can be used"):
        project.run(audio_dir=str(dcase_folder))


def test_a_folder_that_is_not_there_is_never_replaced_by_simulated_sound(project, tmp_path):
    with pytest.raises(Exception, match="gone does not exist"):
        project.run(audio_dir=str(tmp_path / "gone"))
    assert not project.data("01_raw", "simulated").exists()


@pytest.mark.recordings
def test_eight_channels_in_mimiis_layout(project, recordings, tmp_path):
    folder = tmp_path / "fan_8ch"
    shutil.copytree(recordings / "fan_8ch" / "id_00", folder / "id_00")
    project.run(audio_dir=str(folder))
    clips = project.load("clips")
    assert set(clips.channels) == {8}
    assert clips.groupby(["split", "label"]).size().to_dict() == {
        ("train", "normal"): 2,
        ("validation", "normal"): 2,
        ("test", "normal"): 2,
        ("test", "anomalous"): 4,
    }
    assert project.load("lstm.metrics")["auc_pooled"] is not None
    assert project.load("corpus_summary").simulated is False
