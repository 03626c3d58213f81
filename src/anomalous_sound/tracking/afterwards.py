"""What MLflow could not record of a run is written down, and logged when MLflow works again."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import mlflow
from mlflow.entities import RunStatus
from mlflow.tracking.context.registry import resolve_tags
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anomalous_sound.errors import InputError
from anomalous_sound.storage.atomic import replaced_file
from anomalous_sound.storage.locks import one_writer
from anomalous_sound.storage.remote import without_secrets
from anomalous_sound.tracking.entries import Entry, digest
from anomalous_sound.tracking.guard import one_line

COMMAND = "kedro mlflow catch-up"
_ENDING = ".json"
_TAG = "recorded_afterwards"  # by it the run is found again, should catching up be interrupted

logger = logging.getLogger(__name__)


class Note(BaseModel):
    """What MLflow lacks of a run that has ended well.

    Attributes:
        id: of this note.
        name: what the run is called.
        began_ms: when, milliseconds since 1970.
        ended_ms: when, once it has ended.
        run_id: the run in MLflow that lacks it; None: MLflow lacks the whole run.
        ends_run: whether the run is to be ended: not if it belongs to somebody else.
        tags: of a run that has to be made.
        entries: what it lacks.
        recorded: what it has: it lacks that too, should the store be lost.
        digests: of the files that the entries read, by path.
    """

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    id: str = Field(default_factory=lambda: uuid4().hex)
    name: str
    began_ms: int = Field(default_factory=lambda: _now_ms())
    ended_ms: int | None = None
    run_id: str | None = None
    ends_run: bool = True
    tags: dict[str, str] = Field(default_factory=dict)
    entries: list[Entry] = Field(default_factory=list)
    recorded: list[Entry] = Field(default_factory=list)
    digests: dict[str, str] = Field(default_factory=dict)

    def unchanged(self, entry: Entry) -> bool:
        """Return whether the files of an entry are those that the run has written."""
        return all(self.digests.get(str(path)) == digest(path) for path in entry.files)


class Notes:
    """The notes of a project: one for the last run of each detector and pipeline at most."""

    def __init__(self, folder: Path) -> None:
        """Name the folder that they are in."""
        self._folder = folder

    def write(self, of: str, note: Note) -> None:
        """Write down what MLflow lacks of the run whose results are in the data folder now.

        Args:
            of: the detector and the pipeline.
            note: of the run.

        Raises:
            InputError: the disk is full or cannot be written to.
        """
        note.ended_ms = _now_ms()
        note.tags = resolve_tags(note.tags)
        everything = [*note.recorded, *note.entries]
        note.digests = {str(path): digest(path) for one in everything for path in one.files}
        with replaced_file(self._folder / f"{of}{_ENDING}") as file:
            file.write(note.model_dump_json(indent=2).encode())

    def forget(self, of: str) -> None:
        """Remove the note of an earlier run, whose results have been replaced."""
        (self._folder / f"{of}{_ENDING}").unlink(missing_ok=True)

    def __len__(self) -> int:
        """Return of how many runs MLflow lacks something."""
        return len(list(self._folder.glob(f"*{_ENDING}")))

    def log(self, experiment_id: str) -> list[str]:
        """Log what is noted, each note once.

        Args:
            experiment_id: where runs that MLflow lacks are made.

        Returns:
            The names of the runs.

        Raises:
            InputError: MLflow cannot be used yet; what was not logged is still noted.
        """
        logged = []
        with one_writer(self._folder / "notes"):
            for path in sorted(self._folder.glob(f"*{_ENDING}")):
                note = _read(path)
                try:
                    _log(note, experiment_id)
                except Exception as error:  # of MLflow, its store, or what connects them
                    raise InputError(not_yet(error)) from error
                path.unlink()
                logged.append(note.name)
        return logged


def not_yet(error: Exception) -> str:
    """Say that MLflow still cannot be used."""
    uri = mlflow.get_tracking_uri()
    return (
        f"MLflow still cannot use {without_secrets(uri)} ({one_line(error, uri)}); "
        f"nothing is lost: run `{COMMAND}` again when it works."
    )


def _log(note: Note, experiment_id: str) -> None:
    client = mlflow.MlflowClient()
    run_id, is_found = _find_run(client, note, experiment_id)
    with mlflow.start_run(run_id=run_id):
        for entry in note.entries if is_found else [*note.recorded, *note.entries]:
            if note.unchanged(entry):
                entry.log()
            else:
                logger.warning(
                    "%s: not recorded, since another run has replaced it: %s",
                    *(note.name, _listed(path.name for path in entry.files)),
                )
    if note.ends_run:
        client.set_terminated(run_id, RunStatus.to_string(RunStatus.FINISHED), note.ended_ms)


def _find_run(client: mlflow.MlflowClient, note: Note, experiment_id: str) -> tuple[str, bool]:
    """Return the run that the note is about, and whether MLflow knows what it has recorded of it.

    It is made if MLflow lacks it.
    """
    if note.run_id is not None:
        experiments = [one.experiment_id for one in client.search_experiments()]
        if client.search_runs(experiments, f"attributes.run_id = '{note.run_id}'"):
            return note.run_id, True
    if found := client.search_runs([experiment_id], f"tags.{_TAG} = '{note.id}'"):
        return str(found[0].info.run_id), False
    tags = note.tags | {_TAG: note.id}
    made = client.create_run(experiment_id, note.began_ms, tags, run_name=note.name)
    return str(made.info.run_id), False


def _read(path: Path) -> Note:
    try:
        return Note.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(
            f"{path} cannot be read: it was written by another version or is damaged; remove it, "
            "or run the pipeline again."
        ) from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _now_ms() -> int:
    return int(time.time() * 1000)
