"""An export: a detector for a machine without PyTorch, and the check that it judges alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.corpus.decode import in_every_channel
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.verdict import Rejection, Verdict
from anomalous_sound.errors import InputError
from anomalous_sound.methods.embedding.encoder import FrozenEncoder
from anomalous_sound.methods.trained import TrainedNetworks

# how far two scores of one clip may be apart, relative to the larger of the score and the spread of
# the scores of normal clips: some scores are around 0
TOLERANCE = 1e-4

_CLIP_S = 10.0
_SEEDS = range(3)

Result = Verdict | Rejection


@dataclass(frozen=True)
class Agreement:
    """How well two detectors agree.

    Attributes:
        clips: how many both have judged.
        largest: the largest relative difference of their scores.
    """

    clips: int
    largest: float


def export(detector: Detector) -> Detector:
    """Return an export of a detector, which ONNX Runtime applies; it needs PyTorch.

    Whether it judges as the detector does is told by :func:`compare`.

    Raises:
        InputError: it is an export already, or a network cannot be written as ONNX.
    """
    if isinstance(detector.networks, FrozenEncoder):
        raise InputError(
            "a detector with a frozen encoder needs no export: it judges without PyTorch. Copy its "
            f"folder, and {detector.networks.file.path} into it."
        )
    if not isinstance(detector.networks, TrainedNetworks):
        raise InputError(
            "the detector is an export already; copy its folder, or export the detector that was "
            "trained."
        )
    from anomalous_sound.methods.export import export_networks  # PyTorch

    inference = ScoringSettings(
        batch_size=detector.inference.batch_size, accelerator="cpu", precision="32-true"
    )
    return detector.with_networks(export_networks(detector.networks), inference)


def synthetic_clips(detector: Detector) -> Iterator[tuple[np.ndarray, str]]:
    """Make a few clips that a detector can judge: noise with a tone and knocks in it.

    Yields:
        Samples × channels at the detector's rate, and the machine ID that they are to be judged
        as: each that was trained on, and where its networks judge any, an unknown one.
    """
    description = detector.description
    rate = description.features.audio.sample_rate
    needed = description.windows.frames * description.features.log_mel.hop_length
    length = max(round((description.corpus.segment_s or _CLIP_S) * rate), 2 * needed)
    times_s = np.arange(length) / rate
    machine_ids = [*description.machine_ids, *([] if detector.machine_ids else [""])]
    for machine_id in machine_ids:
        for seed in _SEEDS:
            rng = np.random.default_rng(seed)
            samples = 0.02 * rng.standard_normal(length)
            samples += 0.05 * seed * np.sin(2 * np.pi * rng.uniform(0.01, 0.4) * rate * times_s)
            samples[rng.integers(length, size=5 * seed)] += 0.5
            audio = description.features.audio
            yield in_every_channel(samples.astype(np.float32), audio), machine_id


def judged_both(
    detector: Detector, exported: Detector, clips: Iterable[tuple[np.ndarray, str]]
) -> Iterator[tuple[Result, Result]]:
    """Judge clips by both detectors; see :func:`synthetic_clips`."""
    rate = detector.description.features.audio.sample_rate
    for samples, machine_id in clips:
        first, second = (
            one.judge(samples, rate, machine_id=machine_id) for one in (detector, exported)
        )
        yield first, second


def compare(detector: Detector, pairs: Iterable[tuple[Result, Result]]) -> Agreement:
    """Make sure that an export judges as its detector does.

    Args:
        detector: the detector.
        pairs: what it and its export say of each clip.

    Raises:
        InputError: a score differs by more than TOLERANCE, or a decision differs at all; it names
            the clip.
    """
    spread = float(np.std(detector.calibration.values()))
    clips, largest = 0, 0.0
    for first, second in pairs:
        if isinstance(first, Rejection) or isinstance(second, Rejection):
            if type(first) is not type(second):
                raise InputError(f"{first.source}: only one of detector and export can judge it.")
            continue
        clips += 1
        apart = abs(first.score - second.score)
        difference = apart / max(abs(first.score), spread) if apart else 0.0
        largest = max(largest, difference)
        same = (first.decision, first.is_foreign) == (second.decision, second.is_foreign)
        if same and difference <= TOLERANCE:
            continue
        raise InputError(
            f"the export does not judge as the detector does: {first.source or 'a synthetic clip'} "
            f"has the score {second.score:.8g} ({second.decision}) in place of {first.score:.8g} "
            f"({first.decision}); {_why(detector, difference)}"
        )
    return Agreement(clips, largest)


def _why(detector: Detector, difference: float) -> str:
    if difference <= TOLERANCE:
        return (
            "the score lies on the threshold, as that of a clip does which the threshold was "
            "computed from. Check with other recordings."
        )
    inference = detector.inference
    if inference.precision != "32-true" or inference.accelerator != "cpu":
        return (
            f"the detector's networks are applied in precision {inference.precision} on "
            f"accelerator {inference.accelerator}, those of an export in float32 on the processor. "
            "Train with inference.precision=32-true and inference.accelerator=cpu."
        )
    return "please report it."
