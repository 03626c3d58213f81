"""A process that ends with the one that started it."""

from __future__ import annotations

import os
import threading
from typing import Any


def end_with_parent() -> threading.Event:
    """End this process soon after its parent was killed.

    Returns:
        Set it, and the parent is watched no longer.
    """
    finished = threading.Event()
    parent = os.getppid()

    def watch() -> None:
        while not finished.wait(1):
            if os.getppid() != parent:
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    return finished


def dask_setup(server: Any) -> None:
    """Let a process of Dask, which preloads this module, end with the run that started it."""
    end_with_parent()
