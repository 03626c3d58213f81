"""Waiting for a server, bounded in all: a time limit for silence is none for one that drips."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

_ON_THIS_MACHINE = ("", "file", "sqlite")  # schemes


class PatienceError(Exception):
    """What was asked for has taken longer than anybody wants to wait."""


class Patience:
    """Has one thing after another done in a thread of its own, and waits only so long in all.

    MLflow keeps the active run by thread, so all that concerns one run is done in the same. A
    thread cannot be ended from outside: one that is given up on is left alone, and the process
    ends without it.
    """

    def __init__(self, limit_s: float) -> None:
        """Begin with all of the time left.

        Args:
            limit_s: how long to wait in all.
        """
        self._limit_s = self._left_s = limit_s
        self._asked: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._one_at_a_time = threading.Lock()

    def spend(self, action: Callable[[], Any]) -> Any:
        """Have something done, and return what it returns.

        Raises:
            PatienceError: it is not done, and there is no time left.
            BaseException: what the action raises.
        """
        done: Future[Any] = Future()
        context = copy_context()
        with self._one_at_a_time:
            began = time.monotonic()
            if self._left_s > 0:
                self._start()
                self._asked.put(lambda: context.run(_carry_out, action, done))
                wait([done], self._left_s)
                self._left_s -= time.monotonic() - began
            if not done.done():
                self._left_s = 0.0
                raise PatienceError(
                    f"its answers took longer than {self._limit_s:g} s in all: "
                    "runs.mlflow_patience_s"
                )
        return done.result()

    def close(self) -> None:
        """Let the thread end, when it can."""
        self._asked.put(None)
        self._thread = None

    def _start(self) -> None:
        if self._thread is None:
            self._asked = SimpleQueue()
            self._thread = threading.Thread(
                target=_serve, args=(self._asked,), name="tracking", daemon=True
            )
            self._thread.start()


def needs_patience(uri: str) -> bool:
    """Return whether a store is a server, which may let one wait."""
    return urlsplit(uri).scheme not in _ON_THIS_MACHINE


def at_most(limit_s: float, uri: str, action: Callable[[], Any]) -> Any:
    """Have something done with a store, within a time if it is a server; return what it returns.

    Raises:
        PatienceError: it took longer.
        BaseException: what the action raises.
    """
    if not needs_patience(uri):
        return action()
    patience = Patience(limit_s)
    try:
        return patience.spend(action)
    finally:
        patience.close()


def _serve(asked: SimpleQueue[Callable[[], None] | None]) -> None:
    while (action := asked.get()) is not None:
        action()


def _carry_out(action: Callable[[], Any], done: Future[Any]) -> None:
    try:
        done.set_result(action())
    except BaseException as error:
        done.set_exception(error)
