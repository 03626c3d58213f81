"""What MLflow learns of a run however it ends; the whole of a good run is in test_lstm.py."""

from __future__ import annotations

import importlib.metadata
import os
from types import SimpleNamespace

import mlflow
import pytest
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import ThreadRunner
from support import Project

from anomalous_sound.configuration.base import Settings
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.corpus.checks import ClipChecks
from anomalous_sound.pipelines.preparation import nodes
from anomalous_sound.provenance import lock
from anomalous_sound.storage.locks import LivingRuns
from anomalous_sound.tracking import entries, patience, registry
from anomalous_sound.tracking.hooks import (
    TrackingHooks,
    mark_as_killed,
    parameters_of,
    tags_of,
)

TRAINING = {
    "epochs": 10,
    "batch_size": 32,
    "learning_rate": 0.001,
    "stride": 4,
    "accelerator": "cpu",
    "precision": "auto",
    "threads": 1,
}


class MethodSettings(Settings):
    """Settings of a method, as far as these tests need them."""

    training: TrainingSettings
    score: ScoreSettings


class CorpusSummary(Settings):
    """A corpus summary that is a model."""

    name: str
    fingerprint: str
    simulated: bool
    machine_type: str
    machine_ids: list[str]


def test_a_run_that_fails_at_its_first_node_is_marked_with_all_parameters(project):
    with pytest.raises(DatasetError, match="absent does not exist"):
        project.run(audio_dir="absent")
    run = project.the_only_run()
    assert run.info.status == "FAILED"
    assert run.data.params["training.batch_size"] == "32"
    assert run.data.params["log_mel.n_mels"] == "128"
    assert "git_revision" in run.data.tags
    assert (run.data.tags["lock"], run.data.tags["as_locked"]) == ("none", "false")


def test_mlflow_knows_the_lock_and_whether_the_environment_is_as_locked(project):
    folder = project.path / lock.FOLDER
    folder.mkdir()
    (folder / f"{lock.here()}.txt").write_text("numpy==1.0\n")
    with pytest.raises(DatasetError):
        project.run(audio_dir="absent")
    tags = project.the_only_run().data.tags
    assert tags["lock"] == lock.find_lock(project.path).digest
    assert tags["as_locked"] == "false"
    assert f"numpy {importlib.metadata.version('numpy')}, 1.0 is locked" in tags["not_as_locked"]


