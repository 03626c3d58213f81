"""Fixtures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from file_server import FileServer
from filelock import FileLock
from support import RATE, RECORDINGS, Project, noise

from anomalous_sound.methods.discovery import trained_methods

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


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make) -> Project:
    """Make a project in one of the processes that run the tests; the others wait and share it."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    with FileLock(shared / f"{name}.lock"):
        done = shared / f"{name}.done"
        if not done.exists():
            make(Project(shared / name, registers_detectors=True))
            done.touch()
    return Project.existing(shared / name)


@pytest.fixture(scope="session")
def simulated_run(tmp_path_factory) -> Project:
    """The LSTM pipeline run once on a small simulated corpus; tests only read it."""
    return made_once(tmp_path_factory, "simulated_run", lambda project: project.run())


@pytest.fixture(scope="session")
def compared_run(tmp_path_factory) -> Project:
    """All methods and the comparison on one small simulated corpus; tests only read it."""

    def run_all(project: Project) -> None:
        for pipeline in [*trained_methods(), "compare"]:
            project.run(pipeline)

    return made_once(tmp_path_factory, "compared_run", run_all)


@pytest.fixture
def file_server(monkeypatch):
    """A web server on this machine; see FileServer."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FileServer()
    yield server
    server.stop()
