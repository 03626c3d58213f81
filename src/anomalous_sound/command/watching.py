"""What a watch says: verdicts, heartbeats, and what is wrong with the sensor."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from anomalous_sound.command.lines import Tally, printable, stands_out
from anomalous_sound.command.outputs import Outputs
from anomalous_sound.corpus.decode import Recording
from anomalous_sound.corpus.segments import clock_time
from anomalous_sound.decision.detector import Identity
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.delivery.event import Event, new_event, to_line


class Sensor(StrEnum):
    """What is wrong where a clip could not be judged; it is never counted as normal."""

    SILENCE = "silence"
    UNREADABLE = "unreadable"
    STALL = "stall"
    GONE = "gone"
    GAP = "gap"


class Watch:
    """Counts and prints what is heard."""

    def __init__(
        self,
        identity: Identity,
        emit: Callable[[str], None],
        outputs: Outputs | None = None,
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
            outputs: where events go beside it.
            as_json: whether lines are JSON.
            stalled_after_s: how long nothing may be heard before it is a stall, s.
            heartbeat_s: from one heartbeat to the next, s.
            clock: tells the time, s.
        """
        self._identity = identity.model_dump(mode="json")
        self._emit, self._as_json, self._clock = emit, as_json, clock
        self._outputs, self._is_gone = outputs or Outputs(), False
        self._stalled_after_s, self._heartbeat_s = stalled_after_s, heartbeat_s
        self._last_heard = self._last_told = self._last_beat = clock()
        self.tally = Tally()

    def heard(self) -> None:
        """Take note that something has arrived."""
        self._last_heard = self._last_told = self._clock()

    def result(self, result: Verdict | Rejection, *, recording: Recording | None = None) -> None:
        """Tell of a verdict, or of a clip that could not be judged.

        Args:
            result: what was said of the clip.
            recording: the clip; None: it can be read from the verdict's source.
        """
        if isinstance(result, Rejection):
            kind = Sensor.SILENCE if result.is_silent else Sensor.UNREADABLE
            self.sensor(kind, result.source, result.reason, result.start_s)
            return
        self.tally.add(result)
        threshold = "" if result.threshold is None else f", threshold {result.threshold:.4g}"
        places = f"; {stands_out(result)}" if result.is_anomalous else ""
        places += "".join(f"; {note}" for note in result.notes)
        place = f"{result.source} at {clock_time(result.start_s)}"
        text = f"{result.decision}: {place} (score {result.score:.4g}{threshold}{places})"
        event = new_event("verdict", {**result.to_json(), "detector": self._identity})
        if result.is_anomalous:
            text += f"; id {event['id']}"
            self._outputs.keep(event, result, recording)
        self._tell(event, text)

    def sensor(self, kind: Sensor, source: Path, reason: str, start_s: float = 0.0) -> None:
        """Tell that something could not be judged, or that nothing comes."""
        if kind in (Sensor.SILENCE, Sensor.UNREADABLE):
            self.tally.not_judged += 1
        self._is_gone = self._is_gone or kind == Sensor.GONE
        values = {"kind": kind, **Rejection(source, reason, start_s).to_json()}
        text = f"SENSOR {kind}: {source} at {clock_time(start_s)}: {reason}"
        self._tell(new_event("sensor", values), text)

    def back(self, kind: Sensor) -> None:
        """Tell that the source is there again, if it was gone."""
        if kind == Sensor.GONE and self._is_gone:
            self._is_gone = False
            self._tell(new_event("sensor_well", {"kind": kind}), f"sensor well again: no {kind}")

    def notice(self, about: str, what: str) -> None:
        """Tell of something beside the sound, such as a receiver that cannot be reached."""
        values = {"about": about, "reason": what}
        self._tell(new_event("notice", values), f"NOTICE {about}: {what}")

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
        self._tell_troubles()

    def end(self) -> None:
        """Tell that the watch has ended, and deliver what is soon delivered."""
        self._counts("end", {})
        self._outputs.flush()
        self._tell_troubles()

    def _counts(self, event: str, more: dict[str, int]) -> None:
        counts = self.tally.counts() | more
        text = f"{event}: " + ", ".join(f"{n} {key}" for key, n in counts.items())
        self._tell(new_event(event, counts), text)

    def _tell(self, event: Event, text: str) -> None:
        """Tell of an event: all that is told passes here.

        Args:
            event: the event.
            text: the same for people.
        """
        self._outputs.put(event)  # before anything can go wrong with standard output
        self._emit(to_line(event) if self._as_json else printable(f"{event['at']}  {text}"))
        self._tell_troubles()

    def _tell_troubles(self) -> None:
        for about, what in self._outputs.troubles():
            self.notice(about, what)
