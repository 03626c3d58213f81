"""The room between the machine and the microphone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy  # its parts are imported when they are used

from anomalous_sound.sources.simulation.machines import SlideRail
from anomalous_sound.sources.simulation.signals import amplitude


def in_room(samples: np.ndarray, machine: SlideRail, sample_rate: int) -> np.ndarray:
    """Return what arrives at the microphone."""
    arrived: np.ndarray = scipy.signal.oaconvolve(samples, _room(machine, sample_rate))
    return arrived[: len(samples)]


@lru_cache(maxsize=16)
def _room(machine: SlideRail, sample_rate: int) -> np.ndarray:
    """Return the impulse response: the direct sound, and then noise that decays exponentially."""
    rng = np.random.default_rng(machine.room_seed)
    time_s = np.arange(round(machine.reverberation_s * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / machine.reverberation_s)
    tail[0] = 0.0
    tail *= amplitude(-machine.direct_to_reverberant_db) / np.linalg.norm(tail)
    tail[0] = 1.0
    return tail
