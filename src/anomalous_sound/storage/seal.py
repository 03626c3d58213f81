"""Notice that a file was damaged since it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from anomalous_sound.errors import InputError
from anomalous_sound.storage.atomic import replaced_file, replaced_path

SEAL = "sha256"
_DIGEST_BYTES = 32  # of SHA-256


def with_seal(content: bytes) -> bytes:
    """Return bytes followed by their checksum, as :func:`without_seal` expects them."""
    return content + hashlib.sha256(content).digest()


def add_seal(path: Path) -> None:
    """Put the checksum of a file at its end, as :func:`without_seal` expects it."""
    with path.open("r+b") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        file.write(digest)


def without_seal(content: bytes) -> bytes:
    """Return what was sealed.

    >>> without_seal(with_seal(b"weights"))
    b'weights'

    Raises:
        ValueError: it is not as it was written.
    """
    inner, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(inner).digest() != digest:
        raise ValueError("it is not as it was written")
    return inner


def sealed(values: Mapping[str, Any], folder: Path, files: Iterable[str]) -> dict[str, Any]:
    """Add to JSON values their own checksum and those of the files beside them.

    Args:
        values: JSON values, to be written into ``folder``.
        folder: where the files lie.
        files: their names.
    """
    checksums = {name: _of_file(folder / name) for name in files}
    return {**values, SEAL: {"values": _of_values(values), **checksums}}


def damaged_file(values: Mapping[str, Any], folder: Path, values_file: str) -> Path | None:
    """Return the file that is not as it was written, if any.

    Args:
        values: as read from ``values_file``.
        folder: where the files lie.
        values_file: the name of the file that holds the values.
    """
    checksums = values.get(SEAL)
    rest = {name: value for name, value in values.items() if name != SEAL}
    if not isinstance(checksums, dict) or checksums.get("values") != _of_values(rest):
        return folder / values_file
    for name, checksum in checksums.items():
        if name != "values" and checksum != _of_file(folder / name):
            return folder / str(name)
    return None


def _of_values(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def name_beside(name: str) -> str:
    """Return the name of the file that holds the checksum of another.

    >>> name_beside("windows.parquet")
    '.windows.parquet.sha256'
    """
    return f".{name}.{SEAL}"


def line_beside(name: str, digest: str) -> bytes:
    """Return what that file holds, as ``sha256sum`` reads it.

    Args:
        name: of the file whose checksum it is.
        digest: the checksum, in hexadecimal digits.
    """
    return f"{digest}  {name}\n".encode()


@contextmanager
def sealed_path(path: Path) -> Iterator[Path]:
    """Give a path to write a file to, as :func:`.replaced_path` does, and put its checksum beside.

    So any program reads the file as it is. A writer that is killed may leave it without a checksum,
    but never with that of other content.
    """
    beside = path.with_name(name_beside(path.name))
    with replaced_path(path) as incomplete:
        yield incomplete
        digest = _of_file(incomplete)
        beside.unlink(missing_ok=True)
    with replaced_file(beside) as file:
        file.write(line_beside(path.name, digest))


def check_seal(path: Path) -> None:
    """See whether a file is as :func:`sealed_path` has written it; one without a checksum is.

    Raises:
        InputError: it is not.
    """
    beside = path.with_name(name_beside(path.name))
    for _ in range(2):  # somebody may just replace the file
        if not path.is_file() or not beside.is_file():
            return
        digest = _of_file(path)
        if beside.read_bytes() == line_beside(path.name, digest):
            return
    raise changed(str(path))


def changed(place: str) -> InputError:
    """Say that a file is not as it was written."""
    return InputError(
        f"{place} is not as it was written: it was changed or damaged since. Run the pipeline that "
        "makes it again, without --from-nodes and the like, and it is made anew."
    )
