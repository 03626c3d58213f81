"""What MLflow learns of a run however it ends; the whole of a good run is in test_lstm.py."""

from __future__ import annotations

import importlib.metadata
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import mlflow
import pandas as pd
import pytest
from dripping_server import DrippingServer
from kedro.io import DataCatalog, DatasetError, MemoryDataset
from kedro.pipeline import Pipeline, node
from kedro.runner import ThreadRunner
from support import Project

from anomalous_sound import hooks
from anomalous_sound.configuration.base import Settings
from anomalous_sound.configuration.compute import LOCAL
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.errors import InputError
from anomalous_sound.pipelines import training
from anomalous_sound.pipelines.preparation import nodes
from anomalous_sound.provenance import lock
from anomalous_sound.storage.locks import LivingRuns, Readers, WriterLocks
from anomalous_sound.tracking import entries, registry
from anomalous_sound.tracking.hooks import (
    TrackingHooks,
    mark_as_killed,
    parameters_of,
    tags_of,
)
from anomalous_sound.tracking.store import prepare_store

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
    assert (run.data.tags["lock"], run.data.tags["as_locked"]) == ("none", "false")


def test_mlflow_knows_the_lock_and_whether_the_environment_is_as_locked(project):
    folder = project.path / lock.FOLDER
    folder.mkdir()
    (folder / f"{lock.here()}.txt").write_text("numpy==1.0\n")
    with pytest.raises(DatasetError):
        project.run(audio_dir="absent")
    tags = the_only_run(project).data.tags
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
        project.look(audio_dir=str(dcase_folder))
        assert mlflow.active_run().info.run_id == active.info.run_id
    assert the_only_run(project).data.params["log_mel.n_mels"] == "128"


def test_a_run_that_an_orchestrator_has_made_is_used(project, dcase_folder, monkeypatch):
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    given = client.create_run(client.create_experiment("anomalous-sound"))
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    project.look(audio_dir=str(dcase_folder))
    assert the_only_run(project).info.run_id == given.info.run_id


def test_a_run_tells_who_ran_what_and_values_too_long_for_a_parameter(
    project, dcase_folder, monkeypatch
):
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.setattr(entries, "MAX_PARAM_VAL_LENGTH", 3)
    project.look(audio_dir=str(dcase_folder))
    run = the_only_run(project)
    assert run.info.run_name == "slider explore seed 1"
    assert run.data.tags["mlflow.user"] == "ada"
    assert run.data.tags["mlflow.source.type"] == "LOCAL"
    assert run.data.params["log_mel.n_mels"] == "128"
    assert run.data.tags["log_mel.n_fft"] == "2048"
    assert "log_mel.n_fft" not in run.data.params


def results_of(project):
    return {
        path.relative_to(project.path).as_posix()
        for folder in ("07_model_output", "08_reporting")
        for path in project.data(folder).rglob("*")
        if path.is_file()
    }


def damaged(path):
    path.write_text("text")


def a_folder(path):
    path.unlink()
    path.mkdir()


def locked(path):
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damaged, "file is not a database"),
        (a_folder, "unable to open database file"),
        (locked, "database is locked"),
    ],
)
def test_a_store_that_cannot_be_used_costs_no_result(project, dcase_folder, caplog, spoil, reason):
    project.configure("globals", {"runs": {"mlflow_timeout_s": 1}})
    held = spoil(project.path / "mlflow.db")
    started = time.monotonic()
    project.look(audio_dir=str(dcase_folder))
    assert time.monotonic() - started < 100  # it was 249 s once
    assert "data/08_reporting/slider/explore/report.md" in results_of(project)
    first, last = (record.getMessage() for record in caplog.records if "MLflow" in record.message)
    assert f"mlflow.db ({reason}" in first
    assert "\n" not in first + last
    assert "no record of: the run" in last
    assert mlflow.active_run() is None
    del held


def test_a_server_that_is_not_there_costs_no_result_and_no_patience(
    project, dcase_folder, caplog, monkeypatch
):
    for name in ("TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR"):
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}", raising=False)
    for name in ("USERNAME", "PASSWORD"):  # to be restored afterwards
        monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", "")
    project.configure("globals", {"runs": {"mlflow_timeout_s": 1, "mlflow_retries": 1}})
    uri = "http://ada:se%20cret@127.0.0.1:9"
    project.configure("mlflow", {"server": {"mlflow_tracking_uri": uri}})
    started = time.monotonic()
    project.look(audio_dir=str(dcase_folder))
    assert time.monotonic() - started < 100  # it was 249 s once
    assert "data/08_reporting/slider/explore/report.md" in results_of(project)
    assert "MLflow cannot use http://127.0.0.1:9" in caplog.text
    assert "cret" not in caplog.text
    assert os.environ["MLFLOW_TRACKING_USERNAME"] == "ada"
    assert os.environ["MLFLOW_TRACKING_PASSWORD"] == "se cret"


