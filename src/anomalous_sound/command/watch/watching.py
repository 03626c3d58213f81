"""What a watch says: verdicts, alarms, drifts, heartbeats, and what is wrong with the sensor."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from anomalous_sound.command.lines import Tally, printable, stands_out
from anomalous_sound.command.watch.alarming import Alarms, Event
from anomalous_sound.command.watch.outputs import Outputs
from anomalous_sound.corpus.decode import Recording
from anomalous_sound.corpus.names import shown
from anomalous_sound.corpus.segments import clock_time
from anomalous_sound.decision.identity import Identity
from anomalous_sound.decision.sensor import Doubt, Sensor, doubts, level_db
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.delivery.event import new_event, to_line

EXIT_SENSOR = 4


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
        alarms: Alarms | None = None,
        ends_on_sensor: bool = False,
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
            alarms: what turns verdicts into alarms and drifts; None: verdicts are told alone.
            ends_on_sensor: whether the watch is over when something is wrong with the sensor.
            clock: tells the time, s.
        """
        self._identity = identity.model_dump(mode="json")
        self._emit, self._as_json, self._clock = emit, as_json, clock
        self._outputs = outputs or Outputs()
        self._stalled_after_s, self._heartbeat_s = stalled_after_s, heartbeat_s
        self._last_heard = self._last_told = self._last_beat = clock()
        self._alarms, self._ends_on_sensor = alarms, ends_on_sensor
        # what is wrong with the sensor, of which machine ID (empty: of all), and since when, s
        self._wrong: dict[tuple[str, Sensor], float] = {}
        self._levels_db: dict[str, float | None] = {}
        self.tally = Tally()
        self.is_over = False

    @property
    def exit_code(self) -> int:
        """As of the tally; where alarms are watched for, 1 means that there was one."""
        if self.is_over:
            return EXIT_SENSOR
        if self._alarms is None or self._alarms.rule is None:
            return self.tally.exit_code
        if self._alarms.counts["alarms"]:
            return 1
        return 0 if self.tally.normal + self.tally.anomalous else 3

    def heard(self) -> None:
        """Take note that something has arrived."""
        self._last_heard = self._last_told = self._clock()
        self._well("", Sensor.STALL)

    def result(
        self,
        result: Verdict | Rejection,
        *,
        recording: Recording | None = None,
        has_gap: bool = False,
        written_at: float | None = None,
    ) -> None:
        """Tell of a verdict, or of a clip that could not be judged.

        Args:
            result: of the clip.
            recording: the clip; None: it can be read from the verdict's source.
            has_gap: whether the stream paused within it.
            written_at: when its file was written, s; None: it is of a stream.
        """
        if isinstance(result, Rejection):
            kind = Sensor.SILENCE if result.is_silent else Sensor.UNREADABLE
            self.sensor(kind, result.source, result.reason, result.start_s, result.machine_id)
            if self._alarms is not None:
                self._alarms.miss(result.machine_id)
            return
        machine_id = result.machine_id
        found = doubts(result, level_before_db=self._levels_db.get(machine_id))
        if has_gap:
            found.append(Doubt(Sensor.GAP, "the sound paused within this segment"))
        self._levels_db[machine_id] = level_db(result)
        self._no_longer(machine_id, found)
        self.tally.add(result, is_doubtful=bool(found))
        self._verdict(result, recording, found)
        for one in found:
            self._begins(one, result)
        if self._alarms is not None:
            for event in self._alarms.hear(result, found, written_at):
                self.event(event)

    def event(self, event: Event) -> None:
        """Tell of what became of verdicts: an alarm, a recovery, a drift."""
        told = new_event(event.name, event.values)
        wants_feedback = event.name == "alarm"
        self._hand_on(told, f"{event.text}; id {told['id']}" if wants_feedback else event.text)

    def notice(self, about: str, what: str) -> None:
        """Tell of something beside the sound, such as a receiver that cannot be reached."""
        self._tell("notice", {"about": about, "reason": what}, f"NOTICE {about}: {what}")

    def sensor(
        self, kind: Sensor, source: Path, reason: str, start_s: float = 0.0, machine_id: str = ""
    ) -> None:
        """Tell that something could not be judged, or that nothing comes."""
        if kind in (Sensor.SILENCE, Sensor.UNREADABLE):
            self.tally.not_judged += 1
        self._wrong.setdefault((machine_id, kind), self._clock())
        self.is_over = self.is_over or self._ends_on_sensor
        said = Rejection(source, reason, start_s).to_json()
        text = f"SENSOR {kind}: {shown(source)} at {clock_time(start_s)}: {reason}"
        self._tell("sensor", {"kind": kind, **said, "machine_id": machine_id}, text)

    def back(self, kind: Sensor) -> None:
        """Take note that what was wrong with the source is so no longer."""
        self._well("", kind)

    def check_stall(self, source: Path) -> bool:
        """Tell if nothing has been heard for too long, and again after as long.

        Returns:
            Whether nothing has been heard for too long.
        """
        moment = self._clock()
        if moment - self._last_told >= self._stalled_after_s:
            self._last_told = moment
            silent_s = moment - self._last_heard
            self.sensor(Sensor.STALL, source, f"nothing has come for {silent_s:.0f} s")
        return ("", Sensor.STALL) in self._wrong

    def beat(self, waiting: int) -> None:
        """Tell that the watch goes on, if it is time.

        Args:
            waiting: files that have been found and not been judged.
        """
        moment = self._clock()
        if moment - self._last_beat >= self._heartbeat_s:
            self._last_beat = moment
            self._counts("heartbeat", {"waiting": waiting})
        self._outputs.refresh()
        self._tell_troubles()

    def end(self, reason: str) -> None:
        """Tell that the watch has ended, and why; deliver what is soon delivered."""
        self._counts("end", {"reason": reason})
        self._outputs.refresh(at_end=True)
        self._outputs.flush()
        self._tell_troubles()

    def _verdict(self, verdict: Verdict, recording: Recording | None, found: list[Doubt]) -> None:
        kinds = [str(one.kind) for one in found]
        threshold = "" if verdict.threshold is None else f", threshold {verdict.threshold:.4g}"
        places = f"; {stands_out(verdict)}" if verdict.is_anomalous else ""
        places += "".join(f"; {note}" for note in verdict.notes)
        places += f"; sensor: {', '.join(kinds)}" if kinds else ""
        place = f"{shown(verdict.source)} at {clock_time(verdict.start_s)}"
        text = f"{verdict.decision}: {place} (score {verdict.score:.4g}{threshold}{places})"
        event = new_event(
            "verdict", {**verdict.to_json(), "sensor": kinds, "detector": self._identity}
        )
        if verdict.is_anomalous:
            text += f"{self._on_feedback()}; id {event['id']}"
        self._outputs.judged(event, verdict, recording)
        self._hand_on(event, text)

    def _on_feedback(self) -> str:
        """Say once how to tell what an anomalous clip was."""
        if self._outputs.keeper is None or self.tally.anomalous != 1:
            return ""
        kept = shlex.quote(str(self._outputs.keeper.folder))
        return (
            "; the clip is kept: to say what such a clip was, anomalous-sound feedback ID "
            f"--kept {kept} --normal or --fault"
        )

    def _begins(self, doubt: Doubt, verdict: Verdict) -> None:
        """Tell of a doubt once, until it is gone: each verdict names it."""
        if (verdict.machine_id, doubt.kind) not in self._wrong:
            place = verdict.source or Path()
            self.sensor(doubt.kind, place, doubt.reason, verdict.start_s, verdict.machine_id)

    def _no_longer(self, machine_id: str, found: list[Doubt]) -> None:
        """Tell what a clip that could be judged shows to be well again."""
        still = {one.kind for one in found} | {Sensor.STALL, Sensor.GONE}  # of the source
        for machine, kind in list(self._wrong):
            if machine in ("", machine_id) and kind not in still:
                self._well(machine, kind)

    def _well(self, machine_id: str, kind: Sensor) -> None:
        since = self._wrong.pop((machine_id, kind), None)
        if since is None:
            return
        lasted_s = self._clock() - since
        values = {"kind": kind, "machine_id": machine_id, "lasted_s": round(lasted_s, 3)}
        whose = f" of machine ID {machine_id}" if machine_id else ""
        text = f"sensor well again{whose}: '{kind}' is over, after {lasted_s:.0f} s"
        self._tell("sensor_well", values, text)

    def _counts(self, event: str, more: Mapping[str, object]) -> None:
        counts = self.tally.counts() | {"doubtful": self.tally.doubtful}
        wrong = sorted({str(kind) for _, kind in self._wrong})
        on: list[str] = []
        if self._alarms is not None:
            counts |= self._alarms.counts
            on = self._alarms.on
        said = ", ".join(f"{n} {key.replace('_', ' ')}" for key, n in counts.items())
        said += "".join(f"; {key}: {value}" for key, value in more.items())
        said += f"; sensor: {', '.join(wrong)}" if wrong else ""
        said += f"; alarm on: {', '.join(on)}" if on else ""
        values = {**counts, **more, "sensor": wrong, "alarms_on": on}
        self._tell(event, values, f"{event}: {said}")

    def _tell(self, event: str, values: Mapping[str, object], text: str) -> None:
        self._hand_on(new_event(event, values), text)

    def _hand_on(self, event: Mapping[str, Any], text: str) -> None:
        """Tell of an event: all that is told passes here.

        Args:
            event: the event.
            text: the same for people.
        """
        self._outputs.put(event, text)  # before anything can go wrong with standard output
        self._emit(to_line(event) if self._as_json else printable(f"{event['at']}  {text}"))
        self._tell_troubles()

    def _tell_troubles(self) -> None:
        for about, what in self._outputs.troubles():
            self.notice(about, what)
