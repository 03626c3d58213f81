"""What one run at a time may write, and which runs have ended without saying so."""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from anomalous_sound.errors import InputError
from anomalous_sound.storage.atomic import told_if_unwritable

logger = logging.getLogger(__name__)


@contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Wait until nobody else writes a file or folder, however long it takes.

    The lock is a hidden file beside it.
    """
    lock_path = path.with_name(f".{path.name}.lock")
    with told_if_unwritable(lock_path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_path.touch()
    lock = FileLock(lock_path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("Another run writes %s: waiting for it.", path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class WriterLocks:
    """Locks on parts of a project's data, held while a run writes them.

    The operating system takes them from a process that ends, however it ends.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder of the lock files."""
        self._folder = folder
        self._held: list[BaseFileLock] = []

    def acquire(self, parts: Iterable[str], *, wait_s: float) -> None:
        """Lock parts of the data; wait for a run that holds one of them.

        Args:
            parts: names of them; all runs take them in the same order.
            wait_s: how long to wait, seconds.

        Raises:
            InputError: another run has not ended by then, or the lock files cannot be written.
        """
        try:
            for part in sorted(set(parts)):
                path = self._folder / f"{part}.lock"
                with told_if_unwritable(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
                lock = FileLock(path)
                self._acquire(lock, part, wait_s)
                self._held.append(lock)
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others write."""
        while self._held:
            self._held.pop().release()

    @staticmethod
    def _acquire(lock: BaseFileLock, part: str, wait_s: float) -> None:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.warning(
                "Another run in this project writes the data of '%s': waiting for it, at most "
                "%.0f s.",
                *(part, wait_s),
            )
            try:
                lock.acquire(timeout=wait_s)
            except Timeout:
                raise InputError(
                    f"another run in this project has been writing the data of '{part}' for more "
                    f"than {wait_s:.0f} s; run again when it has ended, or raise runs.wait_s in "
                    "conf/base/globals.yml."
                ) from None


class LivingRuns:
    """Remembers the runs that this host has begun, so that those that died can be told.

    A file a run, locked while its process lives and removed when the run ends.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder of the files."""
        self._folder = folder
        self._host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
        self._held: dict[str, BaseFileLock] = {}

    def begin(self, run_id: str) -> None:
        """Remember a run of this process."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._path(run_id))
        lock.acquire(timeout=0)
        self._held[run_id] = lock

    def end(self, run_id: str) -> None:
        """Forget a run, of this process or of one that died."""
        if run_id in self._held:
            self._held.pop(run_id).release()
        self._path(run_id).unlink(missing_ok=True)

    def died(self) -> list[str]:
        """Return the runs whose process is gone without having ended them."""
        found = []
        for path in sorted(self._folder.glob(f"run.{self._host}.*.lock")):
            run_id = path.name.split(".")[2]
            if run_id in self._held:
                continue
            try:
                FileLock(path).acquire(timeout=0).lock.release()
            except (Timeout, OSError):
                continue
            found.append(run_id)
        return found

    def _path(self, run_id: str) -> Path:
        return self._folder / f"run.{self._host}.{run_id}.lock"
