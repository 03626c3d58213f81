"""Which files have been judged, remembered on disk: a watch that is started again goes on."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from anomalous_sound.errors import InputError

logger = logging.getLogger(__name__)

State = tuple[int, int]  # size, bytes, and time of the last change, ns


class Judged:
    """The files of a folder that were judged, and what they were like then.

    A file is remembered after it was told of. So what is judged while the process is killed is
    judged again, and nothing is left out.
    """

    def __init__(self, path: Path, folder: Path) -> None:
        """Open the memory, or begin one.

        Args:
            path: its file; several folders may share it.
            folder: the folder of the files.

        Raises:
            InputError: it cannot be read or written.
        """
        self._folder = folder.resolve()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS judged (path BLOB PRIMARY KEY, size INTEGER, "
                "changed INTEGER)"
            )
            rows = self._connection.execute("SELECT path, size, changed FROM judged").fetchall()
        except (OSError, sqlite3.Error) as error:
            raise InputError(
                f"--resume: {path} cannot be used ({error}); move it away, or give another folder: "
                "--queue DIR."
            ) from error
        self._states: dict[bytes, State] = {name: (size, changed) for name, size, changed in rows}

    def knows(self, name: str, state: State) -> bool:
        """Say whether a file was judged as it is now."""
        return self._states.get(self._key(name)) == state

    def add(self, name: str, state: State) -> None:
        """Remember that a file was judged."""
        self._states[self._key(name)] = state
        self._write("INSERT OR REPLACE INTO judged VALUES (?, ?, ?)", (self._key(name), *state))

    def keep(self, names: set[str]) -> None:
        """Forget the files of this folder that are gone."""
        there, inside = {self._key(name) for name in names}, self._key("")
        for key in [one for one in self._states if one.startswith(inside) and one not in there]:
            del self._states[key]
            self._write("DELETE FROM judged WHERE path = ?", (key,))

    def _key(self, name: str) -> bytes:
        return os.fsencode(f"{self._folder}{os.sep}{name}")

    def _write(self, statement: str, values: tuple[bytes | int, ...]) -> None:
        try:
            self._connection.execute(statement, values)
        except sqlite3.Error as error:  # judging goes on
            logger.warning("It cannot be remembered which files were judged (%s).", error)
