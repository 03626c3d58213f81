"""What one run at a time may write, and which runs have ended without saying so."""

from __future__ import annotations

import glob
import logging
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import BaseFileLock, FileLock, Timeout

from anomalous_sound.errors import InputError
from anomalous_sound.storage.atomic import told_if_unwritable

logger = logging.getLogger(__name__)

_NONE: Mapping[str, str] = {}


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
        self._held: dict[str, BaseFileLock] = {}

    def acquire(
        self,
        parts: Iterable[str],
        *,
        wait_s: float,
        remarks: Mapping[str, str] = _NONE,
    ) -> None:
        """Lock parts of the data; wait for a run that holds one of them.

        Args:
            parts: names of them; all runs take them in the same order.
            wait_s: how long to wait, seconds.
            remarks: what to add, for each part, to the sentence that this run waits.

        Raises:
            InputError: another run has not ended by then, or the lock files cannot be written.
        """
        try:
            for part in sorted(set(parts)):
                path = self._folder / f"{part}.lock"
                with told_if_unwritable(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch()
                lock = FileLock(path, thread_local=False)  # any thread may release it
                self._acquire(lock, part, wait_s, remarks.get(part, ""))
                self._held[part] = lock
        except BaseException:
            self.release()
            raise

    def release(self, part: str | None = None) -> None:
        """Let others write a part; None: all parts."""
        for name in [*self._held] if part is None else [part]:
            if name in self._held:
                self._held.pop(name).release()

    @staticmethod
    def _acquire(lock: BaseFileLock, part: str, wait_s: float, remark: str) -> None:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            logger.warning(
                "Another run in this project writes the data of '%s': waiting for it, at most "
                "%.0f s.%s",
                *(part, wait_s, remark),
            )
            try:
                lock.acquire(timeout=wait_s)
            except Timeout:
                raise InputError(
                    f"another run in this project has been writing the data of '{part}' for more "
                    f"than {wait_s:.0f} s; run again when it has ended, or raise runs.wait_s in "
                    "conf/base/globals.yml."
                ) from None


class Readers:
    """Runs that read a part of a project's data, which nobody may change before they end.

    Writing again what they read is no change: each says by an identity what it reads. A file a run,
    locked while its process lives. They begin and are waited for by whoever holds the part's
    :class:`WriterLocks`, so that none begins meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder of the files."""
        self._folder = folder
        self._own: tuple[Path, BaseFileLock] | None = None

    def begin(self, part: str, read: str) -> None:
        """Read a part from now on.

        Args:
            part: its name.
            read: identity of what is read.
        """
        self.end()
        path = self._folder / f"{part}.read.{read}.{uuid4().hex}.lock"
        with told_if_unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, thread_local=False)
            lock.acquire(timeout=0)
        self._own = path, lock

    def end(self) -> None:
        """Read it no longer."""
        if self._own is not None:
            path, lock = self._own
            self._own = None
            lock.release()
            path.unlink(missing_ok=True)

    def wait(self, part: str, written: str | None, *, wait_s: float) -> None:
        """Wait for the runs that read something else than what is to be written.

        Args:
            part: its name.
            written: identity of what is to be written; None: it is not known.
            wait_s: how long to wait, seconds.

        Raises:
            InputError: a run has not ended by then.
        """
        for path in sorted(self._folder.glob(f"{glob.escape(part)}.read.*.lock")):
            lock = FileLock(path, thread_local=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if path.name.split(".")[-3] == written:
                    continue
                self._wait_for(lock, part, wait_s)
            lock.release()
            path.unlink(missing_ok=True)

    @staticmethod
    def _wait_for(lock: BaseFileLock, part: str, wait_s: float) -> None:
        logger.warning(
            "Another run in this project works with other data of '%s', which this run would "
            "replace: waiting for its end, at most %.0f s.",
            *(part, wait_s),
        )
        try:
            lock.acquire(timeout=wait_s)
        except Timeout:
            raise InputError(
                f"another run in this project has been working with other data of '{part}' for "
                f"more than {wait_s:.0f} s; run again when it has ended, or give this run's a name "
                "of their own: --params detector=NAME."
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
