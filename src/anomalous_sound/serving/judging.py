"""Judge what somebody has sent: an audio file in a file of ours, whatever it is said to be."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anomalous_sound.corpus.decode import AudioFile, in_every_channel
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.errors import UnreadableClipError

if TYPE_CHECKING:
    from os import PathLike

NAMELESS = "-"  # the source of what has no name, as of standard input


@dataclass(frozen=True)
class Bounds:
    """How much sound is judged at once.

    Attributes:
        seconds: of a recording, at most.
        values: of a recording, samples times channels, at most.
    """

    seconds: float
    values: int


class TooMuchSoundError(UnreadableClipError):
    """A recording is beyond the bounds."""


class StoppedJudgingError(Exception):
    """Nobody waits for the verdicts any more."""


def judge_upload(
    detector: Detector,
    path: Path,
    *,
    name: str = NAMELESS,
    machine_id: str | None = None,
    bounds: Bounds | None = None,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Iterator[Verdict | Rejection]:
    """Judge a recording clip by clip; see :meth:`.Detector.judge_recording`.

    Args:
        detector: what judges.
        path: the file that holds what was sent.
        name: what the sender calls it; it is repeated as the source, and never opened.
        machine_id: of the machine in it; None: not known.
        bounds: how much is judged; None: any amount.
        is_wanted: asked before each clip; if not, no more is judged.

    Raises:
        UnreadableClipError: it is no audio that can be read, or beyond the bounds.
        InputError: the detector does not know the machine ID.
        StoppedJudgingError: the verdicts are not wanted any more.
    """
    detector.check_machine_id(machine_id or None, "machine_id")
    form = AudioFile(path).form(detector.description.features.audio)
    if bounds is not None:
        seconds, values = form.samples / form.sample_rate, form.samples * form.channels
        if seconds > bounds.seconds:
            raise TooMuchSoundError(
                f"it is {seconds:.1f} s long, and at most {bounds.seconds:g} s are judged at once"
            )
        if values > bounds.values:
            raise TooMuchSoundError(
                f"it holds {values} samples in all channels, and at most {bounds.values} are "
                "judged at once"
            )
    results = detector.judge_recording(path, machine_id=machine_id)
    while True:
        if not is_wanted():
            raise StoppedJudgingError
        result = next(results, None)
        if result is None:
            return
        yield replace(result, source=Path(name))


def write_samples(path: str | PathLike[str], samples: np.ndarray, sample_rate: int) -> None:
    """Write samples as an audio file from which the same float32 values are read.

    Args:
        path: the file.
        samples: mono, full scale ±1.
        sample_rate: Hz.
    """
    Path(path).write_bytes(as_wav(samples, sample_rate))


def as_wav(samples: np.ndarray, sample_rate: int) -> bytes:
    """Return samples as a wav file of float32 values."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples.astype(np.float32), sample_rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def example_clip(detector: Detector) -> tuple[np.ndarray, int]:
    """Make the shortest clip that a detector can judge: faint noise, always the same.

    Returns:
        float32 samples × channels, and their rate in Hz.
    """
    description = detector.description
    log_mel, rate = description.features.log_mel, description.features.audio.sample_rate
    count = math.ceil((description.windows.frames + 1) * log_mel.hop_length + log_mel.n_fft)
    noise = np.random.default_rng(0).standard_normal(count) * 0.01
    return in_every_channel(noise.astype(np.float32), description.features.audio), rate
