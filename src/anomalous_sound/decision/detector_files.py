"""A detector as a folder of files: written whole or not at all, and read with a check of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from anomalous_sound.decision.clip_judge import ClipJudge
from anomalous_sound.decision.identity import Identity, digest_of
from anomalous_sound.errors import InputError
from anomalous_sound.methods.network_files import read_networks, write_networks
from anomalous_sound.methods.trained import NetworkDescription, Networks
from anomalous_sound.storage.atomic import replaced_folder
from anomalous_sound.storage.remote import fetched_folder, is_url, sent_folder
from anomalous_sound.storage.seal import damaged_file, sealed

if TYPE_CHECKING:
    from os import PathLike

SETTINGS_FILE = "settings.json"


def write_detector(parts: ClipJudge, identity: Identity, folder: str | PathLike[str]) -> None:
    """Write a detector; see :meth:`.Detector.save`."""
    if is_url(folder):
        with sent_folder(str(folder), last=SETTINGS_FILE) as place:
            write_detector(parts, identity, place)
        return
    values = {"identity": identity.model_dump(mode="json"), **parts.to_json()}
    with replaced_folder(Path(folder)) as place:
        files, of_networks = write_networks(parts.networks, place)
        text = json.dumps(sealed({**values, **of_networks}, place, files), indent=1)
        (place / SETTINGS_FILE).write_text(text + "\n", encoding="utf-8")


def read_detector(folder: str | PathLike[str]) -> tuple[ClipJudge, Identity]:
    """Read a detector; see :meth:`.Detector.load`.

    Raises:
        InputError: the folder holds no detector, one of another version, or a damaged one.
    """
    if is_url(folder):
        with fetched_folder(str(folder)) as place:
            return _read(place, str(folder))
    return _read(Path(folder), str(folder))


def _read(place: Path, called: str) -> tuple[ClipJudge, Identity]:
    if not (place / SETTINGS_FILE).is_file():
        raise InputError(
            f"{called} holds no detector; train one first: kedro run --pipeline METHOD."
        )
    try:
        values = json.loads((place / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise _unreadable(place, error) from error
    if not isinstance(values, dict):
        raise _damaged(place / SETTINGS_FILE)
    expected = ("identity", *(part.name for part in fields(ClipJudge)))
    if absent := [name for name in expected if name not in values]:
        raise InputError(
            f"the detector in {place} holds no {', '.join(absent)}: it was trained by an "
            "earlier version; train it again: kedro run --pipeline METHOD."
        )
    try:
        parts, identity = _from_json(values, place)
    except InputError:
        raise
    except (KeyError, ValidationError) as error:
        if damaged := damaged_file(values, place, SETTINGS_FILE):
            raise _damaged(damaged) from error
        raise InputError(
            f"the detector in {place} lacks settings that are needed: it was trained by an "
            "earlier version; train it again: kedro run --pipeline METHOD."
        ) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise _damaged(place / SETTINGS_FILE) from error
    if damaged := damaged_file(values, place, SETTINGS_FILE):
        raise _damaged(damaged)
    if digest_of(parts.to_json(), parts.networks) != identity.digest:  # both files were changed
        raise _damaged(place)
    return parts, identity


def _from_json(values: Mapping[str, Any], folder: Path) -> tuple[ClipJudge, Identity]:
    description = NetworkDescription.from_json(values["networks"])
    parts = ClipJudge.from_json(values, _networks(values, folder, description))
    identity = {"recalibrated_at": None, "exported_from": None, **values["identity"]}
    return parts, Identity.model_validate(identity)


def _networks(values: Mapping[str, Any], folder: Path, description: NetworkDescription) -> Networks:
    try:
        return read_networks(values, folder, description)
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: Exception) -> InputError:
    return InputError(
        f"the detector in {folder} cannot be read ({error}); copy it again, or train it again: "
        "kedro run --pipeline METHOD."
    )


def _damaged(path: Path) -> InputError:
    return InputError(
        f"{path} is damaged: it is not as it was written, or was written by another version; copy "
        "the detector again, or train it again: kedro run --pipeline METHOD."
    )
