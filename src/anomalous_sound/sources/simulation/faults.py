"""Faults change the mechanism; each adds a sound of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from anomalous_sound.sources.simulation.machines import SlideRail
from anomalous_sound.sources.simulation.motion import Motion
from anomalous_sound.sources.simulation.room import in_room
from anomalous_sound.sources.simulation.signals import (
    amplitude,
    at_level,
    band_noise,
    harmonics,
    impulse_train,
    ring,
    rms_of,
    slow_noise,
)


@dataclass(frozen=True)
class Fault:
    """A fault and how loud it is.

    Attributes:
        kind: one of :data:`FAULTS`.
        level_db: RMS of the fault's sound over that of the machine's own normal sound, both at the
            microphone and both measured while the fault sounds.
    """

    kind: str
    level_db: float


@dataclass(frozen=True)
class _FaultSound:
    """What a fault adds.

    Attributes:
        samples: before the room, at no particular level; shape (n,).
        sounding: whether the fault sounds; bool, shape (n,).
        band_hz: the band of its energy.
    """

    samples: np.ndarray
    sounding: np.ndarray
    band_hz: tuple[float, float]


def _rail_damage(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> _FaultSound:
    """An impact, harder the faster, whenever the carriage passes one place of the rail."""
    place_m = _place_on_rail(machine, rng)
    passes = np.flatnonzero(np.diff(motion.position_m > place_m)) + 1
    impulses = impulse_train(motion.length, passes, motion.speed_m_s[passes])
    return _FaultSound(
        ring(impulses, machine.rail_modes_hz, 0.006, motion.sample_rate),
        _mask_after(passes, 0.06, motion),
        _around(machine.rail_modes_hz),
    )


def _lack_of_grease(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> _FaultSound:
    """Rough friction that grows with the speed, and a stick-slip squeal that comes and goes."""
    ratio = motion.speed_m_s / machine.max_speed_m_s
    roughness = 1 + 0.5 * slow_noise(rng, motion.length, motion.sample_rate, rate_hz=60)
    friction = roughness * band_noise(rng, *motion.shape, machine.friction_band_hz)
    sticking = np.maximum(slow_noise(rng, motion.length, motion.sample_rate, rate_hz=8), 0)
    pitch_hz = machine.squeal_hz * (0.85 + 0.15 * ratio)
    squeal = sticking * harmonics(pitch_hz, {1: 0.0}, motion.sample_rate, rng)
    return _FaultSound(
        ratio**1.5 * (at_level(friction, 0.0) + at_level(squeal, -3.0)),
        ratio > 0.15,
        machine.friction_band_hz,
    )


def _loose_belt(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> _FaultSound:
    """A dying flutter of low-pitched slaps whenever the belt's pull changes its direction."""
    slaps_per_flutter = 6
    pulls = np.concatenate([motion.starts, motion.stops])
    delays = np.arange(slaps_per_flutter) * motion.sample_rate / machine.belt_flutter_hz
    jitter = rng.uniform(0.9, 1.1, (len(pulls), slaps_per_flutter))
    slaps = (pulls[:, None] + jitter * delays).astype(int)
    strength = rng.uniform(0.7, 1.3, slaps.shape) * 0.75 ** np.arange(slaps_per_flutter)
    impulses = impulse_train(motion.length, slaps.ravel(), strength.ravel())
    return _FaultSound(
        ring(impulses, machine.belt_modes_hz, 0.010, motion.sample_rate),
        _mask_after(slaps.ravel(), 0.06, motion),
        _around(machine.belt_modes_hz),
    )


def _worn_bearing(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> _FaultSound:
    """Impulses at a rate proportional to the speed, each ringing the bearing's housing."""
    travel_m = np.cumsum(motion.speed_m_s) / motion.sample_rate
    turns = travel_m / machine.bearing_pitch_m + rng.uniform()
    hits = np.flatnonzero(np.diff(np.floor(turns))) + 1
    strength = rng.uniform(0.7, 1.3, len(hits)) * motion.speed_m_s[hits]
    impulses = impulse_train(motion.length, hits, strength)
    modes_hz = (machine.bearing_resonance_hz,)
    return _FaultSound(
        ring(impulses, modes_hz, 0.003, motion.sample_rate),
        motion.speed_m_s > 0.15 * machine.max_speed_m_s,
        _around(modes_hz),
    )


def _foreign_object(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> _FaultSound:
    """Bursts of scraping in one part of every stroke."""
    place_m = _place_on_rail(machine, rng)
    touching = np.abs(motion.position_m - place_m) < 0.12 * machine.stroke_m
    scraping = touching & (motion.speed_m_s > 0)
    bursts = np.maximum(0.3 + slow_noise(rng, motion.length, motion.sample_rate, rate_hz=45), 0.1)
    return _FaultSound(
        scraping * bursts * band_noise(rng, *motion.shape, machine.scraping_band_hz),
        scraping,
        machine.scraping_band_hz,
    )


FAULT_SOUNDS: Mapping[str, Callable[[SlideRail, Motion, np.random.Generator], _FaultSound]] = (
    MappingProxyType(
        {
            "rail_damage": _rail_damage,
            "lack_of_grease": _lack_of_grease,
            "loose_belt": _loose_belt,
            "worn_bearing": _worn_bearing,
            "foreign_object": _foreign_object,
        }
    )
)
FAULTS: tuple[str, ...] = tuple(FAULT_SOUNDS)


def _place_on_rail(machine: SlideRail, rng: np.random.Generator) -> float:
    """Draw a place in the middle of the rail, which every stroke passes."""
    return machine.stroke_m * rng.uniform(0.4, 0.6)


def _around(modes_hz: Sequence[float]) -> tuple[float, float]:
    """Return the band that holds the ringing of these resonances."""
    return min(modes_hz) / 1.4, max(modes_hz) * 1.4


def fault_at_level(
    added: _FaultSound,
    level_db: float,
    normal: np.ndarray,
    machine: SlideRail,
    sample_rate: int,
) -> np.ndarray:
    """Return the fault's sound in the room, at a level over the normal sound while it sounds."""
    sound = in_room(added.samples, machine, sample_rate)
    if not added.sounding.any():  # a clip so short that the carriage never came to the place
        return np.zeros_like(sound)
    reference = rms_of(normal[added.sounding])
    return sound * reference / rms_of(sound[added.sounding]) * amplitude(level_db)


def _mask_after(places: np.ndarray, seconds: float, motion: Motion) -> np.ndarray:
    """Return which samples lie within some time after one of the places; bool, shape (n,)."""
    mask = np.zeros(motion.length, dtype=bool)
    for place in places:
        mask[place : place + round(seconds * motion.sample_rate)] = True
    return mask
