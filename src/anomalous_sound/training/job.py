"""A training as a file, for the processes on all hosts that do it together.

It is a zip archive of JSON and parquet, and what comes of it one of JSON and safetensors, each
followed by its checksum: reading them runs no code, and a changed byte is noticed. Frames stay
where they are, on storage that all hosts reach.
"""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from anomalous_sound.compute.cluster import software
from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import WindowedFrames
from anomalous_sound.methods.discovery import methods
from anomalous_sound.methods.trained import NetworkDescription, TrainedNetworks
from anomalous_sound.storage.array_store import ArrayStore
from anomalous_sound.storage.atomic import replaced_file
from anomalous_sound.storage.remote import RemotePath
from anomalous_sound.storage.seal import with_seal, without_seal
from anomalous_sound.training.checkpoint import Checkpoint, checkpoint_at

Place = Path | RemotePath
_VALUES, _WEIGHTS = "values.json", "weights.safetensors"
_CLIP_COLUMNS = ["clip_id", "machine_id", "sha256", "domain"]


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """All that a training needs.

    Attributes:
        frames: of all clips, in files that all hosts reach.
        windows: ``clip_id, first_frame``: those to train on and to validate with.
        form: of a window.
        members: by the name of each network the IDs of its training clips and of those that
            validate it.
        clips: ``clip_id, machine_id, sha256``, and ``domain`` where it is known.
        description: of all networks.
        training: of each of them.
        seed: of each of them.
        checkpoint: each network's is kept beside it.
        wait_s: that a process waits for the others, at most.
    """

    frames: Frames
    windows: pd.DataFrame
    form: WindowSettings
    members: Mapping[str, tuple[set[str], set[str]]]
    clips: pd.DataFrame
    description: NetworkDescription
    training: TrainingSettings
    seed: int
    checkpoint: Checkpoint
    wait_s: float

    def windows_of_members(self) -> dict[str, tuple[WindowedFrames, WindowedFrames]]:
        """Return the training and the validation windows of each network."""
        return {
            name: (self._windows_of(trained_on), self._windows_of(validated_by))
            for name, (trained_on, validated_by) in self.members.items()
        }

    def _windows_of(self, clip_ids: set[str]) -> WindowedFrames:
        chosen = self.windows[self.windows.clip_id.isin(clip_ids)]
        return WindowedFrames(self.frames, chosen, self.description.scaling, self.form)

    def check_frames(self) -> None:
        """Read the frames of all clips, and so look at their checksums.

        Raises:
            InputError: they are damaged, or not to be found from this host.
        """
        try:
            for clip_id in sorted(set().union(*itertools.chain(*self.members.values()))):
                self.frames.clip(clip_id)
        except OSError as error:
            raise InputError(
                f"frames cannot be read on this host ({error}): the parameter storage has to be a "
                "place that all hosts reach by the same path or URL."
            ) from error

    def write(self, place: Place) -> None:
        """Write it, whole or not at all.

        Raises:
            InputError: the file cannot be written.
        """
        assert isinstance(self.frames.store, ArrayStore)
        values = {
            "software": software(),
            "frames": {"folder": self.frames.store.url, "channels": self.frames.channels},
            "form": self.form.model_dump(mode="json"),
            "members": {
                name: [sorted(clips) for clips in both] for name, both in self.members.items()
            },
            "description": self.description.to_json(),
            "training": self.training.model_dump(mode="json"),
            "seed": self.seed,
            "checkpoint": self.checkpoint.place,
            "wait_s": self.wait_s,
        }
        tables = {
            "clips": self.clips[[name for name in _CLIP_COLUMNS if name in self.clips]],
            "frames": self.frames.index,
            "windows": self.windows[["clip_id", "first_frame"]],
        }
        parquets = {f"{name}.parquet": table.to_parquet() for name, table in tables.items()}
        _write(place, values, parquets)

    @classmethod
    def read(cls, place: Place) -> TrainingJob:
        """Read what :meth:`write` has written.

        Raises:
            InputError: it is not there, or this host has other software than the one that wrote it.
        """
        values, files = _read(place)
        if values["software"] != software():
            raise InputError(
                "this host has another version of anomalous-sound, numpy, soundfile, soxr or "
                "PyTorch than the one whose training it is to share; install the same here."
            )
        tables = {
            name: pd.read_parquet(io.BytesIO(files[f"{name}.parquet"]))
            for name in ("clips", "frames", "windows")
        }
        description = NetworkDescription.from_json(values["description"])
        of_training = methods()[description.method].settings.model_fields["training"].annotation
        assert of_training is not None
        return cls(
            frames=Frames(
                tables["frames"],
                ArrayStore(values["frames"]["folder"]),
                values["frames"]["channels"],
            ),
            windows=tables["windows"],
            form=WindowSettings.model_validate(values["form"]),
            members={name: (set(on), set(by)) for name, (on, by) in values["members"].items()},
            clips=tables["clips"],
            description=description,
            training=of_training.model_validate(values["training"]),
            seed=values["seed"],
            checkpoint=checkpoint_at(values["checkpoint"]),
            wait_s=values["wait_s"],
        )


def result_of(job: Place) -> Place:
    """Return where the networks of a job are written."""
    return job.parent / f"{job.stem}.trained"


def write_result(place: Place, networks: TrainedNetworks, history: pd.DataFrame) -> None:
    """Write what a training has come to, whole or not at all."""
    from safetensors.torch import save

    weights = {name: tensor.contiguous() for name, tensor in networks.weights.items()}
    values = {
        "description": networks.description.to_json(),
        "history": history.to_dict(orient="list"),
    }
    _write(place, values, {_WEIGHTS: save(weights)})


def read_result(place: Place) -> tuple[TrainedNetworks, pd.DataFrame]:
    """Read what :func:`write_result` has written.

    Raises:
        InputError: it is not there, or damaged.
    """
    from safetensors.torch import load

    values, files = _read(place)
    description = NetworkDescription.from_json(values["description"])
    return TrainedNetworks(load(files[_WEIGHTS]), description), pd.DataFrame(values["history"])


def _write(place: Place, values: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    archived = io.BytesIO()
    with zipfile.ZipFile(archived, "w") as archive:
        archive.writestr(_VALUES, json.dumps(values))
        for name, content in files.items():
            archive.writestr(name, content)
    content = with_seal(archived.getvalue())
    if isinstance(place, RemotePath):
        place.write_bytes(content)
        return
    with replaced_file(place) as file:
        file.write(content)


def _read(place: Place) -> tuple[dict[str, Any], dict[str, bytes]]:
    try:
        with place.open("rb") as file:
            content = without_seal(file.read())
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
            return json.loads(files.pop(_VALUES)), files
    except InputError:
        raise  # of a storage that does not answer
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{place} cannot be read on this host ({error}): the parameter storage has to be a "
            "place that all hosts reach by the same path or URL."
        ) from error
