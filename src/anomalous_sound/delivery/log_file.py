"""Write events into a file, a line of JSON each."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class EventFile:
    """A file that lines are added to; they are whole, and there at once.

    It may be moved away or cut at any time, as ``logrotate`` does: the next line begins a new one.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, or begin it.

        Raises:
            OSError: it cannot be written.
        """
        self._path, self._file = path, -1
        self._open()

    def write(self, line: str) -> None:
        """Add a line.

        Raises:
            OSError: it cannot be written, or not all of it.
        """
        if self._file < 0 or not self._is_there():
            self._open()
        rest = memoryview(f"{line}\n".encode())
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            self.close()  # it may end in half a line; the next opening looks
            raise

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            return False

    def _open(self) -> None:
        self.close()
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        status = os.fstat(self._file)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return
        if os.pread(self._file, 1, status.st_size - 1) != b"\n":  # a process that was killed
            os.write(self._file, b"\n")
