"""A bounded number of threads that judge, and a bounded number of requests that wait for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

Result = TypeVar("Result")


class FullError(Exception):
    """All places are taken."""


class Place:
    """The place of one request; it is free again when the request and its work have ended."""

    def __init__(self, leave: Callable[[], None]) -> None:
        """Take a place.

        Args:
            leave: called once.
        """
        self._leave, self._lock, self._holders = leave, Lock(), 1

    def hold(self) -> None:
        """Keep the place until there is one more :meth:`release`."""
        with self._lock:
            self._holders += 1

    def release(self, _: object = None) -> None:
        """Leave the place, if nobody else holds it."""
        with self._lock:
            self._holders -= 1
            is_free = not self._holders
        if is_free:
            self._leave()


class Pool:
    """Threads, and places for those who wait.

    Attributes:
        taken: places that are taken.
    """

    def __init__(self, workers: int, waiting: int) -> None:
        """Start without work.

        Args:
            workers: threads.
            waiting: places beside them.
        """
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="judge")
        self._places, self._lock = workers + waiting, Lock()
        self.taken = 0

    def enter(self) -> Place:
        """Take a place.

        Raises:
            FullError: there is none.
        """
        with self._lock:
            if self.taken >= self._places:
                raise FullError
            self.taken += 1
        return Place(self._left)

    def submit(self, place: Place, work: Callable[[], Result]) -> Future[Result]:
        """Have work done in one of the threads; the place is held until it has ended."""
        place.hold()
        future = self._threads.submit(work)
        future.add_done_callback(place.release)
        return future

    def close(self) -> None:
        """End when the work in hand has been done."""
        self._threads.shutdown(cancel_futures=True)

    def _left(self) -> None:
        with self._lock:
            self.taken -= 1
