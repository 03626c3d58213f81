"""Write a file or a folder whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """Give a temporary file to write into; at the end it takes the place of ``path``.

    If writing fails, ``path`` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    incomplete = path.with_name(path.name + ".incomplete")
    try:
        with incomplete.open("wb") as file:
            yield file
        incomplete.replace(path)
    except BaseException:
        incomplete.unlink(missing_ok=True)
        raise


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder to write into; at the end it takes the place of ``folder``.

    If writing fails, ``folder`` stays as it was. If the process is killed, it leaves a folder under
    another name, which the next write removes.
    """
    incomplete = folder.with_name(folder.name + ".incomplete")
    shutil.rmtree(incomplete, ignore_errors=True)
    incomplete.mkdir(parents=True)
    try:
        yield incomplete
        replace_folder(incomplete, folder)
    except BaseException:
        shutil.rmtree(incomplete, ignore_errors=True)
        raise


def replace_folder(complete: Path, folder: Path) -> None:
    """Put a folder that is complete in the place of an earlier one."""
    shutil.rmtree(folder, ignore_errors=True)
    complete.replace(folder)
