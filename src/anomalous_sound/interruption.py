"""How a command is stopped: by Ctrl-C or by the system's request to end, in one sentence."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType

STOPPED = "stopped. The same command goes on with what is left; a training after its last epoch."
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """Somebody has stopped the command.

    Attributes:
        signal_number: by which signal.
    """

    def __init__(self, signal_number: int) -> None:
        """Remember the signal."""
        super().__init__()
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """What a shell expects of a command that was ended by a signal."""
        return 128 + self.signal_number


_stopped: list[Stopped] = []


def end_at_once() -> None:
    """Until the run begins, end the process itself: there is nothing to put in order.

    An exception would be a traceback out of an import, or be swallowed by it.
    """

    def end(signal_number: int, frame: FrameType | None) -> None:
        sys.stderr.write(f"Error: {STOPPED}\n")
        sys.stderr.flush()
        os._exit(128 + signal_number)

    _handle(end)


def raise_stopped() -> None:
    """From now on raise :class:`Stopped`, so that what was begun is ended in order."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        _stopped.append(Stopped(signal_number))
        raise _stopped[-1]

    _stopped.clear()
    sys.unraisablehook = _tell_unless_stopped
    _handle(stop)


def _tell_unless_stopped(unraisable: sys.UnraisableHookArgs) -> None:
    """Say nothing of a :class:`Stopped` that no code can catch: it is raised again."""
    if not isinstance(unraisable.exc_value, Stopped):
        sys.__unraisablehook__(unraisable)


def raise_if_swallowed() -> None:
    """Raise :class:`Stopped` again if it was raised before and some library has caught it.

    Raises:
        Stopped: it was.
    """
    if _stopped:
        raise _stopped[-1]


def ignore_further() -> None:
    """While things are put in order, do not be stopped again."""
    _handle(signal.SIG_IGN)


def _handle(handler: object) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, handler)  # type: ignore[arg-type]
