"""The memory of the process."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# glibc's names for mallopt
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_NEVER_BYTES = 1 << 30


def keep_freed_memory() -> None:
    """Let the process keep the memory of freed tensors for the next ones.

    glibc gives large blocks back to the system at once, and the system clears them page by page
    when they are asked for again: up to a third of the time of a training step, and threads that
    compute at once wait for each other meanwhile.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none, and does otherwise
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _NEVER_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _NEVER_BYTES)


@contextmanager
def nothing_to_collect() -> Iterator[None]:
    """Do not look for unused objects meanwhile: for the import of libraries, whose objects stay.

    Python looks each time that so many new objects have come, a tenth of the time of an import.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
