"""What several tests use: small recordings, and a project of its own for every run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from mlflow import MlflowClient

REPOSITORY = Path(__file__).parents[1]
RECORDINGS = REPOSITORY.parent / "shared" / "recordings"
RATE = 16000
AUDIO_BOUNDS = {"min_sample_rate": 1000, "max_sample_rate": 1_000_000, "max_samples": 2**28}


def noise(seed: int, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> np.ndarray:
    """Noise with a tone in it, samples × channels."""
    rng = np.random.default_rng(seed)
    tone = 0.05 * np.sin(2 * np.pi * 1000 * np.arange(int(seconds * rate)) / rate)
    return tone[:, None] + 0.02 * rng.standard_normal((len(tone), channels))


# small enough for a test, and with everything in it that a full run has
SMALL_SIMULATION = {
    "machine_ids": ["00", "02"],
    "duration_s": 2.0,
    "training_clips": 4,
    "normal_test_clips": 3,
    "anomalous_test_clips": 3,
}
# the score of the bands' errors, without what a test is not about
BAND_DEVIATION = {
    "type": "band_deviation",
    "reads": "errors",
    "pooling": {"type": "mean"},
    "scale": "linear",
    "whitening": "band",
    "reference": "machine_id",
    "prior_clips": 0.0,
    "backend": {"type": "mean_square"},
}
SMALL_TRAINING = {"epochs": 2, "accelerator": "cpu", "threads": 1}
SMALL_METHOD = {"network": {"hidden_size": 16}, "training": SMALL_TRAINING}
SMALL_PARAMETERS = {
    "jobs": 1,
    "evaluation": {"bootstrap_resamples": 50},
    "lstm": SMALL_METHOD,
    "lstm_dense": {**SMALL_METHOD, "training": {**SMALL_TRAINING, "segment": 20}},
    "gru": SMALL_METHOD,
    "autoencoder": SMALL_METHOD,
}


@contextmanager
def with_bfloat16(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where the processor has no bfloat16, pretend it has: slowly, by what is no faster there."""
    from anomalous_sound.compute import device

    has_it = device.chosen_precision("auto", torch.device("cpu")) == "bf16-mixed"
    with monkeypatch.context() as patch, torch.backends.mkldnn.flags(enabled=has_it):
        patch.setattr(device, "_processor_flags", lambda: {"amx_bf16"})
        yield


def describe_network(
    method: str,
    network: dict[str, Any],
    *,
    n_mels: int = 6,
    length: int = 10,
    next_frame: bool = True,
    machine_ids: tuple[str, ...] = ("00",),
    **changed: Any,
):
    """Describe a small network of a method, by the settings that it has beside its architecture."""
    from typing import get_args

    from anomalous_sound.configuration.features import FeatureSettings, WindowSettings
    from anomalous_sound.features.scaling import Scaling
    from anomalous_sound.methods.discovery import methods
    from anomalous_sound.methods.trained import NetworkDescription

    settings = methods()[method].network_settings
    (architecture,) = get_args(settings.model_fields["architecture"].annotation)
    log_mel = {"n_fft": 2048, "hop_length": 512, "n_mels": n_mels, "top_db": 80.0}
    audio = {"sample_rate": RATE, "channel": "mean", **AUDIO_BOUNDS}
    described = {
        "method": method,
        "network": settings(architecture=architecture, **network),
        "features": FeatureSettings.model_validate({"audio": audio, "log_mel": log_mel}),
        "windows": WindowSettings(length=length, next_frame=next_frame),
        "scaling": Scaling("clip"),
        "machine_ids": machine_ids,
        "corpus": corpus_summary(machine_ids=list(machine_ids)),
    }
    return NetworkDescription(**described | changed)


def corpus_settings(**changed: Any):
    """Say how a corpus is read and split, by default whole clips, all of them."""
    from anomalous_sound.configuration.corpus import CorpusSettings

    settings = {
        "parts": None,
        "machine_type": None,
        "machine_ids": None,
        "segment_s": 10.0,
        "segment_hop_s": None,
        "validation_fraction": 0.25,
        "normal_test_fraction": 0.3,
        "min_frames": 11,
    }
    return CorpusSettings.model_validate(settings | changed)


def corpus_summary(**changed: Any):
    """Sum up a corpus that nobody has recorded."""
    from anomalous_sound.corpus.summary import CorpusSummary

    facts = {
        "name": "slide rails of hall 3",
        "simulated": False,
        "fingerprint": "0123",
        "machine_type": "slider",
        "machine_ids": ["00"],
        "clips_found": 20,
        "clips_used": 20,
        "clips_rejected": 0,
        "clips_by_split_and_label": {"test normal": 10},
        "segment_s": 10.0,
        "segment_hop_s": None,
        "held_out_by": "clips",
    }
    return CorpusSummary(**facts | changed)


