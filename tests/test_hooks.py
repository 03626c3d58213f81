"""What MLflow learns of a run however it ends; the whole of a good run is in test_lstm.py."""

import sys

import mlflow
import pytest
from kedro.framework.project import settings
from kedro.io import DatasetError
from kedro.runner import ThreadRunner

from anomalous_sound.errors import InputError
from anomalous_sound.hooks import TrackingHooks
from anomalous_sound.pipelines.preparation import nodes


def the_only_run(project):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound")
    (run,) = client.search_runs([experiment.experiment_id])
    return run


def test_a_run_that_fails_at_its_first_node_is_marked_with_all_parameters(project):
    with pytest.raises(DatasetError, match="absent does not exist"):
        project.run(audio_dir="absent")
    run = the_only_run(project)
    assert run.info.status == "FAILED"
    assert run.data.params["training.batch_size"] == "32"
    assert run.data.params["log_mel.n_mels"] == "128"
    assert "git_revision" in run.data.tags


def test_a_run_that_is_interrupted_at_its_first_node_is_marked(project, dcase_folder, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(nodes, "ClipChecks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        project.run(audio_dir=str(dcase_folder))
    (tracking,) = (hooks for hooks in settings.HOOKS if isinstance(hooks, TrackingHooks))
    tracking.stop()
    assert the_only_run(project).info.status == "KILLED"
    assert mlflow.active_run() is None


def test_nodes_in_threads_share_one_run(project, dcase_folder):
    with project.session(audio_dir=str(dcase_folder)) as session:
        session.run(pipeline_names=["lstm"], runner=ThreadRunner())
    run = the_only_run(project)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["auc_pooled"] == project.load("lstm.metrics")["auc_pooled"]


def test_a_run_of_somebody_else_is_used_and_left_open(project, dcase_folder):
    mlflow.set_tracking_uri(f"sqlite:///{project.path}/mlflow.db")
    mlflow.set_experiment("anomalous-sound")
    with mlflow.start_run() as active:
        project.run("explore", audio_dir=str(dcase_folder))
        assert mlflow.active_run().info.run_id == active.info.run_id
    assert the_only_run(project).data.params["log_mel.n_mels"] == "128"


def test_a_run_that_an_orchestrator_has_made_is_used(project, dcase_folder, monkeypatch):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    given = client.create_run(client.create_experiment("anomalous-sound"))
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    project.run("explore", audio_dir=str(dcase_folder))
    assert the_only_run(project).info.run_id == given.info.run_id


def test_a_run_tells_who_ran_what_and_values_too_long_for_a_parameter(
    project, dcase_folder, monkeypatch
):
    monkeypatch.setenv("LOGNAME", "ada")
    for module in ("anomalous_sound.hooks", "kedro_mlflow.framework.hooks.mlflow_hook"):
        monkeypatch.setattr(sys.modules[module], "MAX_PARAM_VAL_LENGTH", 3)
    project.run("explore", audio_dir=str(dcase_folder))
    run = the_only_run(project)
    assert run.info.run_name == "explore"
    assert run.data.tags["mlflow.user"] == "ada"
    assert run.data.tags["mlflow.source.type"] == "LOCAL"
    assert run.data.params["log_mel.n_mels"] == "128"
    assert run.data.tags["log_mel.n_fft"] == "2048"
    assert "log_mel.n_fft" not in run.data.params


def test_a_store_that_cannot_be_read_is_named(project, dcase_folder):
    (project.path / "mlflow.db").write_text("text")
    with pytest.raises(InputError, match=r"mlflow\.db: .*not a database.*move it away"):
        project.run(audio_dir=str(dcase_folder))
