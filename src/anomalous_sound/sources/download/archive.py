"""One archive of a published data set: downloaded, checked and unpacked on first use."""

from __future__ import annotations

import datetime
import json
import logging
from pathlib import Path

from anomalous_sound.errors import InputError
from anomalous_sound.sources.download.fetch import RemoteFile, fetch, md5_of
from anomalous_sound.sources.download.record import find_in_record
from anomalous_sound.sources.download.settings import ArchiveFile, DownloadSettings, Part
from anomalous_sound.sources.download.unpack import SOURCE_FILE, unpack

logger = logging.getLogger(__name__)


def is_unpacked(folder: Path, file: ArchiveFile) -> bool:
    """Return whether a folder holds the contents of this very archive.

    Where only its record knows the md5, the archive's name decides: what is there is not asked for.
    """
    try:
        source = json.loads((folder / SOURCE_FILE).read_text(encoding="utf-8"))
        if file.md5 is None:
            return bool(source["archive"] == file.name)
        return bool(source["md5"] == file.md5)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def ensure_unpacked(
    folder: Path, archives_folder: Path, part: Part, file: ArchiveFile, settings: DownloadSettings
) -> None:
    """Download and unpack an archive, unless that has been done before.

    An archive that was there already, such as one put there by hand, is kept.

    Args:
        folder: where to put its contents, and a ``source.json`` that says where they come from.
        archives_folder: where to put the archive.
        part: the part of the data set that the archive belongs to.
        file: the archive.
        settings: how to download.

    Raises:
        InputError: the archive cannot be downloaded or unpacked, or ``folder`` holds something
            else.
    """
    if is_unpacked(folder, file):
        return
    _check_replaceable(folder)
    archive = archives_folder / file.name
    remote = _remote_file(part, file, archive, settings)
    logger.info("Downloading %s once, from %s.", file.name, remote.url)
    logger.info("Its licence: %s. To be cited: %s", part.licence, part.citation)
    was_there = archive.exists()
    fetch(remote, archives_folder, settings)
    source = {
        "archive": file.name,
        "md5": remote.md5,
        "url": remote.url,
        "licence": part.licence,
        "citation": part.citation,
        "retrieved": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    unpack(archive, folder, source=source, chunk_bytes=settings.chunk_bytes)
    if not (settings.keep_archives or was_there):
        archive.unlink()


def _remote_file(
    part: Part, file: ArchiveFile, archive: Path, settings: DownloadSettings
) -> RemoteFile:
    url = part.url.replace("{name}", file.name)
    if file.md5 is not None:
        return RemoteFile(file.name, url, file.md5, file.bytes)
    assert part.record is not None  # Part sees to it
    try:
        return find_in_record(part.record, file.name, settings)
    except InputError as error:
        if not archive.is_file():
            raise InputError(
                f"{error} Or get {file.name} in another way and save it as {archive}."
            ) from error
        logger.warning("%s %s is used as it is, unchecked.", error, archive)
        return RemoteFile(file.name, url, md5_of(archive), None)


def _check_replaceable(folder: Path) -> None:
    """Refuse to replace a folder that was not unpacked from an archive."""
    is_ours = (folder / SOURCE_FILE).is_file()
    if folder.exists() and not is_ours and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} exists, but was not unpacked by this program (it holds no {SOURCE_FILE}); "
            "move it away, or give it as audio_dir to use it as it is."
        )
