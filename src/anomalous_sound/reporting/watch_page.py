"""The page of a watch: what it has heard so far, with the clips that were anomalous."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from anomalous_sound.configuration.reporting import PageSettings
from anomalous_sound.corpus.names import printable, shown
from anomalous_sound.corpus.segments import clock_time
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.explanation import Explanation
from anomalous_sound.decision.promise import in_time
from anomalous_sound.decision.sensor import Sensor
from anomalous_sound.decision.verdict import Verdict
from anomalous_sound.features.frames import Frames
from anomalous_sound.reporting.detector_facts import (
    detector_facts,
    identity_facts,
    program_versions,
)
from anomalous_sound.reporting.facts import machine_id_names
from anomalous_sound.reporting.pages import render_html
from anomalous_sound.reporting.shown_clips import ShownClip, ShownClips, show_clips
from anomalous_sound.reporting.sound_page import grouped, named_bands
from anomalous_sound.scoring.events import EVENT_COLUMNS
from anomalous_sound.vocabulary import Decision

_KINDS = {"foreign": "foreign sound or a new fault"}  # in words, where the name says too much


@dataclass(frozen=True)
class AnomalousClip:
    """An anomalous clip of a watch.

    Attributes:
        event: its verdict, as it was told: ``id, at, sensor`` are read.
        verdict: what was said of it.
        explanation: where it deviates.
        has_alarm: whether an alarm is about it.
    """

    event: Mapping[str, Any]
    verdict: Verdict
    explanation: Explanation
    has_alarm: bool

    @property
    def clip_id(self) -> str:
        """Its name on the page: the ID by which feedback is given."""
        return str(self.event["id"])


@dataclass
class Heard:
    """What a watch has heard and told so far.

    Attributes:
        place: what is watched.
        is_stream: whether that is sound without files.
        began: when the watch began (ISO 8601).
        until: when it heard or told something last.
        seconds: of sound that was judged.
        segments: how many were judged, by decision; those that are in doubt are ``doubtful``.
        machine_ids: of the segments.
        events: how many of each were told: ``alarm, suppressed, drift, promise_broken``, …
        sensor: how often the sensor was in doubt, by kind.
        alarms_on: the machine IDs whose alarm is on.
        promise: what is promised, in words.
        rests_on: what that rests on, in sentences.
        watches_for: ``alarm`` and ``drift``, as far as they are watched for.
        ended: why it has ended; empty: it goes on.
    """

    place: str
    is_stream: bool
    began: str
    until: str
    promise: str
    rests_on: Sequence[str] = ()
    seconds: float = 0.0
    segments: dict[str, int] = field(default_factory=dict)
    machine_ids: set[str] = field(default_factory=set)
    events: dict[str, int] = field(default_factory=dict)
    sensor: dict[str, int] = field(default_factory=dict)
    alarms_on: set[str] = field(default_factory=set)
    watches_for: frozenset[str] = frozenset()
    ended: str = ""


def watch_page(
    heard: Heard,
    clips: Sequence[AnomalousClip],
    happened: Sequence[tuple[str, str]],
    *,
    which: str,
    told: int,
    detector: Detector,
    kept: Path | None,
    page: PageSettings,
) -> str:
    """Write the page.

    Args:
        heard: what was heard and told.
        clips: those with a player, in their order.
        happened: what was told, beside verdicts: time (ISO 8601) and words, the newest first.
        which: which clips ``clips`` are, in a sentence.
        told: how many there were to tell, in all.
        detector: what judges.
        kept: the folder in which the clips wait for feedback; None: they are not kept.
        page: of the page.

    Returns:
        HTML that fetches nothing.
    """
    shown = _shown(clips, detector, page)
    return render_html(
        "watch_page.html.j2",
        name=PurePath(heard.place).name,
        place=heard.place,
        state=_state(heard),
        lines={
            "Heard": _heard(heard, detector),
            "Alarms": _alarms(heard),
            "Promised": heard.promise,
        },
        filters=_filters(clips),
        which=which,
        cards=[
            _card(one, clip, is_stream=heard.is_stream)
            for one, clip in zip(clips, shown.clips, strict=True)
        ],
        gain_db=shown.gain_db,
        happened=[(_clock(at), text) for at, text in happened],
        told=told,
        rests_on=heard.rests_on,
        kept=None if kept is None else _quoted(kept),
        versions=program_versions() | identity_facts(detector.identity),
        **detector_facts(detector.description, detector.score),
    )


def _quoted(kept: Path) -> str:
    """Name a folder for a command: in any working folder, and whatever detectors there are."""
    return shlex.quote(shown(kept.absolute()))


def _shown(clips: Sequence[AnomalousClip], detector: Detector, page: PageSettings) -> ShownClips:
    found = {one.clip_id: one.explanation for one in clips}
    events = [{"clip_id": name, **event} for name, one in found.items() for event in one.events]
    return show_clips(
        list(found),
        samples=lambda name: found[name].samples,
        maps=lambda name: (found[name].deviations, found[name].times_s),
        frames=Frames.in_memory({name: one.frames for name, one in found.items()}),
        events=pd.DataFrame(events, columns=EVENT_COLUMNS),
        features=detector.description.features,
        settings=page,
    )


def _card(one: AnomalousClip, clip: ShownClip, *, is_stream: bool) -> dict[str, Any]:
    verdict, at = one.verdict, _clock(one.event["at"])
    within = clock_time(verdict.start_s)
    place = f"{within} after the start"
    title = at
    if not is_stream and verdict.source is not None:
        title = printable(verdict.source.name) + (f" at {within}" if verdict.start_s else "")
        place = f"judged at {at}; {shown(verdict.source)}"
    return {
        "clip": clip,
        "title": title,
        "place": place,
        "alarm": "yes" if one.has_alarm else "no",
        # a foreign clip has a note, and may be the machine
        "sensor": [kind for kind in one.event.get("sensor", []) if kind != Sensor.FOREIGN],
        "notes": list(verdict.notes),
        "decision": str(verdict.decision),
        "events": grouped(clip.events),
        "bands": named_bands((band.low_hz + band.high_hz) / 2 for band in verdict.bands),
        **{name: getattr(verdict, name) for name in ("score", "threshold", "p_value")},
        "machine_id": verdict.machine_id,
    }


def _filters(clips: Sequence[AnomalousClip]) -> dict[str, tuple[str, list[str]]]:
    """Return what can be filtered by: what is not the same of all clips."""
    values = {
        "machine_id": ("machine ID", {one.verdict.machine_id for one in clips}),
        "alarm": ("raised an alarm", {"yes" if one.has_alarm else "no" for one in clips}),
    }
    return {name: (title, sorted(of)) for name, (title, of) in values.items() if len(of) > 1}


def _state(heard: Heard) -> str:
    if heard.ended:
        return f"The watch ended at {_clock(heard.until)}: {heard.ended}."
    return f"As of {_clock(heard.until)}; the watch goes on."


def _heard(heard: Heard, detector: Detector) -> str:
    count = sum(heard.segments.values())
    since = f"since {_clock(heard.began)}"
    if not count:
        said = f"nothing that could be judged, {since}"
    else:
        whose = f"machine type {detector.description.corpus.machine_type}, machine IDs "
        said = (
            f"{in_time(heard.seconds)} of sound in {_counted(count, 'segment')}, {since}; "
            f"{whose}{machine_id_names(sorted(heard.machine_ids))}"
        )
    missed = sum(heard.sensor.get(kind, 0) for kind in ("silence", "unreadable"))
    return f"{said}; {_counted(missed, 'segment')} could not be judged" if missed else said


def _alarms(heard: Heard) -> str:
    """Say what was told of the machine, and what of its normal sound and of the sensor."""
    events, said = heard.events, []
    anomalous = heard.segments.get(Decision.ANOMALOUS, 0)
    undecided = heard.segments.get(Decision.UNDECIDED, 0)
    segments = sum(heard.segments.values())
    by_itself = f"{anomalous:,} of {segments:,} segments anomalous"
    if segments and undecided == segments:
        by_itself = "no segment could be decided"
    if "alarm" in heard.watches_for:
        alarms = _counted(events.get("alarm", 0), "alarm")
        on = machine_id_names(sorted(heard.alarms_on))
        said += [
            f"{alarms} (on now: machine ID {on})" if heard.alarms_on else alarms,
            f"{events.get('suppressed', 0)} suppressed: above the threshold, but no alarm",
            f"{by_itself} by themselves" if undecided < segments else by_itself,
        ]
    else:
        said.append(f"{by_itself}; no rule for alarms was asked for (--false-alarm-every)")
    if undecided:
        said.append(
            f"{undecided} undecided: no normal clip of their machine ID, or as long, has "
            "calibrated the detector"
        )
    if doubtful := heard.segments.get("doubtful", 0):
        said.append(f"{doubtful} not counted as normal, as the sensor was in doubt")
    drifts = _counted(events.get("drift", 0), "drift")
    said.append(drifts if "drift" in heard.watches_for else "drift was not watched for")
    if events.get("promise_broken", 0):
        said.append("the promise is in doubt: segments were not independent, as was assumed")
    kinds = ", ".join(
        f"{_KINDS.get(kind, kind)} {count}" for kind, count in sorted(heard.sensor.items())
    )
    problems = _counted(sum(heard.sensor.values()), "sensor event")
    said.append(f"{problems} ({kinds})" if kinds else problems)
    return "; ".join(said)


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}" if count else f"no {noun}"


def _clock(at: str) -> str:
    """Write a time (ISO 8601) for people; the offset stays, since pages are sent elsewhere.

    >>> _clock("2026-03-14T02:15:00+01:00")
    '2026-03-14 02:15:00 +01:00'
    """
    return f"{at[:10]} {at[11:19]} {at[19:]}".strip()
