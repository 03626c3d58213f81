"""Write a file or a folder whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from anomalous_sound.errors import InputError

_NO_ROOM = 2**18  # bytes; a disk with less is full for most files of ours
_CANNOT_WRITE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
}


@contextmanager
def replaced_path(path: Path) -> Iterator[Path]:
    """Give a path beside ``path`` to write a file to; at the end it takes the place of ``path``.

    If writing fails, ``path`` stays as it was.

    Raises:
        InputError: the disk is full or cannot be written to.
    """
    incomplete = path.with_name(path.name + ".incomplete")
    try:
        with told_if_unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield incomplete
            incomplete.replace(path)
    except BaseException:
        with suppress(OSError):
            incomplete.unlink(missing_ok=True)
        raise


@contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """Give a temporary file to write into; see :func:`replaced_path`."""
    with replaced_path(path) as incomplete, incomplete.open("wb") as file:
        yield file


@contextmanager
def told_if_unwritable(path: Path) -> Iterator[None]:
    """Say in a sentence that a file cannot be written, whatever a library made of it.

    Raises:
        InputError: the disk is full or cannot be written to.
    """
    try:
        yield
    except InputError:
        raise  # it says more
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__cause__
        if isinstance(cause, OSError) and cause.errno in _CANNOT_WRITE:
            reason = os.strerror(cause.errno)
        elif _is_full(path):
            reason = os.strerror(errno.ENOSPC)
        else:
            raise
        raise InputError(
            f"{path} cannot be written: {reason}. What was there before is unchanged; make room or "
            "access, and run again."
        ) from error


def _is_full(path: Path) -> bool:
    there = next((folder for folder in path.absolute().parents if folder.is_dir()), None)
    return there is not None and shutil.disk_usage(there).free < _NO_ROOM


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to write into; at the end it takes the place of ``folder``.

    If writing fails, ``folder`` stays as it was. If the process is killed, it leaves a folder under
    another name, which the next write removes.

    Raises:
        InputError: the disk is full or cannot be written to.
    """
    incomplete = folder.with_name(folder.name + ".incomplete")
    try:
        with told_if_unwritable(folder):
            shutil.rmtree(incomplete, ignore_errors=True)
            incomplete.mkdir(parents=True)
            yield incomplete
            replace_folder(incomplete, folder)
    except BaseException:
        shutil.rmtree(incomplete, ignore_errors=True)
        raise


def replace_folder(complete: Path, folder: Path) -> None:
    """Put a folder that is complete in the place of an earlier one."""
    shutil.rmtree(folder, ignore_errors=True)
    complete.replace(folder)
