"""Unpack an untrusted zip archive: completely or not at all, and only into its own folder."""

from __future__ import annotations

import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from anomalous_sound.errors import InputError
from anomalous_sound.sources.download.disk import check_room, is_full
from anomalous_sound.storage.atomic import replaced_folder

SOURCE_FILE = "source.json"

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
_ENCRYPTED = 0x1


def unpack(archive: Path, folder: Path, *, source: Mapping[str, Any], chunk_bytes: int) -> None:
    """Unpack an archive into a folder of its own, completely or not at all.

    Every entry is checked before anything is written. If all entries lie in one top folder that has
    the name of ``folder``, it is left out: ``slider/train/…`` unpacks to ``<folder>/train/…`` where
    ``folder`` is called ``slider``.

    Args:
        archive: the zip file.
        folder: where to put its contents; what is there is replaced.
        source: where the archive comes from; written to ``source.json`` beside the contents.
        chunk_bytes: bytes read and written at once.

    Raises:
        InputError: an entry would be written outside the folder, or is a link; the archive is
            damaged; or there is no room.
    """
    try:
        with zipfile.ZipFile(archive) as contents:
            targets = dict(_targets(archive, contents, folder.name))
            size = sum(entry.file_size for entry in targets.values())
            check_room(folder, size, f"unpacking {archive.name}")
            with replaced_folder(folder) as incomplete, _told_if_full(archive, folder, size):
                _write(archive, contents, targets, incomplete, chunk_bytes)
                description = json.dumps(dict(source), indent=2, ensure_ascii=False)
                (incomplete / SOURCE_FILE).write_text(description, encoding="utf-8")
    except _DAMAGED as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        raise InputError(f"{archive} cannot be unpacked into {folder}: {error}.") from error


@contextmanager
def _told_if_full(archive: Path, folder: Path, size: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise InputError(
            f"{folder}: the disk is full; unpacking {archive.name} needs {size} bytes. Make "
            "room and give the same command again."
        ) from error


def _damaged(archive: Path, error: Exception) -> InputError:
    return InputError(
        f"{archive} is no zip archive that can be unpacked: {error}; remove it and give the same "
        "command again to download it anew."
    )


def _targets(
    archive: Path, contents: zipfile.ZipFile, top: str
) -> Iterator[tuple[PurePosixPath, zipfile.ZipInfo]]:
    """Yield the path below the folder, and the entry, of each file of an archive.

    Raises:
        InputError: an entry is refused.
    """
    entries = contents.infolist()
    for entry in entries:
        if problem := _problem(entry):
            raise InputError(
                f"{archive} is not unpacked: its entry '{entry.orig_filename}' {problem}. Remove "
                "the archive; get it from the publisher only."
            )
    files = {PurePosixPath(entry.filename): entry for entry in entries if not entry.is_dir()}
    if len(files) != sum(not entry.is_dir() for entry in entries):
        raise InputError(f"{archive} is not unpacked: it holds several files of the same name.")
    repeats_top = all(len(path.parts) > 1 and path.parts[0] == top for path in files)
    for path, entry in files.items():
        yield (path.relative_to(top) if repeats_top else path), entry


def _problem(entry: zipfile.ZipInfo) -> str | None:
    """Return what is wrong with an entry, or None."""
    # not filename, in which zipfile has already replaced backslashes and cut at zero bytes
    name = entry.orig_filename
    path = PurePosixPath(name)
    mode = entry.external_attr >> 16
    if path.is_absolute() or re.match(r"[A-Za-z]:", name) or "\\" in name or "\0" in name:
        return "is no path below the folder"
    if ".." in path.parts or not path.parts:
        return "leads out of the folder"
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if stat.S_ISLNK(mode) else "is no regular file"
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted"
    return None


def _write(
    archive: Path,
    contents: zipfile.ZipFile,
    targets: Mapping[PurePosixPath, zipfile.ZipInfo],
    folder: Path,
    chunk_bytes: int,
) -> None:
    with tqdm(
        total=sum(entry.file_size for entry in targets.values()),
        desc=f"unpacking {archive.name}",
        unit="B",
        unit_scale=True,
        disable=None,
    ) as bar:
        for path, entry in targets.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            # "x" never writes through anything that exists
            with contents.open(entry) as packed, target.open("xb") as unpacked:
                while chunk := packed.read(chunk_bytes):
                    unpacked.write(chunk)
                    bar.update(len(chunk))
