"""Simulated recordings of a slide rail in a factory: motion, sound, faults and background.

A carriage goes forth and back on a rail. Its speed follows a trapezoid (accelerate, run, brake,
dwell), and every sound is derived from that motion:

- the motor: harmonics whose frequency is proportional to the speed;
- the drive (belt or screw): resonances excited while the carriage accelerates or brakes;
- rolling: noise that grows with the speed, coloured by the modes of the carriage;
- impacts: short knocks where a stroke ends.

A fault changes the mechanism and adds its own sound. Machine and fault pass through the same room;
then the background of a factory (noise floor, mains hum, lines of neighbouring machines, air hiss,
distant impacts, beeps) is added at a chosen signal-to-noise ratio.

Signals are arrays of shape (n,), one value per sample; levels in dB are of RMS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from anomalous_sound.sources.simulation.background import background_sound
from anomalous_sound.sources.simulation.faults import FAULT_SOUNDS, Fault, fault_at_level
from anomalous_sound.sources.simulation.machines import SlideRail
from anomalous_sound.sources.simulation.motion import Motion, move
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

# The recordings that these clips stand in for lie within 1.5 dB of this level.
CLIP_LEVEL_DBFS = -39.0
CLIP_LEVEL_JITTER_DB = 0.6

# Every machine makes at least one whole stroke, and so every fault sounds, in this time.
SHORTEST_CLIP_S = 2.0


@dataclass(frozen=True)
class SimulatedClip:
    """A clip and the truth about it.

    Attributes:
        samples: float32, mono, shape (n,), full scale 1.
        fault_intervals: when the fault sounds, in seconds (start, end); empty if normal. The
            reverberation after an interval is not counted.
        fault_band_hz: the band that holds most of the fault's energy; None if normal.
    """

    samples: np.ndarray
    fault_intervals: list[tuple[float, float]]
    fault_band_hz: tuple[float, float] | None


def simulate_clip(
    machine: SlideRail,
    *,
    rng: np.random.Generator,
    duration_s: float,
    sample_rate: int,
    snr_db: float,
    snr_jitter_db: float,
    fault: Fault | None,
) -> SimulatedClip:
    """Simulate one recording.

    The motion, the machine, the background and the fault draw from random streams of their own:
    with the same ``rng``, a clip with a fault is the clip without it plus the fault's sound.

    Args:
        machine: the machine.
        rng: source of all randomness.
        duration_s: length; from :data:`SHORTEST_CLIP_S` on every fault is sure to sound.
        sample_rate: in Hz.
        snr_db: RMS of the normal sound of the machine over that of the background, whole clip.
        snr_jitter_db: the ratio varies evenly by up to this much, either way, from clip to clip.
        fault: the fault; None for a normal clip.

    Returns:
        The clip, with the fault's intervals and band.
    """
    motion_rng, machine_rng, background_rng, mixing_rng, fault_rng = rng.spawn(5)
    length = round(duration_s * sample_rate)
    motion = move(machine, motion_rng, length, sample_rate)
    normal = in_room(_normal_sound(machine, motion, machine_rng), machine, sample_rate)
    background = background_sound(background_rng, length, sample_rate)

    clip_snr_db = snr_db + mixing_rng.uniform(-snr_jitter_db, snr_jitter_db)
    background *= rms_of(normal) / rms_of(background) * amplitude(-clip_snr_db)
    clip = normal + background
    level_db = CLIP_LEVEL_DBFS + mixing_rng.uniform(-CLIP_LEVEL_JITTER_DB, CLIP_LEVEL_JITTER_DB)
    gain = amplitude(level_db) / rms_of(clip)

    intervals: list[tuple[float, float]] = []
    band_hz = None
    if fault is not None:
        added = FAULT_SOUNDS[fault.kind](machine, motion, fault_rng)
        clip += fault_at_level(added, fault.level_db, normal, machine, sample_rate)
        intervals = _intervals(added.sounding, sample_rate)
        band_hz = (added.band_hz[0], min(added.band_hz[1], sample_rate / 2))
    return SimulatedClip((gain * clip).astype(np.float32), intervals, band_hz)


def _normal_sound(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> np.ndarray:
    """Return the sound of the machine in order, before the room."""
    shares = (
        (_motor(machine, motion, rng), machine.motor_level_db),
        (_drive(machine, motion, rng), machine.drive_level_db),
        (_rolling(machine, motion, rng), machine.rolling_level_db),
        (_stroke_ends(machine, motion, rng), machine.impact_level_db),
    )
    return cast("np.ndarray", sum(at_level(share, level_db) for share, level_db in shares))


def _motor(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> np.ndarray:
    """Return the motor's harmonics; their frequency follows the speed, with a slight ripple."""
    ripple = 1 + 0.005 * slow_noise(rng, motion.length, motion.sample_rate, rate_hz=30)
    frequency_hz = machine.motor_cycles_per_m * motion.speed_m_s * ripple
    levels_db = dict(enumerate(machine.motor_harmonics_db, start=1))
    amplitude = (motion.speed_m_s / machine.max_speed_m_s) ** machine.motor_exponent
    sound: np.ndarray = amplitude * harmonics(frequency_hz, levels_db, motion.sample_rate, rng)
    return sound


def _drive(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> np.ndarray:
    """Return the resonances of belt or screw: rough force while accelerating, and jolts."""
    force = motion.acceleration_m_s2 / machine.acceleration_m_s2
    rough = np.abs(force) * rng.standard_normal(motion.length)
    jolts = 10 * np.diff(force, prepend=force[0])
    return ring(rough + jolts, machine.drive_modes_hz, machine.drive_decay_s, motion.sample_rate)


def _rolling(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> np.ndarray:
    """Return rolling noise: it grows with the speed and excites the modes of the carriage."""
    loudness = (motion.speed_m_s / machine.max_speed_m_s) ** machine.rolling_exponent
    noise = loudness * band_noise(rng, *motion.shape, machine.rolling_band_hz)
    modes = ring(noise, machine.carriage_modes_hz, 0.003, motion.sample_rate)
    sound: np.ndarray = at_level(noise, 0.0) + at_level(modes, -4.0)
    return sound


def _stroke_ends(machine: SlideRail, motion: Motion, rng: np.random.Generator) -> np.ndarray:
    """Return the knocks at the turning points."""
    strength = rng.uniform(0.6, 1.4, len(motion.stops))
    knocks = impulse_train(motion.length, motion.stops, strength)
    return ring(knocks, machine.impact_modes_hz, 0.004, motion.sample_rate)


def _intervals(mask: np.ndarray, sample_rate: int) -> list[tuple[float, float]]:
    """Return the runs of True as (start, end) in seconds."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(start / sample_rate, end / sample_rate) for start, end in edges.reshape(-1, 2)]
