"""Delivers what waits in a queue, in a thread of its own, so that nothing else ever waits."""

from __future__ import annotations

import random
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from anomalous_sound.delivery.event import Event, to_line
from anomalous_sound.delivery.queue import EventQueue

_MOST_DOUBLINGS = 30
_MOMENT_S = 0.1  # for a thread that has nothing to wait for


class NotDeliveredError(Exception):
    """The receiver was not reached, or could not take an event; it is sent again.

    Attributes:
        retry_after_s: how long the receiver asks to be left alone, s.
    """

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        """Say why; the reason must hold no secret."""
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class RefusedError(Exception):
    """The receiver will never take this event; the message must hold no secret."""


class Receiver(Protocol):
    """Who gets the events."""

    def send(self, event_id: str, body: str) -> None:
        """Deliver an event.

        Raises:
            NotDeliveredError: it must be sent again.
            RefusedError: it must not be sent again.
        """
        ...

    def close(self) -> None:
        """Take leave."""
        ...


@dataclass(frozen=True)
class Retry:
    """How long to wait before an event is sent again.

    Attributes:
        first_s: after the first failure, s; then twice as long each time.
        longest_s: never longer, s.
    """

    first_s: float = 1.0
    longest_s: float = 60.0

    def delay_s(self, failures: int, asked_s: float = 0.0) -> float:
        """Return how long to wait; by chance a little less, so that many do not come at once.

        Args:
            failures: how often it has failed, 1 or more.
            asked_s: how long the receiver asks to be left alone, s.
        """
        doubled = self.first_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
        least = min(max(asked_s, 0.0), self.longest_s)
        spread = random.uniform(0.75, 1.0)  # nosec B311  # keeps clients apart, no secret
        return max(least, min(doubled, self.longest_s) * spread)


class Courier:
    """Takes events at once, and delivers them one after the other, in their order."""

    def __init__(
        self,
        name: str,
        queue: EventQueue,
        receiver: Receiver,
        tell: Callable[[str, str], None],
        retry: Retry | None = None,
    ) -> None:
        """Begin with what an earlier process has left in the queue.

        Args:
            name: what it is called when it tells of something.
            queue: where events wait.
            receiver: who gets them.
            tell: is told, from any thread, of what goes wrong: the name, and what happened.
            retry: how long to wait after a failure.
        """
        self._name, self._queue, self._receiver = name, queue, receiver
        self._tell, self._retry = tell, retry or Retry()
        self._wake, self._closing, self._given_up = (threading.Event() for _ in range(3))
        self._told, self._failures = "", 0
        if left := queue.waiting:
            tell(name, f"events of an earlier run: {left}; they are delivered first")
        self._thread = threading.Thread(target=self._run, name=f"to {name}", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        """Take an event; it is on disk afterwards."""
        try:
            dropped = self._queue.put(event["id"], to_line(event))
        except sqlite3.Error as error:
            self._tell(self._name, f"event {event['id']} is lost: it cannot be queued ({error})")
            return
        for event_id in dropped:
            self._tell(self._name, f"event {event_id} is lost: the queue is full")
        self._wake.set()

    def close(self, patience_s: float) -> None:
        """Deliver what waits if that is soon done, and say what stays in the queue.

        Args:
            patience_s: how long to wait, s.
        """
        self._closing.set()
        self._wake.set()
        self._thread.join(patience_s)
        self._given_up.set()
        self._thread.join(_MOMENT_S)
        if not self._thread.is_alive():
            self._receiver.close()
        try:
            left = self._queue.waiting
        except sqlite3.Error as error:
            self._tell(self._name, f"the queue cannot be read ({error})")
        else:
            if left:
                self._tell(
                    self._name,
                    f"events that stay in the queue: {left}; the next watch delivers them",
                )
        self._queue.close()

    def _run(self) -> None:
        while not self._given_up.is_set():
            self._wake.clear()
            try:
                is_empty = not self._deliver_one()
            except Exception as error:  # whatever it is, events go on to be delivered
                # a message may hold what nobody must see
                self._failed(_reason(error), getattr(error, "retry_after_s", 0.0))
            else:
                if is_empty and self._closing.is_set():
                    return
                if is_empty:
                    self._wake.wait()

    def _deliver_one(self) -> bool:
        """Deliver the first event; return whether there was one."""
        entry = self._queue.first()
        if entry is None:
            return False
        try:
            self._receiver.send(entry.id, entry.body)
        except RefusedError as error:
            self._queue.refuse(entry)
            self._tell(
                self._name, f"event {entry.id} is refused ({error}); it is set aside in the queue"
            )
        else:
            self._queue.done(entry)
            if self._failures:
                self._tell(self._name, "delivers again")
        self._failures, self._told = 0, ""
        return True

    def _failed(self, reason: str, asked_s: float) -> None:
        self._failures += 1
        if reason != self._told:
            self._told = reason
            self._tell(self._name, f"not delivered: {reason}; events wait, and it tries again")
        # an end is no reason to wait any longer, but to try once more
        until = self._given_up if self._closing.is_set() else self._closing
        until.wait(self._retry.delay_s(self._failures, asked_s))


def _reason(error: Exception) -> str:
    if isinstance(error, NotDeliveredError | sqlite3.Error):
        return str(error)
    return type(error).__name__
