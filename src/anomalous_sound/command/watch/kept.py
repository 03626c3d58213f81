"""The audio of anomalous clips, kept until somebody says what it was."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from anomalous_sound.corpus.decode import AudioFile, Recording
from anomalous_sound.corpus.segments import spans
from anomalous_sound.decision.verdict import Verdict
from anomalous_sound.delivery.event import Event
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.methods.trained import NetworkDescription
from anomalous_sound.storage.atomic import replaced_file, replaced_folder, told_if_unwritable

_EVENT_FILE, _INCOMPLETE = "event.json", ".incomplete"
_EVENT_ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{10}")
_REMEMBERED = 100  # clips of each machine ID that an alarm may be about
_TOLD_EVERY = 100  # clips that had to go
_NAMED = 3  # of the clips that are there, in a message


class Feedback(StrEnum):
    """What somebody has said of a clip; a folder each."""

    NEW = "new"
    NORMAL = "normal"
    FAULT = "fault"


@dataclass(frozen=True)
class KeptClip:
    """A clip that was kept.

    Attributes:
        folder: holds it, and is named by the ID of its verdict.
        event: its verdict, as it was told.
    """

    folder: Path
    event: dict[str, Any]

    @property
    def audio(self) -> Path:
        """The file with its sound."""
        return self.folder / f"{self.folder.name}.wav"


class KeptClips:
    """Folders ``new``, ``normal`` and ``fault``, in which each clip is a folder of its own.

    So one renaming labels a clip: it is in one of them, whole, whatever happens.
    """

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made when there is something to keep."""
        self.folder = folder

    def add(self, event: Event, recording: Recording) -> None:
        """Keep a clip, with what was said of it.

        Raises:
            InputError: the disk is full or cannot be written to.
        """
        with replaced_folder(self.folder / Feedback.NEW / event["id"]) as place:
            samples = recording.samples
            steps = samples * 2**15
            is_16_bit = np.array_equal(steps, np.rint(steps).clip(-(2**15), 2**15 - 1))
            soundfile.write(
                place / f"{event['id']}.wav",
                samples,
                recording.sample_rate,
                format="WAV",
                subtype="PCM_16" if is_16_bit else "FLOAT",  # either way no bit is lost
            )
            _write_event(place, dict(event))

    def drop_oldest(self, most_clips: int, most_bytes: int) -> int:
        """Delete the oldest clips without feedback that are beyond the bounds; return how many."""
        there = self._folders(Feedback.NEW)
        sizes = [sum(file.stat().st_size for file in folder.iterdir()) for folder in there]
        total, dropped = sum(sizes), 0
        for folder, size in zip(there, sizes, strict=True):
            if len(there) - dropped <= most_clips and total <= most_bytes:
                break
            # out of the way in one step: feedback that comes now finds it whole, or not at all
            gone = folder.with_name(folder.name + _INCOMPLETE)
            folder.replace(gone)
            shutil.rmtree(gone, ignore_errors=True)
            total, dropped = total - size, dropped + 1
        return dropped

    def raised(self, alarm_id: str, verdict_ids: Iterable[str]) -> None:
        """Remember which clips an alarm is about."""
        for name in verdict_ids:
            folder = self.folder / Feedback.NEW / name
            if _EVENT_ID.fullmatch(name) and folder.is_dir():
                event = _read_event(folder)
                _write_event(folder, {**event, "alarms": [*event.get("alarms", []), alarm_id]})

    def clips(self, feedback: Feedback) -> list[KeptClip]:
        """Return the clips of which this was said, the oldest first."""
        return [KeptClip(folder, _read_event(folder)) for folder in self._folders(feedback)]

    def label(self, event_id: str, feedback: Feedback, note: str) -> list[KeptClip]:
        """Say what the clip of a verdict, or the clips of an alarm, were; it may be said anew.

        Raises:
            InputError: no such clip is kept, or what is said of it cannot be written.
        """
        found = [
            clip
            for which in Feedback
            for clip in self.clips(which)
            if event_id in (clip.folder.name, *clip.event.get("alarms", []))
        ]
        if not found:
            waiting = [folder.name for folder in self._folders(Feedback.NEW)]
            some = f", the newest: {', '.join(waiting[: -_NAMED - 1 : -1])}" if waiting else ""
            raise InputError(
                f"no clip of {event_id!r} is kept in {self.folder}; give the id of an anomalous "
                f"verdict. {len(waiting)} wait for feedback{some}."
            )
        labelled = []
        at = datetime.now().astimezone().isoformat(timespec="seconds")
        for clip in found:
            place = self.folder / feedback / clip.folder.name
            with told_if_unwritable(place):
                place.parent.mkdir(exist_ok=True)
                clip.folder.replace(place)
            said = {"label": str(feedback), "at": at, "note": note}
            event = {**clip.event, "feedback": said}
            _write_event(place, event)
            labelled.append(KeptClip(place, event))
        return labelled

    def _folders(self, feedback: Feedback) -> list[Path]:
        places = (self.folder / feedback).glob("*")
        return sorted(place for place in places if _EVENT_ID.fullmatch(place.name))


