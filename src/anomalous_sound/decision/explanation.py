"""What a person needs to see why a detector finds a clip unusual: sound, maps and events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anomalous_sound.decision.detector import Detector
from anomalous_sound.features.levels import mean_spectrum
from anomalous_sound.scoring.event_words import list_events


@dataclass(frozen=True)
class Explanation:
    """A clip as the detector hears it.

    Attributes:
        samples: mono, at the detector's sample rate, full scale ±1.
        frames: log-mel frames × mel bands, dB.
        deviations: windows × mel bands, standard deviations above the normal error.
        times_s: where each window's error lies in the clip, s.
        events: EVENT_COLUMNS without ``clip_id``, the heaviest first.
    """

    samples: np.ndarray
    frames: np.ndarray
    deviations: np.ndarray
    times_s: np.ndarray
    events: list[dict[str, Any]]


def explain(detector: Detector, samples: np.ndarray, machine_id: str) -> Explanation:
    """Find out where a clip deviates, and what its events are like.

    Args:
        detector: what has judged the clip; not one with a frozen encoder.
        samples: float32 mono samples at the detector's sample rate.
        machine_id: of the clip; empty: not known.

    Raises:
        UnreadableClipError: the clip is shorter than a window.
        InputError: there is no network for the machine ID.
    """
    frames = detector.frames(samples)
    found = detector.error_map(frames, machine_id)
    assert found is not None and detector.reference is not None
    events = list_events(
        *(found.deviations, frames, detector.reference.event_limits),
        times_s=found.times_s,
        frame_s=detector.description.features.frame_s,
        band_edges_hz=found.band_edges_hz,
        levels=detector.sound.mean_spectra.levels(mean_spectrum(frames), machine_id),
        settings=detector.localisation.events,
    )
    # half the memory: what is drawn needs no more digits
    deviations = found.deviations.astype(np.float32)
    return Explanation(samples, frames, deviations, found.times_s, events)
