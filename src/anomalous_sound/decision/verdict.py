"""What a detector says of one clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from anomalous_sound.corpus.names import shown
from anomalous_sound.decision.evidence import Evidence, is_foreign, notes_of
from anomalous_sound.decision.spectra import Spectra
from anomalous_sound.vocabulary import Decision


@dataclass(frozen=True)
class Segment:
    """A segment of time that stands out.

    Attributes:
        start_s: its start in the clip, s.
        end_s: its end, s.
        share: its share of the clip's whole deviation, 0 to 1.
    """

    start_s: float
    end_s: float
    share: float


@dataclass(frozen=True)
class Band:
    """A mel band that stands out.

    Attributes:
        low_hz: its lower edge, Hz.
        high_hz: its upper edge, Hz.
        share: its share of the clip's whole deviation, 0 to 1.
    """

    low_hz: float
    high_hz: float
    share: float


@dataclass(frozen=True)
class ErrorMap:
    """How far each moment and mel band of a clip is from normal.

    Attributes:
        deviations: windows × mel bands, standard deviations above the normal error.
        times_s: where each window's error lies in the clip, s.
        band_edges_hz: lower edge of each mel band, and the upper edge of the last, Hz.
    """

    deviations: np.ndarray
    times_s: np.ndarray
    band_edges_hz: np.ndarray


@dataclass(frozen=True)
class Signal:
    """What the samples say of the sensor, as recorded.

    Attributes:
        duration_s: of the clip, s.
        full_scale_share: of the samples at full scale, 0 to 1.
        constant_s: the longest time that all samples were equal, s.
    """

    duration_s: float
    full_scale_share: float
    constant_s: float


@dataclass(frozen=True)
class Verdict:
    """What a detector says of one clip.

    Attributes:
        score: the anomaly score; higher is more anomalous.
        threshold: a clip at or above it is called anomalous; None if the clip is undecided.
        decision: ``normal``, ``anomalous``, or ``undecided`` if no normal clip of the machine ID
            has calibrated the detector, or none as long.
        p_value: how often a normal clip would score so high: the part of the held-out normal clips,
            and the clip itself, that do (conformal); None if the clip is undecided. It is not the
            probability that the clip is normal.
        segments: the segments of time that stand out most, first the one that does most.
        bands: the mel bands that stand out most, first the one that does most.
        machine_id: the machine ID that the clip was judged as; empty: none given.
        source: the file, where there is one.
        start_s: where the clip begins in that file, s.
        evidence: level, crest factor and spectrum of the clip against those of normal clips.
        not_comparable: why a clip of its length is not decided; empty if it is.
        spectra: mean spectrum and spectral flux of the clip, dB of each mel band.
        signal: what the samples say of the sensor.
        error_map: how far each moment and mel band is from normal, if it was asked for; None from
            a frozen encoder, of which ``segments`` and ``bands`` are empty.
        channel_scores: where several channels are judged, the score of each, by its number as
            recorded: standard deviations above left-out normal clips.
    """

    score: float
    threshold: float | None
    decision: Decision
    p_value: float | None
    segments: tuple[Segment, ...]
    bands: tuple[Band, ...]
    machine_id: str = ""
    source: Path | None = None
    start_s: float = 0.0
    evidence: tuple[Evidence, ...] = ()
    not_comparable: str = ""
    spectra: Spectra | None = field(default=None, repr=False, compare=False)
    signal: Signal | None = None
    error_map: ErrorMap | None = field(default=None, repr=False, compare=False)
    channel_scores: Mapping[int, float] = field(default_factory=dict)

    @property
    def is_anomalous(self) -> bool:
        """Whether the clip is called anomalous."""
        return self.decision == Decision.ANOMALOUS

    @property
    def duration_s(self) -> float:
        """Of the clip, s; 0 where nothing is known of its samples."""
        return 0.0 if self.signal is None else self.signal.duration_s

    @property
    def channel(self) -> int | None:
        """The channel that stands out most; None where one channel is judged."""
        return max(self.channel_scores, key=self.channel_scores.__getitem__, default=None)

    @property
    def is_above(self) -> bool:
        """Whether the score is at or above the threshold."""
        return self.threshold is not None and self.score >= self.threshold

    @property
    def is_foreign(self) -> bool:
        """Whether the clip is anomalous whatever its score; see :mod:`.evidence`."""
        return is_foreign(self.evidence)

    @property
    def notes(self) -> tuple[str, ...]:
        """Why it is not decided, and what there is to say of level, crest factor and spectrum."""
        of_evidence = notes_of(self.evidence, by_score=self.is_above)
        return (self._why_undecided, *of_evidence) if self._why_undecided else of_evidence

    @property
    def _why_undecided(self) -> str:
        if self.decision != Decision.UNDECIDED or self.not_comparable:
            return self.not_comparable
        if not self.machine_id:
            return "not decided: the machine ID is not known"
        return f"not decided: no normal clip of machine ID {self.machine_id} has calibrated it"

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as JSON values, without the error map.

        Where several channels are judged, ``channel`` is the one that stands out most, and
        ``channel_scores`` has the score of each.
        """
        of_channels = {
            "channel": self.channel,
            "channel_scores": {str(name): score for name, score in self.channel_scores.items()},
        }
        return {
            "source": shown(self.source) or None,
            "start_s": self.start_s,
            "machine_id": self.machine_id,
            "decision": str(self.decision),
            "score": self.score,
            "threshold": self.threshold,
            "p_value": self.p_value,
            "segments": [vars(segment) for segment in self.segments],
            "bands": [vars(band) for band in self.bands],
            "foreign": self.is_foreign,
            "notes": list(self.notes),
            "evidence": [vars(one) for one in self.evidence],
            **(of_channels if self.channel_scores else {}),
        }


@dataclass(frozen=True)
class Rejection:
    """A file, or a clip of it, that could not be judged.

    Attributes:
        source: the file.
        reason: why not.
        start_s: where the clip begins in the file, s.
        is_silent: whether there is no sound in it.
        machine_id: of the machine in it, as far as known.
    """

    source: Path
    reason: str
    start_s: float = 0.0
    is_silent: bool = False
    machine_id: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the rejection as JSON values."""
        return {"source": shown(self.source), "start_s": self.start_s, "reason": self.reason}


def in_one_sentence(anomalous: int, clips: int, worst: str) -> str:
    """Say how many clips sound anomalous, and which one most.

    >>> in_one_sentence(9, 57, "press_3.wav")
    '9 of 57 clips sound anomalous; the worst: press_3.wav.'

    Args:
        anomalous: how many do.
        clips: how many have a decision.
        worst: what the one with the highest score is called.
    """
    if not clips:
        return "No clip could be decided."
    said = (
        f"{anomalous} of {clips} clip{'s' * (clips != 1)} sound{'s' * (anomalous == 1)} anomalous"
    )
    return f"{said}; the worst: {worst}." if anomalous else f"{said}."