def test_a_server_that_drips_is_given_up_and_the_run_is_noted(
    project, dcase_folder, caplog, monkeypatch
):
    for name in ("TIMEOUT", "MAX_RETRIES", "BACKOFF_FACTOR"):
        monkeypatch.delenv(f"MLFLOW_HTTP_REQUEST_{name}", raising=False)
    dripping = DrippingServer(0.1)
    project.configure("globals", {"runs": {"mlflow_patience_s": 2}})
    project.configure("mlflow", {"server": {"mlflow_tracking_uri": dripping.url}})
    project.look(audio_dir=str(dcase_folder))  # it would wait for a day
    dripping.close()
    assert len(dripping.asked) == 1
    assert "data/08_reporting/slider/explore/report.md" in results_of(project)
    first, last = (record.getMessage() for record in caplog.records if "MLflow" in record.message)
    assert f"MLflow cannot use {dripping.url} (its answers took longer than 2 s in all)" in first
    assert "no record of: the run, parameters and environment" in last
    assert "record them by: kedro mlflow catch-up." in last
    assert list((project.path / ".unrecorded").glob("*.json"))


def test_a_store_that_fails_in_the_middle_costs_no_result(
    project, dcase_folder, caplog, monkeypatch
):
    whole, calls = mlflow.log_artifact, []

    def fails(path, *arguments):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(28, "No space left on device", path)
        whole(path, *arguments)

    monkeypatch.setattr(mlflow, "log_artifact", fails)
    project.look(audio_dir=str(dcase_folder))
    assert len(calls) == 2  # nothing is asked of MLflow after it has failed
    assert "data/08_reporting/slider/explore/report.md" in results_of(project)
    assert "no record of: rejected_clips, corpus_summary, tags, the corpus, explore." in caplog.text
    assert the_only_run(project).info.status == "FINISHED"


def test_a_store_is_made_whole_or_not_at_all(project, dcase_folder, monkeypatch):
    (project.path / "mlflow.db").unlink()
    uri = f"sqlite:///{(project.path / 'mlflow.db').as_posix()}"

    def interrupted(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, "search_experiments", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare_store(uri, 1)
    assert not list(project.path.glob("mlflow.db*[!k]"))  # but for the lock
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda _: prepare_store(uri, 1), range(2)))
    project.look(audio_dir=str(dcase_folder))
    assert the_only_run(project).info.status == "FINISHED"
    assert not list(project.path.glob("mlflow.db.*.incomplete*"))


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


def test_a_second_run_of_a_method_waits_and_then_refuses(project, dcase_folder, caplog):
    project.configure("globals", {"runs": {"wait_s": 1}})
    other = WriterLocks(project.path / ".locks")
    other.acquire(["slider.explore"], wait_s=1)
    with pytest.raises(InputError, match="writing the data of 'slider.explore' for more than 1 s"):
        project.look(audio_dir=str(dcase_folder))
    assert "waiting for it, at most 1 s" in caplog.text
    other.release()
    project.look(audio_dir=str(dcase_folder))


def test_what_methods_share_is_written_by_one_run_at_a_time(project, dcase_folder):
    project.configure("globals", {"runs": {"wait_s": 1}})
    other = WriterLocks(project.path / ".locks")
    other.acquire(["slider.preparation"], wait_s=1)
    with pytest.raises(InputError, match="writing the data of 'slider.preparation'"):
        project.look(audio_dir=str(dcase_folder))


def test_what_methods_share_is_free_for_others_once_it_is_prepared(
    project, dcase_folder, monkeypatch
):
    """Whoever prepares the same goes on beside this run; whoever prepares other clips waits."""
    project.configure("globals", {"runs": {"wait_s": 1}})
    locks, part = project.path / ".locks", "slider.preparation"
    read = []

    def look(path):
        """Be another run, while this one still uses its clips."""
        other, readers = WriterLocks(locks), Readers(locks)
        other.acquire([part, "slider.gru"], wait_s=1)
        with pytest.raises(InputError, match=r"'slider\.explore'"):
            WriterLocks(locks).acquire(["slider.explore"], wait_s=0.1)
        (file,) = locks.glob(f"{part}.read.*.lock")
        read.append(file.name.split(".")[-3])
        readers.wait(part, read[-1], wait_s=0.1)
        with pytest.raises(InputError, match="with other data of"):
            readers.wait(part, "other", wait_s=0.1)
        other.release()
        return path

    with monkeypatch.context() as patch:
        patch.setattr(hooks, "_short", look)
        project.look(audio_dir=str(dcase_folder))
    assert not list(locks.glob("*.read.*"))
    training = Readers(locks)
    training.begin(part, read[0])
    project.look(audio_dir=str(dcase_folder), jobs=2)
    with pytest.raises(InputError, match="has been working with other data of"):
        project.look(audio_dir=str(dcase_folder), scaling={"method": "band"})


