"""A detector without a network: the score of a clip is the mean of its samples."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np

from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.identity import Identity
from anomalous_sound.decision.thresholds import Thresholds, conformal_at
from anomalous_sound.decision.verdict import Signal, Verdict
from anomalous_sound.errors import SilentClipError
from anomalous_sound.features.levels import full_scale_share, longest_constant
from anomalous_sound.vocabulary import Decision

IDENTITY = Identity(
    method="none", trained_at="", version="", digest="", recalibrated_at=None, exported_from=None
)


@dataclass(frozen=True)
class CheapDetector:
    """As much of a Detector as a watch needs."""

    calibration: CalibrationScores
    thresholds: Thresholds
    segment_s: float | None = 10.0
    durations_s: tuple[float, float] | None = None  # of the normal clips
    identity: Identity = IDENTITY

    @classmethod
    def calibrated(cls, clips: dict[str, int], *, seed: int = 0, **more):
        """Calibrate with standard normal scores."""
        names = [name for name, count in clips.items() for _ in range(count)]
        scores = np.random.default_rng(seed).standard_normal(len(names)).tolist()
        clip_ids = tuple(map(str, range(len(names))))
        calibration = CalibrationScores(clip_ids, tuple(names), tuple(scores))
        return cls(calibration, conformal_at(calibration, 0.2, per="machine_type"), **more)

    @property
    def description(self):
        return SimpleNamespace(corpus=SimpleNamespace(segment_s=self.segment_s))

    @property
    def sound(self):
        return SimpleNamespace(durations_s=self.durations_s)

    def known_as(self, machine_id):
        return machine_id or ""

    def at_rate(self, rate, *, per=None, by_score=False):
        per = per or self.thresholds.per
        thresholds = conformal_at(self.calibration, rate, per=per, by_score=by_score)
        return replace(self, thresholds=thresholds)

    def judge(self, samples, sample_rate, *, machine_id=None):
        if samples.min() == samples.max():
            raise SilentClipError("all samples are zero")
        name = machine_id or ""
        # a full scale of 100
        score, threshold = 100 * float(samples.mean()), self.thresholds.of(name)
        return Verdict(
            score=score,
            threshold=threshold,
            decision=Decision.ANOMALOUS if score >= threshold else Decision.NORMAL,
            p_value=None,
            segments=(),
            bands=(),
            machine_id=name,
            signal=Signal(
                duration_s=len(samples) / sample_rate,
                full_scale_share=full_scale_share(samples),
                constant_s=longest_constant(samples) / sample_rate,
            ),
        )


def segment_of(score: float, samples: int, *, full_scale: bool = False) -> bytes:
    """Return 16-bit samples that a CheapDetector gives this score, to 0.004."""
    whole = np.full(samples, round(score / 100 * 2**15), np.int64)
    whole[::2] += 1000
    whole[1::2] -= 1000
    if full_scale:  # of both signs, so that the mean stays
        whole[:2] = 32767, -32768
    return whole.astype("<i2").tobytes()
