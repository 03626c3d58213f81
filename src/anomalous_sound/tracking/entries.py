"""What MLflow records of a run: each entry can be logged at once, or noted and logged later."""

from __future__ import annotations

import hashlib
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import mlflow
from mlflow.entities import Metric
from mlflow.utils.validation import MAX_METRICS_PER_BATCH, MAX_PARAM_VAL_LENGTH
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from anomalous_sound.tracking.corpus import log_corpus

if TYPE_CHECKING:
    import pandas as pd

    from anomalous_sound.corpus.summary import CorpusSummary
    from anomalous_sound.decision.detector import Detector

logger = logging.getLogger(__name__)


class _Entry(BaseModel, ABC):
    model_config = ConfigDict(extra="forbid")

    @abstractmethod
    def log(self) -> None:
        """Log it to the active run; doing so again changes nothing."""

    @property
    def files(self) -> list[Path]:
        """The files or folders that are read to log it."""
        return []

    def let_go(self) -> None:
        """Keep nothing in memory that can be read again."""
        for name in self.__private_attributes__:
            setattr(self, name, None)


class Tags(_Entry):
    """Tags of the run."""

    kind: Literal["tags"] = "tags"
    tags: dict[str, str]

    def log(self) -> None:
        """Set them."""
        mlflow.set_tags(self.tags)


class Parameters(_Entry):
    """Parameters; those whose value is too long for one become tags."""

    kind: Literal["parameters"] = "parameters"
    parameters: dict[str, str]

    def log(self) -> None:
        """Log them."""
        # MLflow would truncate a long parameter
        long = {key for key, value in self.parameters.items() if len(value) > MAX_PARAM_VAL_LENGTH}
        mlflow.set_tags({key: self.parameters[key] for key in long})
        mlflow.log_params({key: self.parameters[key] for key in self.parameters if key not in long})


class Text(_Entry):
    """JSON values that become an artifact of their own."""

    kind: Literal["text"] = "text"
    name: str
    values: dict[str, Any]

    def log(self) -> None:
        """Log them."""
        mlflow.log_dict(self.values, self.name)


class Metrics(_Entry):
    """Metrics, with the time at which they were computed."""

    kind: Literal["metrics"] = "metrics"
    at_ms: int
    points: list[tuple[str, float, int]]

    @classmethod
    def of(cls, values: Mapping[str, Any], prefix: str) -> Metrics:
        """Take those of a catalog's dataset: for each key a value and a step, or a list of them."""
        points = [
            (f"{prefix}.{key}" if prefix else key, float(one["value"]), int(one["step"]))
            for key, found in values.items()
            for one in (found if isinstance(found, Sequence) else [found])
        ]
        return cls(at_ms=int(time.time() * 1000), points=points)

    def log(self) -> None:
        """Log them; a point that is there already is not doubled, since its time is the same."""
        client, run_id = mlflow.MlflowClient(), mlflow.active_run().info.run_id
        points = [Metric(key, value, self.at_ms, step) for key, value, step in self.points]
        for begin in range(0, len(points), MAX_METRICS_PER_BATCH):
            client.log_batch(run_id, points[begin : begin + MAX_METRICS_PER_BATCH])


class Artifact(_Entry):
    """A file or folder that the run has written."""

    kind: Literal["artifact"] = "artifact"
    path: Path
    folder: str | None

    @property
    def files(self) -> list[Path]:
        """The file or folder."""
        return [self.path]

    def log(self) -> None:
        """Copy it to where the run's artifacts are."""
        mlflow.log_artifact(str(self.path), self.folder)


class RegisteredDetector(Artifact):
    """A detector that becomes a model in MLflow's registry, or an artifact if there is none."""

    kind: Literal["detector"] = "detector"
    called: str
    _held: Detector | None = PrivateAttr(None)

    @classmethod
    def of(
        cls, path: Path, folder: str | None, detector: Detector, *, called: str
    ) -> RegisteredDetector:
        """Take one that has been saved to ``path``, to be registered as ``called``."""
        entry = cls(path=path, folder=folder, called=called)
        entry._held = detector
        return entry

    def log(self) -> None:
        """Register it."""
        from anomalous_sound.decision.detector import Detector
        from anomalous_sound.tracking.registry import first_line, log_detector

        try:
            log_detector(self._held or Detector.load(self.path), self.path, self.called)
        except Exception as error:  # such as a store without a registry
            logger.warning("The detector is not in MLflow's registry: %s", first_line(error))
            super().log()


class Corpus(_Entry):
    """The corpus as an input of the run."""

    kind: Literal["corpus"] = "corpus"
    clips: Path
    summary: Path
    context: str
    _held: tuple[pd.DataFrame, CorpusSummary] | None = PrivateAttr(None)

    def holding(self, clips: pd.DataFrame, summary: CorpusSummary) -> Corpus:
        """Spare reading what is in memory."""
        self._held = clips, summary
        return self

    @property
    def files(self) -> list[Path]:
        """The table of clips and its summary."""
        return [self.clips, self.summary]

    def log(self) -> None:
        """Log it."""
        clips, summary = self._held or self._read()
        log_corpus(clips, summary, context=self.context)

    def _read(self) -> tuple[pd.DataFrame, CorpusSummary]:
        import pandas as pd

        from anomalous_sound.corpus.summary import CorpusSummary

        summary = CorpusSummary.model_validate_json(self.summary.read_text(encoding="utf-8"))
        return pd.read_parquet(self.clips), summary


Entry = Annotated[
    Tags | Parameters | Text | Metrics | Artifact | RegisteredDetector | Corpus,
    Field(discriminator="kind"),
]


def digest(path: Path) -> str:
    """Return what tells a file, or a folder with all in it, from another; empty: there is none."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        return ""
    files = sorted(found for found in path.rglob("*") if found.is_file())
    lines = [f"{found.relative_to(path).as_posix()} {digest(found)}" for found in files]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