class _WithoutAliases(yaml.SafeDumper):
    """Write a group that stands in several places out each time."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


@cache
def _empty_store() -> Path:
    """Return an MLflow store without runs: to make one anew for every test takes seconds."""
    store = Path(tempfile.mkdtemp()) / "mlflow.db"
    MlflowClient(f"sqlite:///{store}").get_experiment_by_name("none")
    return store


class Project:
    """A copy of this project's configuration, with data and MLflow store of its own."""

    def __init__(self, path: Path, *, registers_detectors: bool = False) -> None:
        self.path = path
        self._catalogs: dict[str, Any] = {}
        path.mkdir(exist_ok=True)
        shutil.copytree(REPOSITORY / "conf", path / "conf")
        shutil.rmtree(path / "conf" / "local")
        (path / "conf" / "local").mkdir()
        catalog = path / "conf" / "base" / "catalog.yml"
        # half as many dots are drawn in half the time
        catalog.write_text(catalog.read_text().replace("dpi: 130", "dpi: 60"))
        shutil.copy(REPOSITORY / "pyproject.toml", path)
        (path / "src").mkdir()  # kedro asks for it; the installed package is used
        shutil.copy(_empty_store(), path / "mlflow.db")
        # the lab report's way is the one whose every number can be worked out by hand
        runs = {"register_detectors": registers_detectors}  # which takes a second
        self.configure(
            "globals", {"simulation": SMALL_SIMULATION, "profile": "report", "runs": runs}
        )
        self.configure("parameters", SMALL_PARAMETERS)

    @classmethod
    def existing(cls, path: Path) -> Project:
        """Open a project that is there already."""
        project = cls.__new__(cls)
        project.path = path
        project._catalogs = {}
        return project

    def configure(self, name: str, values: dict[str, Any]) -> None:
        (self.path / "conf" / "local" / f"{name}.yml").write_text(
            yaml.dump(values, Dumper=_WithoutAliases)
        )

    def session(self, env: str | None = None, **parameters: Any):
        from kedro.framework.session import KedroSession
        from kedro.framework.startup import bootstrap_project

        bootstrap_project(self.path)
        return KedroSession.create(project_path=self.path, env=env, runtime_params=parameters)

    def run(
        self,
        pipeline: str = "lstm",
        env: str | None = None,
        to_outputs: list[str] | None = None,
        **parameters: Any,
    ) -> None:
        with self.session(env, **parameters) as session:
            session.run(pipeline_names=[pipeline], to_outputs=to_outputs)

    def look(self, **parameters: Any) -> None:
        """Look at the corpus without drawing it, which takes most of that pipeline's time."""
        self.run("explore", to_outputs=["log_mel", "explore.report"], **parameters)

    def command(self, name: str, *arguments: object) -> tuple[int, str]:
        """Give a command of Kedro without the seconds that a process takes to start.

        Returns:
            The exit code and what was said.
        """
        from click.testing import CliRunner
        from kedro.framework.startup import bootstrap_project

        from anomalous_sound.cli import cli

        with chdir(self.path):
            bootstrap_project(self.path)
            result = CliRunner().invoke(cli, [name, *map(str, arguments)])
        return result.exit_code, result.output

    def load(self, name: str, env: str | None = None, **parameters: Any) -> Any:
        """Load a dataset of the only detector, or of the one that the parameters name."""
        called = [folder.name for folder in self.data("02_intermediate").glob("*/")]
        if len(called) == 1 and not parameters:
            parameters = {"detector": called[0]}
        return self._catalog(env, parameters).load(name)

    def _catalog(self, env: str | None, parameters: dict[str, Any]) -> Any:
        """Ask Kedro for the catalog, once for each state of the configuration."""
        written = [path.stat().st_mtime_ns for path in sorted((self.path / "conf").rglob("*.yml"))]
        asked = repr((env, parameters, os.environ.get("AUDIO_DIR"), written))
        if asked not in self._catalogs:
            with self.session(env, **parameters) as session:
                self._catalogs[asked] = session.load_context().catalog
        return self._catalogs[asked]

    def the_only_run(self) -> Any:
        """Return what MLflow has recorded of the one run there was."""
        client = MlflowClient(f"sqlite:///{self.path}/mlflow.db")
        experiment = client.get_experiment_by_name("anomalous-sound")
        (run,) = client.search_runs([experiment.experiment_id])
        return run

    def load_corpus(self, folder: Path) -> Any:
        from anomalous_sound.datasets import AudioFolderDataset

        return AudioFolderDataset(audio_dir=str(folder)).load()

    def data(self, *parts: str) -> Path:
        return self.path.joinpath("data", *parts)
