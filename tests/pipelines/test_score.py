"""New recordings are judged by a detector that was trained before."""

import json
import shutil

import mlflow
import pandas as pd
import pytest
from kedro.io import DatasetError
from support import Project

from anomalous_sound import Detector
from anomalous_sound.errors import InputError
from anomalous_sound.methods.discovery import trained_methods

pytestmark = pytest.mark.slow


@pytest.fixture
def trained(simulated_run, tmp_path):
    """A project of its own that holds no more than the detector of the LSTM."""
    (tmp_path / "elsewhere").mkdir()
    project = Project(tmp_path / "elsewhere")
    detector = "06_models/slider/lstm/detector"
    shutil.copytree(simulated_run.data(detector), project.data(detector))
    return project


@pytest.fixture
def a_clip(simulated_run):
    """The file of an anomalous test clip."""
    folder = simulated_run.data("01_raw/simulated/slider/test")
    return min(folder.glob("anomaly_*.wav"))


def judged(project, folder, *, to_outputs=None, **parameters):
    project.run("score", to_outputs=to_outputs, audio_dir=str(folder), **parameters)
    return project.load("score.decisions").set_index("clip_id")


@pytest.mark.parametrize("method", trained_methods())
def test_clips_are_judged_as_in_the_run_that_trained_the_detector(compared_run, tmp_path, method):
    (tmp_path / "elsewhere").mkdir()
    project = Project(tmp_path / "elsewhere")
    detector = f"06_models/slider/{method}/detector"
    shutil.copytree(compared_run.data(detector), project.data(detector))
    # what the parameters say now does not matter: the detector has its own
    changed = {"log_mel": {"n_mels": 40, "n_fft": 1024}, "thresholds": {"k": 9.0}}
    found = judged(
        project,
        compared_run.data("01_raw/simulated/slider"),
        to_outputs=["score.decisions"],
        inference={"method": method},
        **changed,
    )
    expected = compared_run.load(f"{method}.decisions").set_index("clip_id")
    pd.testing.assert_frame_equal(
        found[["score", "threshold", "decision"]],
        expected.loc[found.index, ["score", "threshold", "decision"]],
        check_exact=True,
    )
    clips = compared_run.load("clips")
    assert set(found.index) == set(clips.clip_id)
    test = clips.clip_id[clips.split == "test"]
    pd.testing.assert_series_equal(found.p_value[test], expected.p_value[test])


def test_a_file_of_any_name_is_judged(trained, a_clip, tmp_path, simulated_run):
    new = tmp_path / "new" / "abnormal noise on monday.wav"  # in training such a name is an error
    new.parent.mkdir()
    shutil.copy(a_clip, new)
    found = judged(trained, new.parent)
    expected = simulated_run.load("lstm.clip_scores").set_index("clip_id")
    assert found.score[new.name] == pytest.approx(expected.score[f"test/{a_clip.name}"])
    marks = trained.load("score.localisation")
    assert set(marks.axis) == {"time", "frequency"}
    assert trained.data("08_reporting/slider/score/timeline_figure.png").stat().st_size > 0
    report = trained.data("08_reporting/slider/score/report.md").read_text()
    assert "**It was trained on simulated data:**" in report
    held_out = (simulated_run.load("clips").split == "validation").sum()
    assert f"never below 1 in {held_out + 1}" in report
    assert "**Called anomalous: 0 of 1 clips; undecided: 1.**" in report  # its name says no ID
    assert "machine IDs that it has not been trained on" in report


