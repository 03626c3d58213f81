"""Which recordings are judged, and judging them: by ``Detector.judge_recording`` alone."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from anomalous_sound.compute.threads import in_threads, torch_threads
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.folder import open_corpus
from anomalous_sound.corpus.identities import identify_for_detector
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.errors import UnreadableClipError

STANDARD_INPUT = Path("-")


@dataclass(frozen=True)
class Wanted:
    """A recording to judge.

    Attributes:
        name: its path below the folder that was given.
        path: the file.
        machine_id: as its name, a ``labels.csv`` or the user says; empty: not known.
    """

    name: str
    path: Path
    machine_id: str


def find_recordings(
    places: Sequence[Path], detector: Detector, machine_id: str | None
) -> list[Wanted | Rejection]:
    """List the recordings of files and folders; none is decoded.

    Args:
        places: files and folders.
        detector: what is to judge them.
        machine_id: of recordings whose files name none.

    Returns:
        What to judge, and what the detector cannot judge whatever it holds.

    Raises:
        InputError: a place does not exist, or holds no audio.
    """
    found: list[Wanted | Rejection] = []
    for place in places:
        found += select(open_corpus(place, "score"), detector, machine_id)
    return found


def select(
    corpus: AudioCorpus, detector: Detector, machine_id: str | None
) -> list[Wanted | Rejection]:
    """Identify the recordings of a corpus, as the pipeline ``score`` does."""
    identities, rejected = identify_for_detector(
        corpus,
        machine_type=detector.description.corpus.machine_type,
        machine_ids=detector.machine_ids,
        nameless=detector.known_as(machine_id),
    )
    files = corpus.recordings
    absent = [Rejection(Path(name), rejected[name]) for name in rejected if name not in identities]
    return absent + [
        Rejection(files[name].local_path, rejected[name])
        if name in rejected
        else Wanted(name, files[name].local_path, identity.machine_id)
        for name, identity in identities.items()
    ]


def judge(
    detector: Detector, wanted: Sequence[Wanted | Rejection], *, jobs: int = 1
) -> Iterator[Verdict | Rejection]:
    """Judge recordings clip by clip, in their order.

    Args:
        detector: what judges them.
        wanted: the recordings.
        jobs: recordings judged at once, or clips of the only one; -1: as many as there are cores.
    """
    if jobs == 1:
        for one in wanted:
            yield from _judge(detector, one)
        return
    alone = len(wanted) == 1
    tasks = (
        partial(lambda one: list(_judge(detector, one, jobs=jobs if alone else 1)), one)
        for one in wanted
    )
    is_export = detector.identity.exported_from is not None  # it has no torch
    with nullcontext() if is_export else torch_threads(1):
        for results in in_threads(tasks, 1 if alone else jobs):
            yield from results


def _judge(
    detector: Detector, one: Wanted | Rejection, *, jobs: int = 1
) -> Iterator[Verdict | Rejection]:
    if isinstance(one, Rejection):
        yield one
        return
    try:
        yield from detector.judge_recording(one.path, machine_id=one.machine_id, jobs=jobs)
    except UnreadableClipError as error:
        yield Rejection(one.path, str(error), machine_id=one.machine_id)


def judge_standard_input(
    detector: Detector, machine_id: str | None
) -> Iterator[Verdict | Rejection]:
    """Judge an audio file that is read from standard input; it passes through a temporary file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "standard input.wav")
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        wanted = Wanted("-", path, detector.known_as(machine_id))
        for result in judge(detector, [wanted]):
            yield replace(result, source=STANDARD_INPUT)