def test_a_run_of_a_part_waits_for_all_who_read_it(project, dcase_folder):
    project.configure("globals", {"runs": {"wait_s": 1}})
    project.look(audio_dir=str(dcase_folder))
    training = Readers(project.path / ".locks")
    training.begin("slider.preparation", "0a")
    with (
        project.session(audio_dir=str(dcase_folder)) as session,
        pytest.raises(InputError, match="has been working with other data of"),
    ):
        session.run(pipeline_names=["lstm"], node_names=["preparation.fit_scaling"])


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


@pytest.mark.parametrize(("simulated", "end"), [(True, ", on simulated sound."), (False, ".")])
def test_the_area_of_simulated_sound_is_called_so(simulated, end):
    metrics = {
        **{"auc_pooled": 0.8389, "auc_pooled_interval": [0.7664, 0.9025], "confidence": 0.95},
        "corpus": {"simulated": simulated},
    }
    assert hooks.area(metrics) == f"AUC: 0.839 (0.766 to 0.902 with 95% confidence){end}"


def test_the_official_figures_are_said_as_the_challenge_of_the_year_ranks():
    means = {"auc": 0.7, "pauc": 0.61, "auc_source": 0.8, "auc_target": 0.55}
    later = {
        **{"challenge": "DCASE 2023 Task 2", "year": 2023, "score": 0.6333},
        **{"harmonic_mean": means, "arithmetic_mean": {}, "not_computed": {}},
    }
    assert hooks.official_line(later) == (
        "DCASE 2023 Task 2: official score 0.633; harmonic means of AUC (source) 0.800, "
        "AUC (target) 0.550, pAUC 0.610."
    )
    first = {"challenge": "DCASE 2020 Task 2", "year": 2020, "arithmetic_mean": means}
    assert hooks.official_line(first) == "DCASE 2020 Task 2: means of AUC 0.700, pAUC 0.610."
    # why, a warning has said
    assert hooks.official_line(later | {"score": None}) == (
        "DCASE 2023 Task 2: no official score, since not all of its figures can be computed."
    )


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
    assert said("e") == "No clip could be decided. Undecided: 1."
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
    project.look(audio_dir=str(dcase_folder))
    assert the_only_run(project).info.status == "FINISHED"
    assert not list(elsewhere.iterdir())


def test_a_detector_that_cannot_be_registered_is_an_artifact(
    tmp_path, dcase_folder, monkeypatch, caplog
):
    def fail(*arguments):
        raise OSError("this store has no registry\nand says so at length")

    monkeypatch.setattr(registry, "log_detector", fail)
    project = Project(tmp_path / "project", registers_detectors=True)
    project.run(audio_dir=str(dcase_folder))
    run = the_only_run(project)
    assert run.info.status == "FINISHED"
    assert run.data.metrics["auc_pooled"] == project.load("lstm.metrics")["auc_pooled"]
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    assert "detector" in {one.path for one in client.list_artifacts(run.info.run_id)}
    told = [one.message for one in caplog.records if "registry" in one.message]
    assert told == ["The detector is not in MLflow's registry: this store has no registry"]


@pytest.mark.parametrize(
    ("folds", "jobs", "engine", "started"),
    [
        (1, 2, {}, [1]),  # which starts none
        (4, 1, {}, [1]),
        (4, 2, {}, [2]),
        (3, 8, {}, [3]),
        (1, 1, {"devices": 2}, [2]),
        (4, 8, {"devices": 2}, [2]),
        (1, 1, {"devices": 2, "num_nodes": 2}, []),  # torchrun starts its own
    ],
)
def test_processes_that_train_are_started_before_clips_are_prepared(
    monkeypatch, folds, jobs, engine, started
):
    given = {
        "params:detector": SimpleNamespace(folds=folds),
        "params:jobs": jobs,
        "params:engine": LOCAL.model_copy(update=engine),
    }
    found = []
    monkeypatch.setattr(hooks, "start_processes", lambda number, modules: found.append(number))
    hooks.ProcessHooks().before_pipeline_run(
        training.create_pipeline(), SimpleNamespace(load=given.__getitem__)
    )
    assert found == started
