"""Runs below another run in MLflow: those of a campaign below the campaign's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where the next run stands.

    Attributes:
        parent: ID of the run that it is a part of.
        continues: whether it is not a run of its own, but goes on with the parent.
    """

    parent: str
    continues: bool = False


_place: ContextVar[Place | None] = ContextVar("place", default=None)


def current() -> Place | None:
    """Return where the next run stands; None: by itself."""
    return _place.get()


@contextmanager
def placed(place: Place | None) -> Iterator[None]:
    """Let the runs within stand there."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)
