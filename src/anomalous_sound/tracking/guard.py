"""What MLflow cannot record does not stop a run: it is said once, and told at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from anomalous_sound.storage.remote import without_secrets
from anomalous_sound.tracking.patience import Patience, needs_patience

_SHOWN = 120  # letters of what a library says; the first name what has failed

_REMEDY = (
    " If its store is of an earlier version, run `mlflow db upgrade {uri}`; if it is damaged, move "
    "it away, and the next run makes a new one."
)

logger = logging.getLogger(__name__)


class TrackingGuard:
    """Carries out what MLflow is to record, until it fails for the first time.

    Attributes:
        problem: what has failed, in one line; empty: nothing.
        missed: what was not recorded.
    """

    def __init__(self, uri: str, *, patience_s: float) -> None:
        """Begin a run.

        Args:
            uri: where its record goes.
            patience_s: how long to wait for that in all, if it is not on this machine.
        """
        self.uri = uri
        self.problem = ""
        self.missed: list[str] = []
        self._patience = Patience(patience_s) if needs_patience(uri) else None

    def attempt(self, what: str, action: Callable[[], Any]) -> None:
        """Record something, or remember that it was not recorded.

        Args:
            what: what to call it; empty: nothing that anybody would miss.
            action: records it.
        """
        if self.problem:
            self._miss(what)
            return
        try:
            self._carry_out(action)
        except Exception as error:
            self._miss(what)
            self.problem = one_line(error, self.uri)
            logger.warning(
                "MLflow cannot use %s (%s); the run goes on without being tracked.",
                *(without_secrets(self.uri), self.problem),
            )

    def afterwards(self, action: Callable[[], Any]) -> None:
        """Do what puts things in order, as far as it can be done; nobody would miss it."""
        try:
            self._carry_out(action)
        except Exception as error:
            logger.debug("MLflow could not put a run in order: %s", error)

    def report(self, command: str = "") -> None:
        """Say what was not recorded, if anything.

        Args:
            command: records it afterwards; empty: nothing does.
        """
        if self.missed:
            logger.warning(
                "MLflow has no record of: %s. All results are in data/.%s%s",
                ", ".join(self.missed),
                f" When MLflow works again, record them by: {command}." if command else "",
                _REMEDY.format(uri=self.uri) if self.uri.startswith("sqlite:") else "",
            )

    def close(self) -> None:
        """Let go of what waits for the server."""
        if self._patience is not None:
            self._patience.close()

    def _carry_out(self, action: Callable[[], Any]) -> None:
        if self._patience is None:
            action()
        else:
            self._patience.spend(action)

    def _miss(self, what: str) -> None:
        if what and what not in self.missed:
            self.missed.append(what)


def one_line(error: Exception, uri: str) -> str:
    """Return what an error of a store says, shortly and without a password."""
    lines = str(error).splitlines() or [type(error).__name__]
    shown = lines[0].replace(uri, without_secrets(uri)).rstrip(".")
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"
