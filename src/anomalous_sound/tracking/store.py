"""Where MLflow keeps its runs: checked within a time limit, made whole, named without passwords."""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit
from uuid import uuid4

from filelock import FileLock

_SQLITE = "sqlite:///"
_INCOMPLETE = ".incomplete"
_HALF_MADE = ".half-made"
_BESIDE = ("", "-journal", "-wal", "-shm")  # the files of a SQLite database
# what MLflow fills before it makes the first experiment, which is the last that it does
_FILLED_FIRST = {"alembic_version", "workspaces"}

logger = logging.getLogger(__name__)


def take_credentials_out(uri: str) -> str:
    """Hand user and password of a tracking server to MLflow through its environment variables.

    MLflow prints the URI that it is given, and stores it.

    Returns:
        The URI without them; that of anything but a web server as it is.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or parts.username is None:
        return uri
    os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(parts.username)
    os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(parts.password or "")
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def limit_waiting(timeout_s: int, retries: int) -> None:
    """Limit how long MLflow waits for a server, unless the user's environment says so already."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(timeout_s))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(retries))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    # it would print the address of each run, with all that stands in it
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # of copying a folder from one place on this disk to another
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def prepare_store(uri: str, timeout_s: int) -> None:
    """Make a SQLite store that is not there, and see whether it can be written to.

    A store that was left half-made is moved aside. MLflow itself would retry for minutes. Other
    stores are left to it.

    Raises:
        OSError: the store cannot be made.
        sqlite3.Error: it cannot be written to, or is no store.
        TimeoutError: another run is making it, and does not end.
    """
    path = Path(uri.removeprefix(_SQLITE))
    if not uri.startswith(_SQLITE) or path.name in ("", ":memory:"):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if not _is_made(path, timeout_s):
        with FileLock(f"{path}.lock", timeout=max(timeout_s, 60)):
            if not _is_made(path, timeout_s):
                _move_aside(path)
                _make_whole(path)


def _is_made(path: Path, timeout_s: int) -> bool:
    """Return whether a store is there, and holds something.

    Raises:
        sqlite3.Error: it cannot be written to, or is no database.
    """
    if not path.exists() or path.stat().st_size == 0:
        return False
    with closing(sqlite3.connect(path, timeout=timeout_s, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found = any(
            # a table's name is no value that could be handed over
            connection.execute(f'SELECT 1 FROM "{name}" LIMIT 1').fetchone()  # nosec B608
            for (name,) in tables.fetchall()
            if name not in _FILLED_FIRST
        )
        connection.execute("ROLLBACK")
    return found


def _move_aside(path: Path) -> None:
    """Move what is left of a store out of the way; nothing is in it."""
    if path.exists() and path.stat().st_size:
        aside = path.with_name(path.name + _HALF_MADE)
        logger.warning(
            "%s was left half-made, without any run; it is now %s, and a new store is begun.",
            *(path, aside.name),
        )
        for ending in _BESIDE:
            left = Path(f"{path}{ending}")
            if left.exists():
                left.replace(f"{aside}{ending}")


def _make_whole(path: Path) -> None:
    """Make the tables in a file beside the store: an interruption leaves no half of them."""
    from mlflow import MlflowClient
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for left in path.parent.glob(f"{path.name}.*{_INCOMPLETE}*"):
        left.unlink()
    incomplete = path.with_name(f"{path.name}.{uuid4().hex}{_INCOMPLETE}")
    uri = f"{_SQLITE}{incomplete.as_posix()}"
    try:
        MlflowClient(uri).search_experiments()
        SqlAlchemyStore._get_or_create_engine(uri).dispose()
        incomplete.replace(path)
    finally:
        incomplete.unlink(missing_ok=True)
