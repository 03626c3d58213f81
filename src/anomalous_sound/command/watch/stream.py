"""Judge raw samples from standard input, segment by segment."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from anomalous_sound.command.watch.watching import Watch
from anomalous_sound.corpus.decode import Recording
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.sensor import Sensor
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.errors import InputError, SilentClipError, UnreadableClipError
from anomalous_sound.vocabulary import Decision

_BYTES = 2  # of a sample
_WAITING = 4  # segments that are read before they can be judged
_LEAST_REST = 0.1  # of a segment; a shorter rest at the end is not judged
_PATIENCE_S = 1.0  # from one look at the clock to the next
_GONE = b""  # a source has ended, though another one is to follow, or has failed


def segment_samples(
    detector: Detector, sample_rate: int, segment_s: float | None, machine_id: str | None
) -> int:
    """Return the length of a segment: that of the clips the detector was trained on.

    What keeps every segment from being decided is said before there is any: noise of this length is
    judged.

    Args:
        detector: what is to judge.
        sample_rate: Hz.
        segment_s: as the user says, s; None: the detector's.
        machine_id: of the machine.

    Raises:
        InputError: neither the detector nor the user says the length; the detector judges channels
            that mono samples do not have; or no segment could be judged, or decided.
    """
    channels = detector.description.features.audio.channels
    if any(channel not in (0, "mean") for channel in channels):
        raise InputError(
            f"the detector judges channel {' and '.join(map(str, channels))}, counted from 0, and "
            "a stream or a microphone is read as one channel; watch a folder of recordings."
        )
    seconds = segment_s or _usual_s(detector)
    if seconds is None:
        raise InputError(
            "the detector was not trained on clips of one length, so say how long a segment is: "
            "--segment S."
        )
    samples = round(seconds * sample_rate)
    noise = np.random.default_rng(0).integers(-1000, 1000, samples).astype(np.int16)
    result = judged(detector, noise, sample_rate, 0.0, machine_id, Path("-"))
    if isinstance(result, Rejection):
        raise InputError(
            f"no segment of {seconds:g} s at {sample_rate} Hz can be judged: {result.reason}; give "
            "another --segment or --rate, or leave it out."
        )
    if result.decision == Decision.UNDECIDED:
        raise InputError(f"no segment could be decided: {_why_undecided(detector, result)}.")
    return samples


def _usual_s(detector: Detector) -> float | None:
    """Return how long the normal clips are, s; None if no one length can be decided."""
    cut_s, normal = detector.description.corpus.segment_s, detector.sound
    if normal.durations_s is None or (cut_s is not None and not normal.not_comparable(cut_s)):
        return cut_s
    return None if normal.are_mixed else normal.durations_s[0]  # no recording was cut


def _why_undecided(detector: Detector, verdict: Verdict) -> str:
    comparable_s = detector.sound.comparable_s
    if verdict.not_comparable and comparable_s is not None:
        from_s, to_s = comparable_s
        return (
            f"segments must last {from_s:.1f} to {to_s:.1f} s, so that their scores can be "
            "compared with those of the normal clips; give such a --segment, or recalibrate with "
            "normal clips as long as yours (anomalous-sound recalibrate)"
        )
    known = ", ".join(sorted(detector.thresholds.by_machine_id))
    if not verdict.machine_id:
        return f"the machine ID is not known; give it: --machine-id ID, one of {known}"
    return (
        f"no normal clip of machine ID {verdict.machine_id} has calibrated the detector, only of "
        f"{known}; recalibrate with normal clips of this one (anomalous-sound recalibrate)"
    )


def named_pipe(path: Path) -> Iterator[BinaryIO]:
    """Yield a named pipe for each program that writes to it, without an end."""
    while True:
        with path.open("rb") as source:  # waits for the next
            yield source


def watch_stream(
    detector: Detector,
    sources: Iterable[BinaryIO],
    watch: Watch,
    *,
    place: Path,
    sample_rate: int,
    segment: int,
    machine_id: str | None,
    goes_on: bool = False,
) -> None:
    """Judge 16-bit little-endian mono samples until they end; memory does not grow.

    Args:
        detector: what judges.
        sources: the samples; a source that follows another one goes on after a gap.
        watch: what is told of verdicts and sensors.
        place: what the source is called.
        sample_rate: Hz.
        segment: its length, samples.
        machine_id: of the machine.
        goes_on: whether another source follows when one ends.
    """
    reader = _Reader(sources, segment * _BYTES, goes_on=goes_on)
    reader.start()
    first, before, has_gap = 0, np.zeros(0, np.int16), False
    received = 0
    while not watch.is_over:
        try:
            block = reader.blocks.get(timeout=_PATIENCE_S)
        except queue.Empty:
            is_within_segment = reader.is_within_segment
            if reader.received > received:
                received = reader.received
                watch.heard()
            elif watch.check_stall(place):
                # the segment that is being read goes on after a pause
                has_gap = has_gap or is_within_segment
            watch.beat(reader.blocks.qsize())
            continue
        if block is None:
            return
        received = reader.received
        watch.heard()
        if block == _GONE:
            then = "what wrote to it has ended; the next is waited for"
            watch.sensor(Sensor.GONE, place, then if goes_on else "it cannot be read any more")
            before = np.zeros(0, np.int16)
            continue
        watch.back(Sensor.GONE)
        samples = np.frombuffer(block[: len(block) // _BYTES * _BYTES], dtype="<i2")
        begin, end = first, first + len(samples)
        if len(samples) < segment:  # the last one
            first = end
            if len(samples) < _LEAST_REST * segment:
                continue
            samples = np.concatenate([before, samples])[-segment:]
            begin = end - len(samples)
        result = judged(detector, samples, sample_rate, begin / sample_rate, machine_id, place)
        watch.result(result, recording=recorded(samples, sample_rate), has_gap=has_gap)
        watch.beat(reader.blocks.qsize())
        first, before, has_gap = end, samples, False


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
        channel = recorded(samples, sample_rate).samples[:, 0]
        verdict = detector.judge(channel, sample_rate, machine_id=machine_id)
    except UnreadableClipError as error:
        is_silent, known_as = isinstance(error, SilentClipError), detector.known_as(machine_id)
        return Rejection(place, str(error), start_s, is_silent, known_as)
    return replace(verdict, source=place, start_s=start_s)


def recorded(samples: np.ndarray, sample_rate: int) -> Recording:
    """Return 16-bit mono samples with the values that they have in a wav file."""
    return Recording((samples * np.float32(2**-15))[:, None], sample_rate)


class _Reader(threading.Thread):
    """Reads segments beside the judging: to wait for samples must not stop the heartbeat.

    Attributes:
        blocks: the bytes of a segment each, fewer at the end of a source; _GONE where another
            source is to follow, or one has failed; None at the end.
        received: bytes so far.
        is_within_segment: whether a part of a segment has been read.
    """

    def __init__(self, sources: Iterable[BinaryIO], size: int, *, goes_on: bool) -> None:
        super().__init__(daemon=True)
        self._sources, self._size, self._goes_on = sources, size, goes_on
        self.blocks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self.received = 0
        self.is_within_segment = False

    def run(self) -> None:
        """Read until there is no more."""
        for source in self._sources:
            is_well = True
            try:
                self._read(source)
            except OSError:  # such as a device that is pulled out
                is_well = False
            if self._goes_on or not is_well:
                self.blocks.put(_GONE)
        self.blocks.put(None)

    def _read(self, source: BinaryIO) -> None:
        block = bytearray()
        # as much as is there already: read() would wait for a whole segment
        while part := source.read1(self._size - len(block)):  # type: ignore[attr-defined]
            self.received += len(part)
            block += part
            self.is_within_segment = len(block) < self._size
            if not self.is_within_segment:
                self.blocks.put(bytes(block))
                block.clear()
        if block:
            self.blocks.put(bytes(block))
            self.is_within_segment = False
