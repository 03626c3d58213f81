"""What MLflow learns of a run however it ends; the whole of a good run is in test_lstm.py."""

from __future__ import annotations

import importlib.metadata
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import ThreadRunner

from anomalous_sound import hooks
from anomalous_sound.configuration.base import Settings
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.errors import InputError
from anomalous_sound.hooks import TrackingHooks, mark_as_killed, parameters_of, tags_of
from anomalous_sound.pipelines.preparation import nodes

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
    mark_as_killed()
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
    monkeypatch.setattr(hooks, "MAX_PARAM_VAL_LENGTH", 3)
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
        assert the_only_run(project).data.params == expected
        tracking.after_pipeline_run(run_params, pipeline, catalog)
    assert the_only_run(project).info.status == "FINISHED"
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


def test_what_a_run_found_is_said_of_its_test_clips():
    clips = pd.DataFrame({"clip_id": list("abcde"), "split": ["train", *["test"] * 4]})
    decisions = pd.DataFrame(
        {
            "clip_id": list("abcde"),
            "score": [9.0, 1.0, 5.0, 4.0, 7.0],
            "decision": ["anomalous", "normal", "anomalous", "anomalous", "undecided"],
        }
    )

    def said(*chosen):
        return hooks.findings(decisions[decisions.clip_id.isin(chosen)], clips)

    assert said(*"abcde") == "2 of 3 clips sound anomalous; the worst: c. Undecided: 1."
    assert said("a", "b", "d") == "1 of 2 clips sounds anomalous; the worst: d."
    assert said("b") == "0 of 1 clip sound anomalous."
    assert said("a") == "There are no clips to test with."


def test_the_store_lies_in_the_project_whatever_the_working_directory(
    project, dcase_folder, tmp_path, monkeypatch
):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (project.path / "mlflow.db").unlink()
    project.load("params:seed")
    assert not (project.path / "mlflow.db").exists()  # only a run opens the store
    project.run("explore", audio_dir=str(dcase_folder))
    assert the_only_run(project).info.status == "FINISHED"
    assert not list(elsewhere.iterdir())


def test_the_environment_names_the_version_of_each_package_that_is_imported():
    packages = hooks.environment()["packages"]
    for name in ("torch", "mlflow", "numpy"):
        assert packages[name] == importlib.metadata.version(name)
