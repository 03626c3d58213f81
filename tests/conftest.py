"""Fixtures: small recordings, and a project of its own for every run of a pipeline."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

os.environ["KEDRO_DISABLE_TELEMETRY"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

REPOSITORY = Path(__file__).parents[1]
RECORDINGS = REPOSITORY.parent / "shared" / "recordings"
RATE = 16000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    absent = pytest.mark.skip(reason=f"no real recordings at {RECORDINGS}")
    for item in items:
        if item.get_closest_marker("recordings") and not RECORDINGS.is_dir():
            item.add_marker(absent)


@pytest.fixture
def recordings() -> Path:
    return RECORDINGS


def noise(seed: int, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """Noise with a tone in it, samples × channels."""
    rng = np.random.default_rng(seed)
    tone = 0.05 * np.sin(2 * np.pi * 1000 * np.arange(int(seconds * rate)) / rate)
    return tone[:, None] + 0.02 * rng.standard_normal((len(tone), channels))


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


# small enough for a test, and with everything in it that a full run has
SMALL_SIMULATION = {
    "machine_ids": ["00", "02"],
    "duration_s": 2.0,
    "training_clips": 4,
    "normal_test_clips": 3,
    "anomalous_test_clips": 3,
}
SMALL_METHOD = {"network": {"hidden_size": 16}, "training": {"epochs": 2, "accelerator": "cpu"}}
SMALL_PARAMETERS = {"evaluation": {"bootstrap_resamples": 50}, "lstm": SMALL_METHOD}


class Project:
    """A copy of this project's configuration, with data and MLflow store of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        shutil.copytree(REPOSITORY / "conf", path / "conf")
        shutil.rmtree(path / "conf" / "local")
        (path / "conf" / "local").mkdir()
        shutil.copy(REPOSITORY / "pyproject.toml", path)
        (path / "src").symlink_to(REPOSITORY / "src")
        self.configure("globals", {"simulation": SMALL_SIMULATION})
        self.configure("parameters", SMALL_PARAMETERS)

    def configure(self, name: str, values: dict[str, Any]) -> None:
        (self.path / "conf" / "local" / f"{name}.yml").write_text(yaml.safe_dump(values))

    def session(self, **parameters: Any):
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(self.path)
        return KedroSession.create(project_path=self.path, runtime_params=parameters)

    def run(self, pipeline: str = "lstm", **parameters: Any) -> None:
        with self.session(**parameters) as session:
            session.run(pipeline_names=[pipeline])

    def load(self, name: str) -> Any:
        with self.session() as session:
            return session.load_context().catalog.load(name)

    def data(self, *parts: str) -> Path:
        return self.path.joinpath("data", *parts)


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
