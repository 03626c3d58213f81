"""A folder of recordings, or a single one, as an audio corpus."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.decode import AUDIO_SUFFIXES, FOREIGN_SUFFIXES, AudioFile
from anomalous_sound.corpus.names import printable
from anomalous_sound.errors import InputError
from anomalous_sound.sources.dcase.published import attributes_of
from anomalous_sound.sources.layout import LABELS_FILE, ClipFacts
from anomalous_sound.sources.tables import Table, read_table
from anomalous_sound.storage.remote import RemotePath
from anomalous_sound.vocabulary import Split

CORPUS_FILE, FAULTS_FILE = "corpus.json", "faults.csv"
# of DCASE, for each section, above the folders of the splits
_ATTRIBUTES_FILE = re.compile(r"attributes_[0-9]+\.csv")


def open_corpus(place: Path | RemotePath, given_as: str) -> AudioCorpus:
    """List the recordings below a folder; none is decoded.

    Args:
        place: the folder. If it is a file, the corpus is this recording alone, and what lies beside
            it is not looked at.
        given_as: what the user calls the folder, for messages.

    Raises:
        InputError: it does not exist or holds no audio.
    """
    if place.is_file():
        recordings = _named({place.name: place})
        folder = _absolute(place).parent
        if folder.name in set(Split):  # in the layout of DCASE the machine type is above it
            folder = folder.parent
        return AudioCorpus(printable(place.name), printable(folder.name), False, recordings)
    if not place.is_dir():
        raise InputError(f"{given_as}: {place} does not exist; give a folder of recordings.")
    recordings = list_recordings(place, place)
    if not recordings:
        raise InputError(
            f"{given_as}: {place} holds no audio; files ending in "
            f"{', '.join(AUDIO_SUFFIXES)} are read, in any folder below it."
        )
    name = printable(_absolute(place).name)
    described = _read_json(place / CORPUS_FILE)
    simulated = bool(described.get("simulated", False))
    return AudioCorpus(
        name=described.get("name", name),
        folder_name=name,
        simulated=simulated,
        recordings=recordings,
        labels=_as_listed(_read_table(place / LABELS_FILE), recordings),
        # only a program knows where it has put a fault
        faults=_read_table(place / FAULTS_FILE) if simulated else None,
        published=read_attributes(recordings),
    )


def _absolute(place: Path | RemotePath) -> Path | RemotePath:
    return place if isinstance(place, RemotePath) else place.resolve()


def list_recordings(root: Path | RemotePath, folder: Path | RemotePath) -> dict[str, AudioFile]:
    """List the recordings below a folder.

    Linked folders are followed, each folder once.

    Args:
        root: where clip IDs begin.
        folder: ``root`` or a folder below it; files and folders below it that begin with a dot are
            left out.

    Returns:
        For each clip ID (its path below ``root``, as :func:`.printable` shows it) its file.
    """
    if isinstance(folder, RemotePath):
        above = folder.url.removeprefix(str(root)).strip("/")
        return _named(
            {
                f"{above}/{name}".strip("/"): file
                for name, file in folder.files_below()
                if file.suffix.lower() in (*AUDIO_SUFFIXES, *FOREIGN_SUFFIXES)
            }
        )
    below = Path(str(root))
    return _named(
        {
            path.relative_to(below).as_posix(): path
            for path in sorted(_files_below(folder))
            if path.suffix.lower() in (*AUDIO_SUFFIXES, *FOREIGN_SUFFIXES)
            # a link to nothing is listed, and rejected as a file that cannot be read
            and (path.is_file() or path.is_symlink())
        }
    )


def _named(paths: Mapping[str, Path | RemotePath]) -> dict[str, AudioFile]:
    """Return files by names that can be shown."""
    return {printable(name): AudioFile(path) for name, path in paths.items()}


def _as_listed(labels: Table | None, recordings: Mapping[str, AudioFile]) -> Table | None:
    """Let a table name a file as it is, or as it is shown."""
    if labels is None or "file" not in labels.columns:
        return labels
    rows = (
        row if row["file"] in recordings else {**row, "file": printable(row["file"])}
        for row in labels.rows
    )
    return replace(labels, rows=tuple(rows))


def read_attributes(recordings: Mapping[str, AudioFile]) -> dict[str, ClipFacts]:
    """Read the tables of attributes that lie above recordings, as in DCASE's archives since 2022.

    Returns:
        The facts of each recording that a table names.

    Raises:
        InputError: a table cannot be read.
    """
    facts: dict[str, ClipFacts] = {}
    below: dict[Path | RemotePath, list[tuple[str, str]]] = {}
    for clip_id, file in recordings.items():
        below.setdefault(file.path.parent.parent, []).append((clip_id, file.path.name))
    for folder, clips in below.items():
        attributes: dict[str, str] = {}
        tables: list[Path | RemotePath] = [*folder.glob("attributes_*.csv")]
        for path in sorted(tables, key=str):
            if _ATTRIBUTES_FILE.fullmatch(path.name) and (table := _read_table(path)) is not None:
                attributes |= attributes_of(table, str(path))
        facts |= {
            clip_id: ClipFacts(attributes=attributes[name])
            for clip_id, name in clips
            if attributes.get(name)
        }
    return facts


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, those of real folders before those of linked ones."""
    seen: set[str] = set()
    links = [folder]
    while links:
        for place, folders, files in os.walk(links.pop(0)):
            if (real := os.path.realpath(place)) in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            below = [Path(place, name) for name in folders]
            links += [path for path in below if path.is_symlink()]
            yield from (Path(place, name) for name in files if not name.startswith("."))


def _is_there(path: Path | RemotePath) -> bool:
    """Return whether there is such a file.

    Raises:
        InputError: it is a link to nothing, or no file: what it should say must not be ignored.
    """
    if isinstance(path, Path) and path.is_symlink() and not path.exists():
        raise InputError(
            f"{path} is a link to {path.readlink()}, which does not exist; mend the link, or "
            "remove it if the file is not wanted."
        )
    if isinstance(path, Path) and path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe" if path.is_fifo() else "a device"
        raise InputError(
            f"{path} is no file but {kind}; put a file there, or remove it if none is wanted."
        )
    return path.is_file()


def _read_json(path: Path | RemotePath) -> dict[str, Any]:
    if not _is_there(path):
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise InputError(f"{path} is not a JSON object: {error}") from error


def _read_table(path: Path | RemotePath) -> Table | None:
    return read_table(path) if _is_there(path) else None
