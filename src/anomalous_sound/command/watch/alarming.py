"""Alarms and drifts of a watch, told machine by machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from anomalous_sound.corpus.names import shown
from anomalous_sound.corpus.segments import clock_time, recording_of
from anomalous_sound.decision.alarms import AlarmState, Change, Looks, Step
from anomalous_sound.decision.dependence import DependenceCheck
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.drift import DriftMonitor
from anomalous_sound.decision.promise import AlarmRule, Wish, find_rule, in_time
from anomalous_sound.decision.sensor import Doubt
from anomalous_sound.decision.verdict import Verdict
from anomalous_sound.errors import InputError
from anomalous_sound.vocabulary import Decision


@dataclass(frozen=True)
class Event:
    """Something to tell.

    Attributes:
        name: of the event.
        text: in words.
        values: for programs.
    """

    name: str
    text: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Terms:
    """What the user asks for.

    Attributes:
        false_alarm_every_s: one false alarm in so long at most, s; None: no alarms, only verdicts.
        false_drift_every_s: the same of drifts; None: drift is not watched.
        within_s: how long a lasting fault may sound before the alarm, s.
        independent_after_s: from which distance on segments are taken to be independent, s; None:
            from none.
        recover_after: normal segments in a row that end an alarm.
        segment_s: the length of a segment that the user gives, s; None: the detector's.
        rate: of the votes among normal segments; None: as suits best.
    """

    false_alarm_every_s: float | None
    false_drift_every_s: float | None
    within_s: float
    independent_after_s: float | None
    recover_after: int
    segment_s: float | None
    rate: float | None

    @property
    def is_asked_for(self) -> bool:
        """Whether there is anything to watch over."""
        return self.false_alarm_every_s is not None or self.false_drift_every_s is not None

    def spacing_s(self, detector: Detector) -> float:
        """Return how far looks are apart: a segment at least, so that they do not overlap.

        Raises:
            InputError: neither the detector nor the user says how long a segment is.
        """
        segment_s = self.segment_s or detector.description.corpus.segment_s
        if segment_s is None:
            raise InputError(
                "the detector was not trained on clips of one length, so say how long a segment "
                "is, to count how many there are in a day: --segment S."
            )
        return max(segment_s, self.independent_after_s or 0.0)


class _Machine:
    """One machine: how much of it was heard, its alarm and its drift."""

    def __init__(self, alarm: AlarmState | None, drift: DriftMonitor | None, looks: Looks) -> None:
        self.alarm, self.drift, self.looks = alarm, drift, looks
        self.dependence = DependenceCheck()
        self.began_s = 0.0
        self.suppressed = 0
        self._source: Path | None = None
        self._start_s = self._before_s = self._heard_s = 0.0
        self._written_at: float | None = None

    def begins_s(self, verdict: Verdict, written_at: float | None) -> float:
        """Return when a segment begins, s since the first one.

        Files follow each other without a pause, or with the pause that their times of change say:
        copies have the same time, but sound takes its time.
        """
        if verdict.source != self._source or verdict.start_s < self._start_s:
            paused = self._before_s
            if written_at is not None and self._written_at is not None:
                paused += written_at - self._written_at
            self._source, self._before_s = verdict.source, max(self._heard_s, paused)
            self._written_at = written_at
        self._start_s = verdict.start_s
        begins_s = self._before_s + verdict.start_s
        self._heard_s = max(self._heard_s, begins_s + verdict.duration_s)
        return begins_s


class Alarms:
    """Turns verdicts into alarms and drifts; keeps the state of each machine."""

    def __init__(
        self, detector: Detector, terms: Terms, rule: AlarmRule | None, spacing_s: float
    ) -> None:
        """Begin with all well; see :func:`arm`."""
        self._detector, self._terms, self.rule = detector, terms, rule
        self._spacing_s = spacing_s
        self._assumes_independence = (
            terms.independent_after_s is not None or terms.false_drift_every_s is not None
        )
        self._machines: dict[str, _Machine] = {}
        self.counts = {"alarms": 0, "suppressed": 0, "drifts": 0, "broken_promises": 0}

    @property
    def on(self) -> list[str]:
        """The machine IDs whose alarm is on."""
        found = self._machines.items()
        return [name for name, one in found if one.alarm is not None and one.alarm.is_on]

    def hear(
        self, verdict: Verdict, doubts: Sequence[Doubt], written_at: float | None = None
    ) -> Iterator[Event]:
        """Take a verdict; yield what there is to tell.

        Args:
            verdict: of a segment.
            doubts: about the sensor.
            written_at: when its file was written, s since any moment; None: it is of a stream.
        """
        if verdict.threshold is None:
            return  # undecided, as its line says
        machine = self._machine(verdict.machine_id)
        at_s = machine.begins_s(verdict, written_at)
        is_look = machine.looks.take(at_s)
        above = verdict.score >= verdict.threshold
        forbidding = "; ".join(
            f"{one.kind}: {one.reason}" for one in doubts if one.kind.forbids_votes
        )
        if machine.alarm is not None:
            foreign = verdict.is_foreign and not above
            doubt = forbidding or (
                "foreign sound; only scores above the threshold vote" if foreign else ""
            )
            step = machine.alarm.step(above, is_look=is_look, doubt=doubt)
            yield from self._told(verdict, machine, step, doubt if foreign else "", at_s)
        if not is_look:
            return
        if verdict.decision != Decision.NORMAL or forbidding:
            machine.dependence.gap()
            return
        if machine.drift is not None:
            yield from self._drifted(verdict, machine.drift)
        if self._assumes_independence:
            yield from self._checked(verdict, machine.dependence)

    def miss(self, machine_id: str) -> None:
        """Take note that a segment of a machine could not be judged."""
        machine = self._machines.get(machine_id)
        if machine is None:
            return
        machine.dependence.gap()
        if machine.alarm is not None:
            machine.alarm.miss()

    def _machine(self, machine_id: str) -> _Machine:
        if machine_id not in self._machines:
            terms, drift = self._terms, None
            if terms.false_drift_every_s is not None:
                drift = DriftMonitor(
                    self._detector.calibration.values(machine_id),
                    self._detector.thresholds.of(machine_id),
                    looks=terms.false_drift_every_s / self._spacing_s,
                    rng=np.random.default_rng(0),
                )
            alarm = AlarmState(self.rule, terms.recover_after) if self.rule is not None else None
            self._machines[machine_id] = _Machine(alarm, drift, Looks(self._spacing_s))
        return self._machines[machine_id]

    def _told(
        self, verdict: Verdict, machine: _Machine, step: Step, foreign: str, at_s: float
    ) -> Iterator[Event]:
        place = _place(verdict)
        known = {
            **_where(verdict),
            **{"votes": step.votes, "looks": step.looks},
        }
        if why := step.suppressed or foreign:
            self.counts["suppressed"] += 1
            machine.suppressed += 1
            said = f"suppressed: {place} (score {verdict.score:.4g}): {why}"
            yield Event("suppressed", said, {**known, "reason": why})
        if step.change == Change.BEGINS:
            self.counts["alarms"] += 1
            machine.began_s, machine.suppressed = at_s, 0
            said = (
                f"ALARM: {place}: {step.votes} of the last {step.looks} looks above the threshold"
            )
            yield Event("alarm", said, known)
        elif step.change == Change.ENDS:
            lasted_s = at_s - machine.began_s
            said = (
                f"recovered: {place}: {step.normal_in_a_row} normal segments in a row, "
                f"{in_time(lasted_s)} after the alarm; above the threshold in between: "
                f"{machine.suppressed}"
            )
            more = {
                "normal_in_a_row": step.normal_in_a_row,
                "lasted_s": lasted_s,
                "suppressed": machine.suppressed,
            }
            yield Event("recovered", said, {**_where(verdict), **more})

    def _drifted(self, verdict: Verdict, monitor: DriftMonitor) -> Iterator[Event]:
        found = monitor.add(verdict.score)
        if found is None:
            return
        self.counts["drifts"] += 1
        how = "higher" if found.higher else "lower"
        said = (
            f"DRIFT: {_place(verdict)}: normal sound scores {how} than it did, over the last "
            f"{found.looks} normal looks; no fault: record normal sound, and recalibrate "
            "(anomalous-sound recalibrate)"
        )
        values = {"direction": how, "advice": "recalibrate", **asdict(found)}
        values.pop("higher")
        yield Event("drift", said, {**_where(verdict), **values})

    def _checked(self, verdict: Verdict, check: DependenceCheck) -> Iterator[Event]:
        found = check.add(verdict.score)
        if found is None:
            return
        self.counts["broken_promises"] += 1
        said = (
            f"PROMISE BROKEN: {_place(verdict)}: segments {in_time(self._spacing_s)} apart are not "
            f"independent (correlation {found.correlation:.2f} over {found.looks} looks), so there "
            "may be more false alarms and drifts; give a longer --independent-after, or leave it "
            "out"
        )
        yield Event("promise_broken", said, {**_where(verdict), **asdict(found)})


def arm(
    detector: Detector, terms: Terms, machine_ids: Sequence[str] | None = None
) -> tuple[Detector, Alarms, Event]:
    """Derive the rule that keeps what is promised.

    Args:
        detector: what is to judge.
        terms: what the user asks for.
        machine_ids: those that will be heard; None: all that are calibrated.

    Returns:
        The detector with the thresholds of the rule, from the clips of each machine ID; what turns
        its verdicts into alarms; and what is promised, to be told.

    Raises:
        InputError: the calibration clips cannot carry the promise.
    """
    spacing_s = terms.spacing_s(detector)
    names = sorted(set(detector.calibration.machine_ids))
    heard = names if machine_ids is None else [one for one in names if one in machine_ids]
    if not heard:
        raise InputError(
            f"nothing can be promised: no normal clip of machine ID {', '.join(machine_ids or [])} "
            "has calibrated the detector; give another --machine-id, or calibrate with clips of "
            "this one (anomalous-sound recalibrate)."
        )
    clips = {name: len(detector.calibration.values(name)) for name in heard}
    rule = None
    if terms.false_alarm_every_s is not None:
        wish = Wish(
            every_s=terms.false_alarm_every_s,
            within_s=terms.within_s,
            spacing_s=spacing_s,
            independent=terms.independent_after_s is not None,
            rate=terms.rate,
        )
        rule = find_rule(clips, wish)
        chosen = replace(detector, calibration=detector.calibration.only(heard))
        # what is foreign does not vote
        detector = chosen.at_rate(rule.rate, per="machine_id", by_score=True)
    return (
        detector,
        Alarms(detector, terms, rule, spacing_s),
        _promise(detector, terms, rule, clips, spacing_s),
    )


def _promise(
    detector: Detector,
    terms: Terms,
    rule: AlarmRule | None,
    clips: dict[str, int],
    spacing_s: float,
) -> Event:
    said = []
    values: dict[str, Any] = {"spacing_s": spacing_s, "clips": clips}
    of = ", ".join(
        f"{count} normal clips" + f" of machine ID {name}" * bool(name)
        for name, count in clips.items()
    )
    if rule is not None and terms.false_alarm_every_s is not None:
        assumed = (
            f"segments {in_time(spacing_s)} apart, and the normal clips, are independent draws of "
            "one normal sound"
            if terms.independent_after_s is not None
            else "each segment is like the normal clips, whatever neighbours have to do with each "
            "other"
        )
        said.append(
            f"An alarm: {rule.needed} of the last {rule.window} looks (one segment every "
            f"{in_time(rule.spacing_s)}) at or above the threshold for {100 * rule.rate:.3g} in "
            f"100 normal segments; it ends after {terms.recover_after} normal segments in a row."
        )
        other_length = _other_length(detector, terms)
        why = ["the detector was calibrated in folds"] * detector.calibration.in_folds
        why += [other_length] * bool(other_length)
        then = "once recalibrated" + " with clips as long as segments" * bool(other_length)
        proof = (
            f"This is not proven, as {' and '.join(why)}; {then}, it is"
            if why
            else "This is proven"
        )
        said.append(
            "Promised for each machine ID, on average, while all is well: at most one false alarm "
            f"in {in_time(terms.false_alarm_every_s)}. {proof}, if {assumed} "
            f"({of})."
        )
        values |= {
            "false_alarm_every_s": terms.false_alarm_every_s,
            "assumes": "independence" if terms.independent_after_s is not None else "nothing",
            "proven": not why,
            "recover_after": terms.recover_after,
            **asdict(rule),
        }
        recordings = len(set(map(recording_of, detector.calibration.clip_ids)))
        if recordings < sum(clips.values()):
            said.append(
                f"But the normal clips were cut from {recordings} "
                f"recording{'s' * (recordings != 1)}: clips of one hang together, which is not "
                "counted; the more recordings, the better it holds."
            )
        values["recordings"] = recordings
    if terms.false_drift_every_s is not None:
        said.append(
            f"Drift: at most one false one in {in_time(terms.false_drift_every_s)}, if "
            f"segments {in_time(spacing_s)} apart and the normal clips are independent draws of "
            "one normal sound."
        )
        values["false_drift_every_s"] = terms.false_drift_every_s
    return Event("promise", " ".join(said), {**values, "said": said})


def _other_length(detector: Detector, terms: Terms) -> str:
    """Say that segments are not as long as the normal clips; empty if they are."""
    if detector.sound.durations_s is None or terms.segment_s is None:
        return ""
    shortest_s, longest_s = (round(seconds, 1) for seconds in detector.sound.durations_s)
    segment_s = round(terms.segment_s, 1)
    if shortest_s <= segment_s <= longest_s:
        return ""
    usual = f"{shortest_s:.1f}" + f" to {longest_s:.1f}" * (shortest_s < longest_s)
    return f"segments last {segment_s:.1f} s and normal clips {usual} s"


def _place(verdict: Verdict) -> str:
    machine = f"machine ID {verdict.machine_id}, " if verdict.machine_id else ""
    return f"{machine}{shown(verdict.source)} at {clock_time(verdict.start_s)}"


def _where(verdict: Verdict) -> dict[str, Any]:
    values = verdict.to_json()
    kept = ("source", "start_s", "machine_id", "score", "threshold")
    return {name: values[name] for name in kept}
