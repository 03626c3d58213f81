"""The page of a watch, written again and again while it goes on."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from anomalous_sound.command.watch.kept import RecentClips, read_clip
from anomalous_sound.configuration.reporting import PageSettings
from anomalous_sound.corpus.decode import Recording, to_channels
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.explanation import Explanation, explain
from anomalous_sound.decision.promise import in_time
from anomalous_sound.decision.verdict import Verdict
from anomalous_sound.delivery.event import Event, now
from anomalous_sound.errors import InputError
from anomalous_sound.storage.atomic import replaced_file
from anomalous_sound.vocabulary import Decision

_NEEDED = ("jinja2", "matplotlib", "pandas", "scipy")
_LISTED = 200  # of what was told, on the page
_LEAD_S = 0.3  # that a player starts before an event
# what a reader wants to know of; verdicts, suppressed segments and heartbeats are counted
_TOLD = ("alarm", "recovered", "drift", "promise_broken", "sensor", "sensor_well", "notice")


@dataclass
class _Clip:
    """A clip that the page shows; it is explained when the page is written."""

    event: Event
    verdict: Verdict
    samples: np.ndarray | None  # mono, at the detector's rate; None: it is explained
    explanation: Explanation | None = None
    has_alarm: bool = False


class Report:
    """Gathers what the page shows, within bounds, and writes it at most every so often.

    Of the anomalous clips, half of those with a player are the newest, and half the highest scores
    among the older ones, where clips that an alarm is about come first.
    """

    def __init__(
        self,
        path: Path,
        place: str,
        detector: Detector,
        *,
        most_clips: int,
        every_s: float,
        is_stream: bool,
        kept: Path | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write a page on which nothing has been heard yet.

        Args:
            path: the page.
            place: what is watched.
            detector: what judges.
            most_clips: with a player.
            every_s: from one writing to the next at least, s.
            is_stream: whether that is sound without files.
            kept: the folder in which anomalous clips are kept for feedback; None: they are not.
            clock: tells the time, s.

        Raises:
            InputError: the page cannot be written, what it needs is not installed, or it cannot
                show what this detector says.
        """
        if absent := [name for name in _NEEDED if not _is_installed(name)]:
            raise InputError(
                f"--report needs {', '.join(absent)}, not installed here: pip install "
                "'anomalous-sound[report]'."
            )
        audio = detector.description.features.audio
        if detector.reference is None or len(audio.channels) > 1:
            raise InputError(
                "--report shows one channel, and where in time and frequency it deviates; a "
                "detector of several channels, or of embeddings, is used without it."
            )
        if path.is_dir() or not path.parent.is_dir():
            raise InputError(
                f"--report {path} cannot be written; give a file in a folder that is there."
            )
        from anomalous_sound.reporting.promises import promise_in_words
        from anomalous_sound.reporting.watch_page import Heard

        self._path, self._detector, self._kept = path, detector, kept
        self._newest, self._most = -(-most_clips // 2), most_clips
        self._every_s, self._clock = every_s, clock
        self._page = PageSettings(
            highest=most_clips, normal=0, disputed=0, listed=_LISTED, audio="flac", lead_s=_LEAD_S
        )
        scores = detector.calibration.values().tolist()
        self._of_segments = promise_in_words(
            detector.thresholds, scores, None, in_folds=detector.calibration.in_folds
        )
        began = now()
        self._heard = Heard(place, is_stream, began, began, self._of_segments)
        self._segments, self._events, self._sensor = Counter[str](), Counter[str](), Counter[str]()
        self._clips: list[_Clip] = []
        self._recent = RecentClips()
        self._happened = deque[tuple[str, str]](maxlen=_LISTED)
        self._told = 0
        self._is_new = True
        self._written_at = clock()
        self.write()

    def judged(self, event: Event, verdict: Verdict, recording: Recording | None) -> None:
        """Take a verdict.

        Args:
            event: as it was told.
            verdict: of the segment.
            recording: the segment as it was recorded; None: it is read from the verdict's source.

        Raises:
            UnreadableClipError: the source of an anomalous clip cannot be read any more.
        """
        if verdict.signal is not None:
            self._heard.seconds += verdict.signal.duration_s
        self._heard.machine_ids.add(verdict.machine_id)
        is_doubtful = bool(event.get("sensor")) and verdict.decision == Decision.NORMAL
        self._segments["doubtful" if is_doubtful else str(verdict.decision)] += 1
        if not verdict.is_anomalous:
            return
        self._recent.add(verdict.machine_id, event["id"])
        self._is_new = True
        description = self._detector.description
        heard = recording or read_clip(verdict, description)
        samples = to_channels(heard, description.features.audio)[0]
        self._clips.append(_Clip(event, verdict, samples))
        self._drop()

    def told(self, event: Event, text: str) -> None:
        """Take an event that was told.

        Args:
            event: the event.
            text: the same for people.
        """
        name, heard = event["event"], self._heard
        heard.until = event["at"]
        self._events[name] += 1
        if name == "promise":
            self._promised(event)
        elif name == "alarm":
            heard.alarms_on.add(event["machine_id"])
            about = set(self._recent.of(event))
            for clip in self._clips:
                clip.has_alarm = clip.has_alarm or clip.event["id"] in about
        elif name == "recovered":
            heard.alarms_on.discard(event["machine_id"])
        elif name == "sensor":
            self._sensor[str(event["kind"])] += 1
        elif name == "end":
            heard.ended = event["reason"]
        if name in _TOLD:
            self._happened.appendleft((event["at"], text))
            self._told += 1
        # heartbeats, too: the page says until when it has heard
        self._is_new = self._is_new or name != "verdict"

    def is_due(self) -> bool:
        """Say whether there is something new, and the last writing is long enough ago."""
        return self._is_new and self._clock() - self._written_at >= self._every_s

    def write(self) -> None:
        """Write the page, whole or not at all.

        Raises:
            InputError: the disk is full or cannot be written to.
        """
        from anomalous_sound.reporting.watch_page import AnomalousClip, watch_page

        self._is_new = False
        heard = self._heard
        heard.segments, heard.events = dict(self._segments), dict(self._events)
        heard.sensor = dict(self._sensor)
        shown = []
        newest_first = sorted(self._clips, key=lambda one: one.event["id"], reverse=True)
        for clip in sorted(newest_first, key=lambda one: not one.has_alarm):
            if clip.samples is not None:
                clip.explanation = explain(self._detector, clip.samples, clip.verdict.machine_id)
                clip.samples = None
            assert clip.explanation is not None
            shown.append(AnomalousClip(clip.event, clip.verdict, clip.explanation, clip.has_alarm))
        content = watch_page(
            *(heard, shown, list(self._happened)),
            which=self._which(),
            told=self._told,
            detector=self._detector,
            kept=self._kept,
            page=self._page,
        )
        with replaced_file(self._path) as file:
            file.write(content.encode())
        self._written_at = self._clock()

    def _drop(self) -> None:
        if len(self._clips) <= self._most:
            return
        older = self._clips[: len(self._clips) - self._newest]
        self._clips.remove(min(older, key=lambda one: (one.has_alarm, one.verdict.score)))

    def _which(self) -> str:
        anomalous, shown = self._segments[Decision.ANOMALOUS], len(self._clips)
        of_alarms = "alarm" in self._heard.watches_for
        order = "those of alarms first, then the newest" if of_alarms else "the newest first"
        if shown == anomalous:
            return f"All segments that were called anomalous, {order}."
        before = ", those of alarms before others" if of_alarms else ""
        return (
            f"{shown:,} of {anomalous:,} segments that were called anomalous, {order}. They are "
            f"the newest {self._newest}, and of the older ones the highest scores{before}."
        )

    def _promised(self, event: Event) -> None:
        heard, said = self._heard, []
        if every_s := event.get("false_alarm_every_s"):
            # a rule for alarms takes the place of what is promised of single segments
            proof = "proven" if event["proven"] else "not proven"
            said.append(
                f"at most one false alarm in {in_time(every_s)} of each machine ID, on average "
                f"while all is well ({proof}; what it rests on is below)"
            )
        else:
            said.append(self._of_segments)
        if drift_s := event.get("false_drift_every_s"):
            said.append(f"at most one false drift in {in_time(drift_s)}")
        heard.promise, heard.rests_on = "; ".join(said), event["said"]
        watched = {"alarm": every_s, "drift": drift_s}
        heard.watches_for = frozenset(name for name, asked in watched.items() if asked)


def _is_installed(name: str) -> bool:
    try:
        import_module(name)
    except ModuleNotFoundError:
        return False
    return True
