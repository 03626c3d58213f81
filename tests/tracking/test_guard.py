"""A store that cannot be used costs no result."""

from __future__ import annotations

import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import mlflow
import pytest
from dripping_server import DrippingServer
from tracking.failing import artifacts_fail

from anomalous_sound.tracking.store import prepare_store


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
    given_up = "its answers took longer than 2 s in all: runs.mlflow_patience_s"
    assert f"MLflow cannot use {dripping.url} ({given_up})" in first
    assert "no record of: the run, parameters and environment" in last
    assert "record them by: kedro mlflow catch-up." in last
    assert list((project.path / ".unrecorded").glob("*.json"))


def test_a_store_that_fails_in_the_middle_costs_no_result(
    project, dcase_folder, caplog, monkeypatch
):
    calls = artifacts_fail(monkeypatch, at=2, error=OSError(28, "No space left on device"))
    project.look(audio_dir=str(dcase_folder))
    assert len(calls) == 2  # nothing is asked of MLflow after it has failed
    assert "data/08_reporting/slider/explore/report.md" in results_of(project)
    assert "no record of: rejected_clips, corpus_summary, tags, the corpus, explore." in caplog.text
    assert project.the_only_run().info.status == "FINISHED"


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
    assert project.the_only_run().info.status == "FINISHED"
    assert not list(project.path.glob("mlflow.db.*.incomplete*"))