class Keeper:
    """Keeps the clips of a watch, within bounds."""

    def __init__(
        self,
        kept: KeptClips,
        description: NetworkDescription,
        *,
        most_clips: int,
        most_bytes: int,
    ) -> None:
        """Begin.

        Args:
            kept: where clips are kept.
            description: how the detector cuts recordings.
            most_clips: without feedback.
            most_bytes: of clips without feedback.
        """
        self._kept, self._description = kept, description
        self._most_clips, self._most_bytes = most_clips, most_bytes
        self._dropped = 0
        self._recent = RecentClips()

    @property
    def folder(self) -> Path:
        """Where clips are kept."""
        return self._kept.folder

    def keep(
        self,
        event: Event,
        verdict: Verdict,
        recording: Recording | None,
        tell: Callable[[str, str], None],
    ) -> None:
        """Keep a clip.

        Args:
            event: the verdict's event.
            verdict: what was said of it.
            recording: the clip as it was recorded; None: it is read from the verdict's source.
            tell: is told of clips that had to go.

        Raises:
            InputError: the disk is full or cannot be written to.
            UnreadableClipError: the source cannot be read any more.
        """
        self._kept.add(event, recording or read_clip(verdict, self._description))
        self._recent.add(verdict.machine_id, event["id"])
        dropped = self._kept.drop_oldest(self._most_clips, self._most_bytes)
        before, self._dropped = self._dropped, self._dropped + dropped
        if dropped and (not before or before // _TOLD_EVERY < self._dropped // _TOLD_EVERY):
            tell(
                "kept",
                f"clips without feedback that had to go since the start: {self._dropped}; no more "
                f"than {self._most_clips}, or {self._most_bytes / 1e6:g} MB, are kept",
            )

    def raised(self, alarm: Event) -> None:
        """Remember which clips an alarm is about: of its machine ID, the last, as many as voted."""
        self._kept.raised(alarm["id"], self._recent.of(alarm))


class RecentClips:
    """The last anomalous clips of each machine ID: those that an alarm may be about."""

    def __init__(self) -> None:
        self._ids = defaultdict[str, deque[str]](lambda: deque(maxlen=_REMEMBERED))

    def add(self, machine_id: str, event_id: str) -> None:
        """Remember a clip by the ID of its verdict."""
        self._ids[machine_id].append(event_id)

    def of(self, alarm: Event) -> list[str]:
        """Return which clips an alarm is about: of its machine ID, the last, as many as voted."""
        recent = list(self._ids[alarm.get("machine_id", "")])
        return recent[-max(1, int(alarm.get("votes", 1))) :]


def read_clip(verdict: Verdict, description: NetworkDescription) -> Recording:
    """Read the clip of a verdict from the file that it was judged in.

    Args:
        verdict: with a source.
        description: how the detector cuts recordings.

    Raises:
        UnreadableClipError: the file cannot be read any more, or has changed.
    """
    assert verdict.source is not None
    file, audio = AudioFile(verdict.source), description.features.audio
    form = file.form(audio)
    cut = spans(form.samples, form.sample_rate, description.corpus)
    for span in cut:
        if span.start / form.sample_rate == verdict.start_s:
            return file.recording(span, audio=audio)
    raise UnreadableClipError(f"{verdict.source} has changed since it was judged")


def _read_event(folder: Path) -> dict[str, Any]:
    try:
        event = json.loads((folder / _EVENT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder / _EVENT_FILE} cannot be read ({error}); delete the folder."
        ) from None
    if not isinstance(event, dict):
        raise InputError(f"{folder / _EVENT_FILE} holds no event; delete the folder.")
    return event


def _write_event(folder: Path, event: dict[str, Any]) -> None:
    with replaced_file(folder / _EVENT_FILE) as file:
        file.write((json.dumps(event, indent=1) + "\n").encode())
