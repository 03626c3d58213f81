"""How much a server takes on."""

from __future__ import annotations

from dataclasses import dataclass

from anomalous_sound.serving.judging import Bounds


@dataclass(frozen=True)
class Limits:
    """How much a server takes on, so that no client can use up memory, disk or time.

    Attributes:
        max_bytes: of a request.
        max_seconds: of sound in it.
        timeout_s: from the first byte of a request to its answer.
        workers: recordings judged at once.
        waiting: requests that are received or wait beside those judged; more are sent away.
    """

    max_bytes: int
    max_seconds: float
    timeout_s: float
    workers: int
    waiting: int

    @property
    def sound(self) -> Bounds:
        """Of a recording: at most one sample a byte, so that decoding unpacks little."""
        return Bounds(self.max_seconds, self.max_bytes)