def test_a_run_that_is_interrupted_at_its_first_node_is_marked(project, dcase_folder, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(nodes, "ClipChecks", interrupted)
    with pytest.raises(KeyboardInterrupt):
        project.run(audio_dir=str(dcase_folder))
    mark_as_killed()
    assert project.the_only_run().info.status == "KILLED"
    assert mlflow.active_run() is None


def test_a_node_that_logs_to_a_server_by_itself_logs_to_the_run(project, dcase_folder, monkeypatch):
    monkeypatch.setattr(patience, "_ON_THIS_MACHINE", ())  # the store is taken for a server

    def logging_too(*arguments):
        mlflow.log_metric("mine", 3)
        return ClipChecks(*arguments)

    monkeypatch.setattr(nodes, "ClipChecks", logging_too)
    project.look(audio_dir=str(dcase_folder))
    run = project.the_only_run()
    assert run.info.status == "FINISHED"
    assert run.data.metrics["mine"] == 3
    assert run.data.params["log_mel.n_mels"] == "128"
    assert mlflow.active_run() is None
    assert not os.environ.get("MLFLOW_RUN_ID")


def test_nodes_in_threads_share_one_run(project, dcase_folder):
    with project.session(audio_dir=str(dcase_folder)) as session:
        session.run(pipeline_names=["lstm"], runner=ThreadRunner())
    run = project.the_only_run()
    assert run.info.status == "FINISHED"
    assert run.data.metrics["auc_pooled"] == project.load("lstm.metrics")["auc_pooled"]


def test_a_run_of_somebody_else_is_used_and_left_open(project, dcase_folder):
    mlflow.set_tracking_uri(f"sqlite:///{project.path}/mlflow.db")
    mlflow.set_experiment("anomalous-sound")
    with mlflow.start_run() as active:
        project.look(audio_dir=str(dcase_folder))
        assert mlflow.active_run().info.run_id == active.info.run_id
    assert project.the_only_run().data.params["log_mel.n_mels"] == "128"


def test_a_run_that_an_orchestrator_has_made_is_used(project, dcase_folder, monkeypatch):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    given = client.create_run(client.create_experiment("anomalous-sound"))
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    project.look(audio_dir=str(dcase_folder))
    assert project.the_only_run().info.run_id == given.info.run_id


def test_a_run_tells_who_ran_what_and_values_too_long_for_a_parameter(
    project, dcase_folder, monkeypatch
):
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.setattr(entries, "MAX_PARAM_VAL_LENGTH", 3)
    project.look(audio_dir=str(dcase_folder))
    run = project.the_only_run()
    assert run.info.run_name == "slider explore seed 1"
    assert run.data.tags["mlflow.user"] == "ada"
    assert run.data.tags["mlflow.source.type"] == "LOCAL"
    assert run.data.params["log_mel.n_mels"] == "128"
    assert run.data.tags["log_mel.n_fft"] == "2048"
    assert "log_mel.n_fft" not in run.data.params


def test_the_next_run_ends_those_whose_process_is_gone(project, dcase_folder):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    experiment = client.create_experiment("anomalous-sound")
    gone, elsewhere = (client.create_run(experiment).info.run_id for _ in range(2))
    locks = project.path / ".locks"
    living = LivingRuns(locks)
    living.begin(gone)
    assert living.died() == []
    living._held.pop(gone).release()  # as the operating system does when a process is killed
    project.look(audio_dir=str(dcase_folder))
    assert client.get_run(gone).info.status == "KILLED"
    assert client.get_run(elsewhere).info.status == "RUNNING"  # nobody here has begun it
    assert not list(locks.glob("run.*"))


def test_every_parameter_of_a_model_is_recorded_when_the_run_begins(project):
    """The parameters of nodes with nested namespaces; the first node has not run yet."""
    method = MethodSettings.model_validate(
        {
            "training": TRAINING,
            "score": {
                "type": "pooled_error",
                "pooling": {"type": "percentile", "percentile": 90.0},
            },
        }
    )
    catalog = DataCatalog(
        {
            "params:lstm": MemoryDataset(method),
            "params:lstm.training": MemoryDataset(method.training),
            "params:log_mel": MemoryDataset({"n_mels": 128, "names": ["a", "b"], "gone": None}),
            "params:seed": MemoryDataset(1),
        }
    )

    def nothing(*parameters):
        return None

    pipeline = Pipeline(
        [
            node(
                nothing,
                ["params:lstm.training", "params:seed"],
                "network",
                name="train",
                namespace="lstm.training",
            ),
            node(
                nothing,
                ["params:lstm", "params:log_mel", "network"],
                "scores",
                name="score",
                namespace="lstm.inference",
            ),
        ]
    )
    expected = {
        **{f"training.{name}": str(value) for name, value in TRAINING.items()},
        "score.type": "pooled_error",
        "score.pooling.type": "percentile",
        "score.pooling.percentile": "90.0",
        "log_mel.n_mels": "128",
        "log_mel.names": "['a', 'b']",
        "log_mel.gone": "None",
        "seed": "1",
    }
    assert parameters_of(pipeline, catalog) == expected
    with project.session() as session:
        tracking = TrackingHooks()
        tracking.after_context_created(session.load_context())
        run_params = dict.fromkeys(
            ["tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "load_versions"]
        )
        tracking.before_pipeline_run({**run_params, "pipeline_names": ["lstm"]}, pipeline, catalog)
        assert project.the_only_run().data.params == expected
        tracking.after_pipeline_run(run_params, pipeline, catalog)
    assert project.the_only_run().info.status == "FINISHED"
    assert mlflow.active_run() is None


@pytest.mark.parametrize("as_model", [False, True])
def test_the_tags_of_a_corpus_and_of_what_was_trained_on(as_model):
    summary = {
        "name": "slider",
        "fingerprint": "0a1b",
        "simulated": True,
        "machine_type": "slider",
        "machine_ids": ["00", "02"],
    }
    trained_on = {"device": "cpu", "precision": "32-true"}
    network = SimpleNamespace(settings={"trained_on": trained_on})
    if as_model:
        summary = CorpusSummary.model_validate(summary)
        network = SimpleNamespace(description=SimpleNamespace(trained_on=trained_on))
    expected = {
        "corpus": "slider",
        "corpus_fingerprint": "0a1b",
        "simulated": "true",
        "machine_type": "slider",
        "machine_ids": "00, 02",
    }
    assert tags_of("corpus_summary", summary) == expected
    assert tags_of("score.corpus_summary", summary) == expected
    assert tags_of("lstm.network", network) == {
        "trained_device": "cpu",
        "trained_precision": "32-true",
    }
    assert tags_of("lstm.metrics", {"name": "slider"}) == {}


def test_the_store_lies_in_the_project_whatever_the_working_directory(
    project, dcase_folder, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (project.path / "mlflow.db").unlink()
    project.load("params:seed")
    assert not (project.path / "mlflow.db").exists()  # only a run opens the store
    project.look(audio_dir=str(dcase_folder))
    assert project.the_only_run().info.status == "FINISHED"
    assert not list(elsewhere.iterdir())


def test_a_detector_that_cannot_be_registered_is_an_artifact(
    tmp_path, dcase_folder, monkeypatch, caplog
):
    def fail(*arguments):
        raise OSError("this store has no registry\nand says so at length")

    monkeypatch.setattr(registry, "log_detector", fail)
    project = Project(tmp_path / "project", registers_detectors=True)
    project.run(audio_dir=str(dcase_folder))
    run = project.the_only_run()
    assert run.info.status == "FINISHED"
    assert run.data.metrics["auc_pooled"] == project.load("lstm.metrics")["auc_pooled"]
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    assert "detector" in {one.path for one in client.list_artifacts(run.info.run_id)}
    told = [one.message for one in caplog.records if "registry" in one.message]
    assert told == ["The detector is not in MLflow's registry: this store has no registry"]
