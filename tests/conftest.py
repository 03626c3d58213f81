"""Fixtures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from file_server import FileServer
from support import RATE, RECORDINGS, Project, noise

os.environ["KEDRO_DISABLE_TELEMETRY"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
# the networks of the tests are so small that a second thread costs more than it gives
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = pytest.mark.skip(reason=f"no real recordings at {RECORDINGS}")
    for item in items:
        if item.get_closest_marker("recordings") and not RECORDINGS.is_dir():
            item.add_marker(absent)


@pytest.fixture
def recordings() -> Path:
    return RECORDINGS


@pytest.fixture
def write_clip():
    def write(path: Path, samples: np.ndarray | None = None, *, seed: int = 0, **options: Any):
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = noise(seed) if samples is None else samples
        soundfile.write(path, samples, **{"samplerate": RATE} | options)
        return path

    return write


@pytest.fixture
def dcase_folder(tmp_path, write_clip) -> Path:
    """A corpus in the DCASE layout: two machine IDs, 4 training and 2 + 2 test clips each."""
    folder = tmp_path / "slider"
    seed = 0
    for machine_id in ("00", "02"):
        for split, label, count in (
            ("train", "normal", 4),
            ("test", "normal", 2),
            ("test", "anomaly", 2),
        ):
            for number in range(count):
                seed += 1
                write_clip(folder / split / f"{label}_id_{machine_id}_{number:08d}.wav", seed=seed)
    return folder


@pytest.fixture
def project(tmp_path) -> Project:
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def simulated_run(tmp_path_factory) -> Project:
    """The LSTM pipeline run once on a small simulated corpus; tests only read it."""
    project = Project(tmp_path_factory.mktemp("simulated_run"))
    project.run()
    return project


@pytest.fixture(scope="session")
def compared_run(simulated_run):
    """All methods and the comparison on one small simulated corpus; tests only read it."""
    for pipeline in ("gru", "autoencoder", "lstm_dense", "compare"):
        simulated_run.run(pipeline)
    return simulated_run


@pytest.fixture
def file_server(monkeypatch):
    """A web server on this machine; see FileServer."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FileServer()
    yield server
    server.stop()
