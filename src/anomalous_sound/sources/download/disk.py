"""Whether there is room on the disk, before and while something is written."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from anomalous_sound.errors import InputError


def check_room(folder: Path, needed: int, purpose: str) -> None:
    """Make sure of room below a folder, which need not exist yet.

    Raises:
        InputError: there is less than ``needed`` bytes.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise InputError(
            f"{folder}: {purpose} needs {in_words(needed)}, and only {in_words(free)} is free; "
            "make room there, or give another folder as the path in the catalog."
        )


def is_full(error: OSError) -> bool:
    """Say whether an error means that the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def in_words(count: int) -> str:
    """Say a number of bytes in the unit that suits it."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} bytes"
