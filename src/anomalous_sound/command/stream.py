"""Judge raw samples from standard input, segment by segment."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from anomalous_sound.command.recordings import STANDARD_INPUT
from anomalous_sound.command.watching import Watch
from anomalous_sound.corpus.decode import Recording
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.errors import InputError, SilentClipError, UnreadableClipError

_BYTES = 2  # of a sample
_WAITING = 4  # segments that are read before they can be judged
_LEAST_REST = 0.1  # of a segment; a shorter rest at the end is not judged
_PATIENCE_S = 1.0  # from one look at the clock to the next


def segment_samples(detector: Detector, sample_rate: int, segment_s: float | None) -> int:
    """Return the length of a segment: that of the clips the detector was trained on.

    Raises:
        InputError: the detector does not say it, and neither does the user.
    """
    seconds = segment_s or detector.description.corpus.segment_s
    if seconds is None:
        raise InputError(
            "the detector was not trained on clips of one length, so say how long a segment is: "
            "--segment S."
        )
    return round(seconds * sample_rate)


def watch_stream(
    detector: Detector,
    source: BinaryIO,
    watch: Watch,
    *,
    sample_rate: int,
    segment: int,
    machine_id: str | None,
) -> None:
    """Judge 16-bit little-endian mono samples until they end; memory does not grow.

    Args:
        detector: what judges.
        source: the samples.
        watch: what is told of verdicts and sensors.
        sample_rate: Hz.
        segment: its length, samples.
        machine_id: of the machine.
    """
    place = STANDARD_INPUT
    blocks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
    reader = threading.Thread(target=_read, args=(source, segment * _BYTES, blocks), daemon=True)
    reader.start()
    first, before = 0, np.zeros(0, np.int16)
    while True:
        try:
            block = blocks.get(timeout=_PATIENCE_S)
        except queue.Empty:
            watch.beat(blocks.qsize())
            watch.check_stall(place)
            continue
        if block is None:
            return
        watch.heard()
        samples = np.frombuffer(block[: len(block) // _BYTES * _BYTES], dtype="<i2")
        begin, end = first, first + len(samples)
        if len(samples) < segment:  # the last one
            if len(samples) < _LEAST_REST * segment:
                continue
            samples = np.concatenate([before, samples])[-segment:]
            begin = end - len(samples)
        result = judged(detector, samples, sample_rate, begin / sample_rate, machine_id, place)
        watch.result(result, recording=recorded(samples, sample_rate))
        watch.beat(blocks.qsize())
        first, before = end, samples


def judged(
    detector: Detector,
    samples: np.ndarray,
    sample_rate: int,
    start_s: float,
    machine_id: str | None,
    place: Path,
) -> Verdict | Rejection:
    """Judge a segment of 16-bit mono samples.

    Args:
        detector: what judges.
        samples: 16-bit integers.
        sample_rate: Hz.
        start_s: of the segment since the start, s.
        machine_id: of the machine.
        place: where it comes from.
    """
    try:
        samples = recorded(samples, sample_rate).samples
        verdict = detector.judge(samples, sample_rate, machine_id=machine_id)
    except UnreadableClipError as error:
        is_silent = isinstance(error, SilentClipError)
        return Rejection(place, str(error), start_s, is_silent)
    return replace(verdict, source=place, start_s=start_s)


def recorded(samples: np.ndarray, sample_rate: int) -> Recording:
    """Return 16-bit mono samples with the values that they have in a wav file."""
    return Recording((samples * np.float32(2**-15))[:, None], sample_rate)


def _read(source: BinaryIO, size: int, blocks: queue.Queue[bytes | None]) -> None:
    """Read blocks of ``size`` bytes, a shorter one at the end, and None after it."""
    while block := source.read(size):
        blocks.put(block)
    blocks.put(None)
