"""Whether the disk has enough room, before and while something is written."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from anomalous_sound.errors import InputError


def check_room(folder: Path, needed: int, purpose: str) -> None:
    """Check that there is room in a folder, which need not exist yet.

    Args:
        folder: where something is to be written.
        needed: bytes.
        purpose: what needs them, for the message.

    Raises:
        InputError: fewer than ``needed`` bytes are free.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise InputError(
            f"{folder}: {purpose} needs {in_words(needed)}, and only {in_words(free)} is free; "
            "make room there, or give another folder as the path in the catalog."
        )


def is_full(error: OSError) -> bool:
    """Return whether an error means that the disk, or the user's quota, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def in_words(count: int) -> str:
    """Write a number of bytes in a suitable unit."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} bytes"
