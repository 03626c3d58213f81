"""A queue on disk: what waits in it outlives the process and the receiver's absence."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from anomalous_sound.delivery.event import new_event, to_line
from anomalous_sound.errors import InputError

_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700
_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    size INTEGER NOT NULL,
    refused INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS dropped (count INTEGER NOT NULL, since TEXT NOT NULL);
"""
_OLDEST = "SELECT number, id, size FROM events ORDER BY number"


@dataclass(frozen=True)
class Entry:
    """An event that waits.

    Attributes:
        number: its place in the order.
        id: of the event.
        body: the event as a line of JSON.
    """

    number: int
    id: str
    body: str


class EventQueue:
    """Events in the order in which they happened, bounded in size; threads may share it.

    An event is on disk when :meth:`put` returns, and stays there until :meth:`done`. If they are
    too many, the oldest are dropped, never the newest; when the receiver can be reached again, an
    event ``dropped`` tells it how many.
    """

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        """Open a queue, or begin one. Only its user can read it.

        Args:
            path: the file.
            limit_bytes: how large all events in it may be together.

        Raises:
            InputError: another process uses it, or it cannot be read or written.
        """
        self._path, self._limit, self._lock = path, limit_bytes, threading.Lock()
        try:
            path.parent.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
            self._process_lock = FileLock(path.with_suffix(".lock"), mode=_PRIVATE)
            self._process_lock.acquire(timeout=0)
            # sqlite's own files beside it get the same mode
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, _PRIVATE))
            path.chmod(_PRIVATE)
        except Timeout:
            raise InputError(
                f"the queue {path} is in use by another watch; give this one a folder of its own: "
                "--queue DIR."
            ) from None
        except OSError as error:
            raise InputError(
                f"the queue {path} cannot be written: {error.strerror}; give another folder: "
                "--queue DIR."
            ) from error
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_TABLES)
            ((size,),) = self._connection.execute("SELECT TOTAL(size) FROM events")
            self._size = int(size)  # kept here, so that no event waits for a sum over all others
        except sqlite3.Error as error:
            self.close()
            raise InputError(
                f"the queue {path} cannot be read ({error}); move it away, or give another folder: "
                "--queue DIR."
            ) from error

    def put(self, event_id: str, body: str) -> list[str]:
        """Add an event at the end.

        Returns:
            The IDs of the events that were dropped to make room for it.

        Raises:
            sqlite3.Error: it cannot be written; nothing has changed.
        """
        gone = []
        with self._transaction() as connection:
            size = self._size + len(body)
            # a query that is left open would keep the file from being tidied up
            with closing(connection.execute(_OLDEST)) as oldest:
                while size > self._limit and (row := oldest.fetchone()) is not None:
                    gone.append(row)
                    size -= row[2]
            if gone:
                connection.execute("DELETE FROM events WHERE number <= ?", (gone[-1][0],))
                self._count(connection, len(gone))
            self._insert(connection, event_id, body)
            self._size = size
        return [name for _, name, _ in gone]

    def first(self) -> Entry | None:
        """Return the event that is next to be delivered; None if none waits."""
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT number, id, body FROM events WHERE NOT refused ORDER BY number LIMIT 1"
            ).fetchone()
        return None if row is None else Entry(*row)

    def done(self, entry: Entry) -> None:
        """Take out an event that was delivered."""
        with self._transaction() as connection:
            deleted = connection.execute("DELETE FROM events WHERE number = ?", (entry.number,))
            size = self._size - len(entry.body) * deleted.rowcount
            if not deleted.rowcount:  # dropped while it was on its way
                connection.execute("UPDATE dropped SET count = count - 1")
            row = connection.execute("SELECT count, since FROM dropped").fetchone()
            if row is not None:
                connection.execute("DELETE FROM dropped")
            if row is not None and row[0] > 0:
                reason = "the queue was full; the oldest events were dropped"
                values = {"count": row[0], "since": row[1], "reason": reason}
                event = new_event("dropped", values)
                body = to_line(event)
                self._insert(connection, event["id"], body)
                size += len(body)
            self._size = size

    def refuse(self, entry: Entry) -> None:
        """Set aside an event that the receiver will never take; it is kept, and not sent again."""
        with self._transaction() as connection:
            connection.execute("UPDATE events SET refused = 1 WHERE number = ?", (entry.number,))

    @property
    def waiting(self) -> int:
        """How many events wait to be delivered."""
        with self._transaction() as connection:
            ((count,),) = connection.execute("SELECT COUNT(*) FROM events WHERE NOT refused")
        return int(count)

    def close(self) -> None:
        """Let another process use it."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._process_lock.release()

    @staticmethod
    def _insert(connection: sqlite3.Connection, event_id: str, body: str) -> None:
        connection.execute(
            "INSERT INTO events (id, body, size) VALUES (?, ?, ?)", (event_id, body, len(body))
        )

    @staticmethod
    def _count(connection: sqlite3.Connection, dropped: int) -> None:
        updated = connection.execute("UPDATE dropped SET count = count + ?", (dropped,))
        if not updated.rowcount:
            at = new_event("dropped", {})["at"]
            connection.execute("INSERT INTO dropped VALUES (?, ?)", (dropped, at))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._connection is None:
                raise sqlite3.ProgrammingError("the queue is closed")
            size = self._size
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._size = size
                if self._connection.in_transaction:  # a full disk has ended it already
                    self._connection.execute("ROLLBACK")
                raise
