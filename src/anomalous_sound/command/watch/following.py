"""Follow a folder into which a recorder drops files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anomalous_sound.command.recordings import Wanted, judge, select
from anomalous_sound.command.watch.memory import Judged
from anomalous_sound.command.watch.watching import Watch
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.decode import AudioFile
from anomalous_sound.corpus.folder import list_recordings
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.sensor import Sensor
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.errors import UnreadableClipError


@dataclass
class _Seen:
    """A file as it was found.

    Attributes:
        state: its size and the time of its last change.
        since: when it was first found so, s.
        is_done: whether it has been judged, or given up.
    """

    state: tuple[int, int]
    since: float
    is_done: bool = False


class Follower:
    """Finds files that are complete.

    A file is left alone until its size and time of change have stayed the same for a while and its
    header can be read; a recorder that writes the header last is not interrupted. It polls: events
    of the file system do not come from network shares.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settled_s: float,
        give_up_s: float,
        judged: Judged | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with no file found.

        Args:
            folder: the folder; folders below it are followed too.
            settled_s: how long a file must stay the same, s.
            give_up_s: how long a file may stay the same and be unreadable, s.
            judged: the files that an earlier process has judged; None: none.
            clock: tells the time, s.
        """
        self._folder, self._settled_s, self._give_up_s = folder, settled_s, give_up_s
        self._judged, self._clock = judged, clock
        self._seen: dict[str, _Seen] = {}
        self._device = folder.stat().st_dev

    @property
    def waiting(self) -> int:
        """How many files have been found and not been judged."""
        return sum(not seen.is_done for seen in self._seen.values())

    def is_there(self) -> bool:
        """Return whether the folder is there.

        Where it is on a drive of its own, what is left when that is unmounted is an empty folder on
        another one. Files that come back with it are those that were seen.
        """
        try:
            device = self._folder.stat().st_dev
            if device != self._device and any(self._folder.iterdir()):
                self._device = device  # another drive in its place
        except OSError:
            return False
        return device == self._device

    def pass_over(self) -> None:
        """Take all files that are there for judged."""
        list(self.complete())
        for seen in self._seen.values():
            seen.is_done = True

    def written_at(self, name: str) -> float:
        """Return when a file was last changed, s."""
        return self._seen[name].state[1] / 1e9

    def complete(self) -> Iterator[tuple[str, AudioFile, str]]:
        """Look at the folder once.

        Yields:
            Name, file, and why it is given up (empty: it is complete), each file once unless it
            changes.
        """
        found = list_recordings(self._folder, self._folder)
        self._seen = {name: seen for name, seen in self._seen.items() if name in found}
        if self._judged is not None:
            self._judged.keep({*found})
        for name, file in found.items():
            try:
                status = file.local_path.stat()
            except OSError:  # it has gone again, or is a link to nothing
                continue
            state, now = (status.st_size, status.st_mtime_ns), self._clock()
            seen = self._seen.get(name)
            if seen is None or seen.state != state:
                is_known = self._judged is not None and self._judged.knows(name, state)
                self._seen[name] = seen = _Seen(state, now, is_known)
            same_s = now - seen.since
            if seen.is_done or same_s < self._settled_s:
                continue
            problem = _problem(file)
            if not problem or same_s >= self._give_up_s:
                seen.is_done = True
                yield name, file, problem
                if self._judged is not None:  # what became of it has been told now
                    self._judged.add(name, state)


def _problem(file: AudioFile) -> str:
    """Return why the header of a file cannot be read; empty if it can."""
    try:
        file.form()
    except UnreadableClipError as error:
        return str(error)
    return ""


def watch_folder(
    detector: Detector,
    folder: Path,
    watch: Watch,
    follower: Follower,
    *,
    machine_id: str | None,
    interval_s: float,
    once: bool,
) -> None:
    """Judge the recordings that appear in a folder, until it is interrupted.

    Args:
        detector: what judges.
        folder: the folder.
        watch: what is told of verdicts and sensors.
        follower: what finds the files.
        machine_id: of recordings whose files name none.
        interval_s: from one look at the folder to the next, s.
        once: whether to end when every file that is there has been judged.
    """
    was_there = True
    while not watch.is_over:
        is_there = follower.is_there()
        if was_there and not is_there:
            watch.sensor(Sensor.GONE, folder, "the folder is not there; it is looked for")
        elif is_there:
            watch.back(Sensor.GONE)
        was_there = is_there
        for name, file, problem in follower.complete() if is_there else ():
            watch.heard()
            results = (
                [Rejection(folder / name, problem)]
                if problem
                else _judged(detector, folder, name, file, machine_id)
            )
            for result in results:
                watch.result(result, written_at=follower.written_at(name))
                watch.beat(follower.waiting)
                if watch.is_over:
                    return
        watch.beat(follower.waiting)
        watch.check_stall(folder)
        if once and not follower.waiting:
            return
        time.sleep(interval_s)


def _judged(
    detector: Detector, folder: Path, name: str, file: AudioFile, machine_id: str | None
) -> Iterator[Verdict | Rejection]:
    corpus = AudioCorpus(folder.name, folder.resolve().name, False, {name: file})
    chosen: list[Wanted | Rejection] = select(corpus, detector, machine_id)
    return judge(detector, chosen)
