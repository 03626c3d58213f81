"""What a watch says: verdicts, heartbeats, and what is wrong with the sensor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path

from anomalous_sound.command.lines import Tally, json_line, now, stands_out
from anomalous_sound.corpus.segments import clock_time
from anomalous_sound.decision.detector import Identity
from anomalous_sound.decision.verdict import Rejection, Verdict


class Sensor(StrEnum):
    """What is wrong where a clip could not be judged; it is never counted as normal."""

    SILENCE = "silence"
    UNREADABLE = "unreadable"
    STALL = "stall"


class Watch:
    """Counts and prints what is heard."""

    def __init__(
        self,
        identity: Identity,
        emit: Callable[[str], None],
        *,
        as_json: bool,
        stalled_after_s: float,
        heartbeat_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing heard.

        Args:
            identity: of the detector.
            emit: prints a line.
            as_json: whether lines are JSON.
            stalled_after_s: how long nothing may be heard before it is a stall, s.
            heartbeat_s: from one heartbeat to the next, s.
            clock: tells the time, s.
        """
        self._identity = identity.model_dump(mode="json")
        self._emit, self._as_json, self._clock = emit, as_json, clock
        self._stalled_after_s, self._heartbeat_s = stalled_after_s, heartbeat_s
        self._last_heard = self._last_told = self._last_beat = clock()
        self.tally = Tally()

    def heard(self) -> None:
        """Take note that something has arrived."""
        self._last_heard = self._last_told = self._clock()

    def result(self, result: Verdict | Rejection) -> None:
        """Tell of a verdict, or of a clip that could not be judged."""
        if isinstance(result, Rejection):
            kind = Sensor.SILENCE if result.is_silent else Sensor.UNREADABLE
            self.sensor(kind, result.source, result.reason, result.start_s)
            return
        self.tally.add(result)
        if self._as_json:
            self._line("verdict", {**result.to_json(), "detector": self._identity})
            return
        threshold = "" if result.threshold is None else f", threshold {result.threshold:.4g}"
        places = f"; {stands_out(result)}" if result.is_anomalous else ""
        places += "".join(f"; {note}" for note in result.notes)
        place = f"{result.source} at {clock_time(result.start_s)}"
        self._text(f"{result.decision}: {place} (score {result.score:.4g}{threshold}{places})")

    def sensor(self, kind: Sensor, source: Path, reason: str, start_s: float = 0.0) -> None:
        """Tell that something could not be judged, or that nothing comes."""
        if kind != Sensor.STALL:
            self.tally.not_judged += 1
        if self._as_json:
            self._line("sensor", {"kind": kind, **Rejection(source, reason, start_s).to_json()})
        else:
            self._text(f"SENSOR {kind}: {source} at {clock_time(start_s)}: {reason}")

    def check_stall(self, source: Path) -> None:
        """Tell if nothing has been heard for too long, and again after as long."""
        moment = self._clock()
        if moment - self._last_told >= self._stalled_after_s:
            self._last_told = moment
            silent_s = moment - self._last_heard
            self.sensor(Sensor.STALL, source, f"nothing has come for {silent_s:.0f} s")

    def beat(self, waiting: int) -> None:
        """Tell that the watch goes on, if it is time.

        Args:
            waiting: files that have been found and not been judged.
        """
        moment = self._clock()
        if moment - self._last_beat >= self._heartbeat_s:
            self._last_beat = moment
            self._counts("heartbeat", {"waiting": waiting})

    def end(self) -> None:
        """Tell that the watch has ended."""
        self._counts("end", {})

    def _counts(self, event: str, more: dict[str, int]) -> None:
        counts = self.tally.counts() | more
        if self._as_json:
            self._line(event, counts)
        else:
            self._text(f"{event}: " + ", ".join(f"{n} {key}" for key, n in counts.items()))

    def _line(self, event: str, values: Mapping[str, object]) -> None:
        self._emit(json_line(event, {"at": now(), **values}))

    def _text(self, text: str) -> None:
        self._emit(f"{now()}  {text}")
