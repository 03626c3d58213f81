"""Ask the record of a published data set for the size, checksum and address of a file."""

from __future__ import annotations

from typing import Any

import requests
from pydantic import BaseModel, Field, ValidationError

from anomalous_sound.errors import InputError
from anomalous_sound.sources.download.fetch import RemoteFile, reason_of, retrying_session
from anomalous_sound.sources.download.settings import DownloadSettings

_MD5 = "md5:"


class _Links(BaseModel):
    self_: str = Field(alias="self", pattern=r"^https?://")


class _Entry(BaseModel):
    key: str
    size: int = Field(gt=0)
    checksum: str = Field(pattern=r"^md5:[0-9a-f]{32}$")
    links: _Links


class _Record(BaseModel):
    files: list[_Entry]


def find_in_record(record: str, name: str, settings: DownloadSettings) -> RemoteFile:
    """Return what a record says of a file.

    Args:
        record: its address, as in ``https://zenodo.org/api/records/6355122``; it answers with
            JSON, ``files[].key, .size, .checksum, .links.self`` (Zenodo's REST API).
        name: of the file.
        settings: how to download.

    Raises:
        InputError: the record cannot be read, says something else, or has no such file.
    """
    try:
        files = _Record.model_validate(_answer(record, settings)).files
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise InputError(
            f"{record} does not describe its files as expected ({place}: {problem['msg']}): the "
            "record or its interface has changed."
        ) from None
    for entry in files:
        if entry.key == name:
            md5 = entry.checksum.removeprefix(_MD5)
            return RemoteFile(name, entry.links.self_, md5, entry.size)
    raise InputError(
        f"{record} has no file {name}; it has {', '.join(sorted(entry.key for entry in files))}: "
        "the publisher has renamed or removed it. Put its new name into globals.yml."
    )


def _answer(record: str, settings: DownloadSettings) -> Any:
    try:
        with retrying_session(settings) as session:
            response = session.get(record, timeout=settings.timeout_s)
    except requests.RequestException as error:
        raise InputError(
            f"{record} cannot be read ({reason_of(error)}); try again later with the same command."
        ) from error
    if not response.ok:
        raise InputError(
            f"{record} answers {response.status_code} {response.reason}; try again later with the "
            "same command."
        )
    try:
        return response.json()
    except requests.JSONDecodeError:
        raise InputError(f"{record} does not answer with JSON; try again later.") from None
