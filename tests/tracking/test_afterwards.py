"""What MLflow could not record is recorded afterwards: once, and as the run would have done it."""

import mlflow
import pytest
from click.testing import CliRunner
from dripping_server import DrippingServer
from mlflow import MlflowClient
from support import Project
from tracking.failing import artifacts_fail

from anomalous_sound.cli import mlflow_commands
from anomalous_sound.tracking import entries
from anomalous_sound.tracking.afterwards import Note, Notes


def catch_up(project, monkeypatch):
    monkeypatch.chdir(project.path)
    result = CliRunner().invoke(mlflow_commands, ["catch-up"])
    assert "Traceback" not in result.output
    return result


def runs(project):
    client = MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound")
    return client.search_runs([experiment.experiment_id]) if experiment else []


def artifacts(project, run):
    client = MlflowClient(f"sqlite:///{project.path}/mlflow.db")

    def below(path):
        for one in client.list_artifacts(run.info.run_id, path):
            yield from below(one.path) if one.is_dir else [one.path]

    return set(below(None))


def points(project, run):
    client = MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    return {
        name: [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
        if name not in ("seconds", "training_s", "scoring_s_per_clip")
    }


def put_away(project):
    """Let the store be none."""
    (project.path / "mlflow.db").replace(project.path / "away")
    (project.path / "mlflow.db").write_text("no database")


def put_back(project):
    (project.path / "away").replace(project.path / "mlflow.db")


def test_a_run_that_mlflow_missed_is_recorded_as_one_that_it_saw(
    project, dcase_folder, caplog, monkeypatch
):
    project.run(audio_dir=str(dcase_folder))
    (seen,) = runs(project)
    put_away(project)
    project.run(audio_dir=str(dcase_folder))
    assert "record them by: kedro mlflow catch-up." in caplog.text
    still = catch_up(project, monkeypatch)
    assert still.exit_code == 1
    assert "MLflow still cannot use" in still.output
    assert "nothing is lost" in still.output
    put_back(project)
    assert catch_up(project, monkeypatch).output == "Recorded: slider lstm seed 1\n"
    missed, other = runs(project)
    assert other.info.run_id == seen.info.run_id
    assert missed.info.status == "FINISHED"
    assert missed.info.run_name == seen.info.run_name
    assert seen.info.end_time < missed.info.start_time < missed.info.end_time
    assert missed.data.params == seen.data.params
    assert points(project, missed) == points(project, seen)
    assert artifacts(project, missed) == artifacts(project, seen)
    only_one = {"kedro_command", "recorded_afterwards", "run_id", "mlflow.log-model.history"}
    for name in {*seen.data.tags, *missed.data.tags} - only_one:
        assert missed.data.tags.get(name) == seen.data.tags.get(name), name
    (corpus,) = missed.inputs.dataset_inputs
    assert corpus.dataset.digest == seen.inputs.dataset_inputs[0].dataset.digest
    # once
    assert "nothing to catch up on" in catch_up(project, monkeypatch).output
    assert len(runs(project)) == 2


def test_a_run_that_mlflow_lost_in_the_middle_gets_the_rest(
    project, dcase_folder, monkeypatch, caplog
):
    with monkeypatch.context() as patch:
        artifacts_fail(patch, at=2, error=OSError(28, "No space left on device"))
        project.look(audio_dir=str(dcase_folder))
    (begun,) = runs(project)
    assert "explore/report.md" not in str(artifacts(project, begun))
    # the results of this run are replaced in part: what is not its own is not recorded as its own
    project.data("02_intermediate", "slider", "rejected_clips.csv").write_text("clip_id\nother\n")
    catch_up(project, monkeypatch)
    (run,) = runs(project)
    assert run.info.run_id == begun.info.run_id
    assert {"clips.parquet", "report.md"} <= artifacts(project, run)
    assert "rejected_clips.csv" not in artifacts(project, run)
    assert "another run has replaced it: rejected_clips.csv" in caplog.text


def test_a_store_that_is_lost_in_the_middle_gets_all_of_the_run(project, dcase_folder, monkeypatch):
    empty = (project.path / "mlflow.db").read_bytes()
    with monkeypatch.context() as patch:
        artifacts_fail(patch, at=3, error=OSError(5, "Input/output error"))
        project.look(audio_dir=str(dcase_folder))
    (begun,) = runs(project)
    (project.path / "mlflow.db").write_bytes(empty)
    with monkeypatch.context() as patch:
        patch.setattr(entries.Parameters, "log", lambda _: 1 / 0)
        assert catch_up(project, monkeypatch).exit_code == 1
    assert catch_up(project, monkeypatch).output.startswith("Recorded: ")
    (run,) = runs(project)
    assert run.info.run_id != begun.info.run_id
    assert run.data.params == begun.data.params
    assert {"environment.json", "rejected_clips.csv", "report.md"} <= artifacts(project, run)


def test_a_run_that_is_recorded_leaves_no_note_of_the_one_that_it_replaces(project, dcase_folder):
    put_away(project)
    project.look(audio_dir=str(dcase_folder))
    notes = Notes(project.path / ".unrecorded")
    assert len(notes) == 1
    put_back(project)
    project.look(audio_dir=str(dcase_folder))
    assert len(notes) == 0


@pytest.fixture
def store(tmp_path):
    """An empty store, and the experiment that runs are made in."""
    project = Project(tmp_path / "project")
    mlflow.set_tracking_uri(f"sqlite:///{project.path}/mlflow.db")
    return project, MlflowClient().create_experiment("anomalous-sound", str(tmp_path / "mlruns"))


def test_what_was_interrupted_is_finished_and_not_doubled(store, tmp_path, monkeypatch):
    project, experiment = store
    notes = Notes(tmp_path / "notes")
    note = Note(name="press lstm", tags={"detector": "press"})
    note.entries += [
        entries.Metrics.of({"loss": [{"value": 0.5, "step": 0}, {"value": 0.4, "step": 1}]}, ""),
        entries.Metrics.of({"auc": {"value": float("nan"), "step": 0}}, "press"),
        entries.Tags(tags={"corpus": "press"}),
    ]
    notes.write("press.lstm", note)
    with monkeypatch.context() as patch:
        patch.setattr(mlflow, "set_tags", lambda tags: 1 / 0)
        with pytest.raises(Exception, match="division by zero"):
            notes.log(experiment)
    assert notes.log(experiment) == ["press lstm"]
    assert notes.log(experiment) == []
    (run,) = runs(project)
    assert run.info.status == "FINISHED"
    assert run.info.end_time == note.ended_ms
    assert run.data.tags["corpus"] == run.data.tags["detector"] == "press"
    assert points(project, run)["loss"] == [(0, 0.5), (1, 0.4)]
    assert len(points(project, run)["press.auc"]) == 1


def test_a_note_that_cannot_be_read_is_told(store, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "press.lstm.json").write_text('{"entries": 3}')
    with pytest.raises(Exception, match=r"press\.lstm\.json cannot be read: .* remove it"):
        Notes(tmp_path / "notes").log(store[1])


def test_files_and_folders_are_told_from_others(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("1")
    whole = entries.digest(tmp_path / "folder")
    (tmp_path / "folder" / "a").write_text("2")
    assert entries.digest(tmp_path / "folder") != whole
    (tmp_path / "folder" / "a").write_text("1")
    assert entries.digest(tmp_path / "folder") == whole
    assert entries.digest(tmp_path / "none") == ""


def test_a_server_that_drips_does_not_hold_the_catching_up(project, monkeypatch):
    Notes(project.path / ".unrecorded").write("slider.lstm", Note(name="slider lstm"))
    dripping = DrippingServer(0.05)
    project.configure("globals", {"runs": {"mlflow_patience_s": 1}})
    project.configure("mlflow", {"server": {"mlflow_tracking_uri": dripping.url}})
    still = catch_up(project, monkeypatch)
    dripping.close()
    assert still.exit_code == 1
    assert "its answers took longer than 1 s in all" in still.output
    assert "nothing is lost" in still.output
    assert len(Notes(project.path / ".unrecorded")) == 1