def test_every_clip_is_judged_or_rejected_with_its_reason(trained, a_clip, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    shutil.copy(a_clip, folder / "whole.wav")
    (folder / "half.wav").write_bytes(a_clip.read_bytes()[:20_000])
    (folder / "empty.wav").touch()
    found = judged(trained, folder)
    rejected = trained.load("score.rejected_clips").set_index("clip_id").reason
    assert set(found.index) == {"whole.wav"}
    assert set(rejected.index) == {"half.wav", "empty.wav"}
    assert "truncated" in rejected["half.wav"]
    report = trained.data("08_reporting/slider/score/report.md").read_text()
    assert "3 clips found = 1 used" in report
    (folder / "whole.wav").unlink()
    with pytest.raises(InputError, match="none of the 2 clips found can be used"):
        judged(trained, folder)


def test_what_has_no_threshold_of_its_own_is_not_called_normal(project, dcase_folder, write_clip):
    own = {"per": "machine_id", "deployed": "validation_mean"}
    project.run(audio_dir=str(dcase_folder), thresholds=own)
    write_clip(dcase_folder / "test" / "normal_id_07_00000000.wav", seed=99)
    found = judged(project, dcase_folder)
    assert found.threshold.nunique() == 2
    undecided = found[found.decision == "undecided"]
    assert list(undecided.index) == ["test/normal_id_07_00000000.wav"]
    assert undecided[["threshold", "p_value"]].isna().all(axis=None)
    report = project.data("08_reporting/slider/lstm/report.md").read_text()
    assert "| **validation mean, machine ID 00** | normal-only |" in report
    assert "| **validation mean** |" not in report


def test_what_has_no_network_of_its_own_is_rejected(project, dcase_folder, write_clip):
    own = {"per": "machine_id"}
    project.run(to_outputs=["lstm.detector"], audio_dir=str(dcase_folder), detector=own)
    write_clip(dcase_folder / "test" / "normal_id_07_00000000.wav", seed=99)
    found = judged(project, dcase_folder, to_outputs=["score.decisions"])
    rejected = project.load("score.rejected_clips").set_index("clip_id").reason
    assert list(rejected.index) == ["test/normal_id_07_00000000.wav"]
    assert "no network for machine ID '07' (it has those of 00, 02)" in rejected.iloc[0]
    assert found.threshold.notna().all()


def test_clips_of_another_machine_type_beside_the_detectors_are_not_judged(
    trained, a_clip, tmp_path
):
    for machine_type in ("slider", "fan"):
        target = tmp_path / "new" / machine_type / "test" / a_clip.name
        target.parent.mkdir(parents=True)
        shutil.copy(a_clip, target)
    found = judged(trained, tmp_path / "new", to_outputs=["score.decisions"])
    assert list(found.index) == [f"slider/test/{a_clip.name}"]
    reason = trained.load("score.rejected_clips").reason.iloc[0]
    assert reason == "the detector judges machine type slider, not fan"


def test_without_a_detector_the_command_that_trains_one_is_named(project, dcase_folder):
    trains = "there is no detector of the method gru; train one first: kedro run --pipeline gru"
    with pytest.raises(InputError, match=trains):
        project.run("score", audio_dir=str(dcase_folder), inference={"method": "gru"})


def test_a_detector_of_an_earlier_version_is_to_be_trained_again(trained, a_clip, tmp_path):
    path = trained.data("06_models/slider/lstm/detector/settings.json")
    settings = json.loads(path.read_text())
    del settings["calibration"]
    path.write_text(json.dumps(settings))
    shutil.copy(a_clip, tmp_path)
    with pytest.raises(DatasetError, match="holds no calibration: .* train it again"):
        judged(trained, tmp_path)


def test_what_was_trained_on_stays_and_the_run_is_recorded(trained, a_clip, tmp_path):
    (tmp_path / "new").mkdir()
    shutil.copy(a_clip, tmp_path / "new")
    judged(trained, tmp_path / "new")
    made = {path.relative_to(trained.data()).as_posix() for path in trained.data().rglob("*.*")}
    outside = {name for name in made if "/score/" not in name and "06_models" not in name}
    assert outside == set()
    client = mlflow.MlflowClient(f"sqlite:///{trained.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.tags["corpus"] == "new"
    counts = {"clips": 1, "normal": 0, "anomalous": 0, "undecided": 0, "rejected": 0}
    counts[trained.load("score.decisions").decision.iloc[0]] = 1
    assert run.data.metrics == counts
    artifacts = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"decisions.csv", "localisation.csv", "report.md", "timeline_figure.png"} <= artifacts
    assert {"events.csv", "report.html"} <= artifacts
    page = trained.data("08_reporting/slider/score/report.html").read_text(encoding="utf-8")
    assert page.count("<audio ") == 1
    assert f'<span class="name">{a_clip.name}</span>' in page


def test_page_and_report_name_the_rate_that_was_asked_for(trained, a_clip, tmp_path):
    (tmp_path / "new").mkdir()
    shutil.copy(a_clip, tmp_path / "new")
    detector = Detector.load(trained.data("06_models/slider/lstm/detector"))
    rate = 0.4  # two clips calibrate it
    judged(trained, tmp_path / "new", inference={"false_alarm_rate": rate, "machine_id": "00"})
    expected = detector.at_rate(rate).thresholds
    assert expected.shared != detector.thresholds.shared
    assert trained.load("score.decisions").threshold.iloc[0] == expected.shared
    page = trained.data("08_reporting/slider/score/report.html").read_text(encoding="utf-8")
    assert "at most 40.0% false alarms among normal clips" in page
