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

Signals are arrays of shape (n,), one value a sample; levels in dB are of RMS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from scipy import fft, signal

# The recordings that these clips stand in for lie within 1.5 dB of this level.
CLIP_LEVEL_DBFS = -39.0
CLIP_LEVEL_JITTER_DB = 0.6

# Every machine makes at least one whole stroke, and so every fault sounds, in this time.
SHORTEST_CLIP_S = 2.0


@dataclass(frozen=True)
class SlideRail:
    """The physical constants of one machine.

    Attributes:
        machine_id: for example ``00``.
        stroke_m: distance between the turning points.
        stroke_variation: spread of each turning point, as a fraction of the stroke.
        max_speed_m_s: speed of the trapezoid's plateau.
        acceleration_m_s2: acceleration, and deceleration, of the trapezoid's flanks.
        dwell_s: rest at each turning point.
        clip_variation: spread, from clip to clip, of stroke, speed, acceleration and dwell.
        motor_cycles_per_m: periods of the motor's fundamental per metre of travel.
        motor_harmonics_db: level of the orders 1, 2, … of the motor.
        motor_exponent: the motor's amplitude grows with speed to this power.
        drive_modes_hz: resonances of belt or screw, excited by acceleration.
        drive_decay_s: time in which they fall to 1/e.
        rolling_band_hz: band of the rolling noise.
        rolling_exponent: the rolling noise's amplitude grows with speed to this power.
        carriage_modes_hz: resonances of the carriage, excited by rolling.
        impact_modes_hz: resonances excited where a stroke ends.
        motor_level_db: level of the motor's share of the normal sound; only the differences
            between this and the three below matter, for the sum is mixed at a chosen level.
        drive_level_db: level of the drive's share.
        rolling_level_db: level of rolling noise.
        impact_level_db: level of the impacts.
        rail_modes_hz: resonances of the rail, heard when it is damaged.
        belt_modes_hz: resonances of a loose belt.
        belt_flutter_hz: rate at which a loose belt slaps.
        bearing_pitch_m: travel between two impulses of a worn bearing.
        bearing_resonance_hz: what these impulses excite.
        friction_band_hz: band of dry friction.
        squeal_hz: stick-slip squeal at full speed.
        scraping_band_hz: band of an object scraping between carriage and rail.
        reverberation_s: time in which the room's sound falls by 60 dB.
        direct_to_reverberant_db: energy of the direct sound over that of the room's.
        room_seed: seed of the room's impulse response.
    """

    machine_id: str
    stroke_m: float
    stroke_variation: float
    max_speed_m_s: float
    acceleration_m_s2: float
    dwell_s: float
    clip_variation: float
    motor_cycles_per_m: float
    motor_harmonics_db: tuple[float, ...]
    motor_exponent: float
    drive_modes_hz: tuple[float, ...]
    drive_decay_s: float
    rolling_band_hz: tuple[float, float]
    rolling_exponent: float
    carriage_modes_hz: tuple[float, ...]
    impact_modes_hz: tuple[float, ...]
    motor_level_db: float
    drive_level_db: float
    rolling_level_db: float
    impact_level_db: float
    rail_modes_hz: tuple[float, ...]
    belt_modes_hz: tuple[float, ...]
    belt_flutter_hz: float
    bearing_pitch_m: float
    bearing_resonance_hz: float
    friction_band_hz: tuple[float, float]
    squeal_hz: float
    scraping_band_hz: tuple[float, float]
    reverberation_s: float
    direct_to_reverberant_db: float
    room_seed: int


MACHINES: Mapping[str, SlideRail] = MappingProxyType(
    {
        machine.machine_id: machine
        for machine in (
            SlideRail(  # a slow belt drive with a stepper motor: a steady tone in each stroke
                machine_id="00",
                stroke_m=0.40,
                stroke_variation=0.15,
                max_speed_m_s=0.50,
                acceleration_m_s2=6.0,
                dwell_s=0.28,
                clip_variation=0.03,
                motor_cycles_per_m=514.0,
                motor_harmonics_db=(0.0, -17.0, -16.0, -25.0, -22.0),
                motor_exponent=0.5,
                drive_modes_hz=(620.0, 1150.0),
                drive_decay_s=0.008,
                rolling_band_hz=(250.0, 1400.0),
                rolling_exponent=1.0,
                carriage_modes_hz=(540.0, 1750.0),
                impact_modes_hz=(430.0, 1900.0, 4700.0),
                motor_level_db=0.0,
                drive_level_db=-13.0,
                rolling_level_db=-2.0,
                impact_level_db=-18.0,
                rail_modes_hz=(980.0, 2350.0, 4100.0),
                belt_modes_hz=(140.0, 310.0, 720.0),
                belt_flutter_hz=19.0,
                bearing_pitch_m=0.0085,
                bearing_resonance_hz=2900.0,
                friction_band_hz=(1200.0, 6500.0),
                squeal_hz=2450.0,
                scraping_band_hz=(1800.0, 6000.0),
                reverberation_s=0.45,
                direct_to_reverberant_db=3.0,
                room_seed=100,
            ),
            SlideRail(  # a long belt drive: two tones, soft and slow strokes
                machine_id="02",
                stroke_m=0.60,
                stroke_variation=0.25,
                max_speed_m_s=0.62,
                acceleration_m_s2=5.0,
                dwell_s=0.34,
                clip_variation=0.03,
                motor_cycles_per_m=420.0,
                motor_harmonics_db=(
                    0.0,
                    -12.0,
                    -26.0,
                    -20.0,
                    -30.0,
                    -26.0,
                    -30.0,
                    -30.0,
                    -30.0,
                    -14.0,
                ),
                motor_exponent=0.5,
                drive_modes_hz=(350.0, 830.0),
                drive_decay_s=0.010,
                rolling_band_hz=(200.0, 1100.0),
                rolling_exponent=1.0,
                carriage_modes_hz=(420.0, 1450.0),
                impact_modes_hz=(390.0, 1500.0, 3600.0),
                motor_level_db=0.0,
                drive_level_db=-12.0,
                rolling_level_db=-3.0,
                impact_level_db=-18.0,
                rail_modes_hz=(820.0, 1900.0, 3700.0),
                belt_modes_hz=(110.0, 260.0, 590.0),
                belt_flutter_hz=15.0,
                bearing_pitch_m=0.0100,
                bearing_resonance_hz=2300.0,
                friction_band_hz=(900.0, 5500.0),
                squeal_hz=1850.0,
                scraping_band_hz=(1500.0, 5500.0),
                reverberation_s=0.55,
                direct_to_reverberant_db=2.0,
                room_seed=102,
            ),
            SlideRail(  # a ball screw with a servo motor: its whine rises and falls with the speed
                machine_id="04",
                stroke_m=0.36,
                stroke_variation=0.20,
                max_speed_m_s=1.00,
                acceleration_m_s2=5.5,
                dwell_s=0.66,
                clip_variation=0.03,
                motor_cycles_per_m=1520.0,
                motor_harmonics_db=(-14.0, -2.0, -6.0, -2.0, -10.0),
                motor_exponent=0.7,
                drive_modes_hz=(3620.0, 4150.0),
                drive_decay_s=0.002,
                rolling_band_hz=(2500.0, 9000.0),
                rolling_exponent=0.6,
                carriage_modes_hz=(3620.0, 4300.0, 6100.0),
                impact_modes_hz=(1350.0, 3620.0),
                motor_level_db=0.0,
                drive_level_db=-3.0,
                rolling_level_db=-4.0,
                impact_level_db=-12.0,
                rail_modes_hz=(1250.0, 2700.0, 5200.0),
                belt_modes_hz=(170.0, 420.0, 950.0),
                belt_flutter_hz=24.0,
                bearing_pitch_m=0.0120,
                bearing_resonance_hz=4600.0,
                friction_band_hz=(1500.0, 7000.0),
                squeal_hz=2650.0,
                scraping_band_hz=(2000.0, 6500.0),
                reverberation_s=0.35,
                direct_to_reverberant_db=5.0,
                room_seed=104,
            ),
            SlideRail(  # a fast linear motor: short strokes that never reach a plateau
                machine_id="06",
                stroke_m=0.19,
                stroke_variation=0.60,
                max_speed_m_s=1.60,
                acceleration_m_s2=6.0,
                dwell_s=0.66,
                clip_variation=0.03,
                motor_cycles_per_m=6200.0,
                motor_harmonics_db=(0.0,),
                motor_exponent=2.0,
                drive_modes_hz=(4820.0, 7120.0),
                drive_decay_s=0.004,
                rolling_band_hz=(4600.0, 12000.0),
                rolling_exponent=3.5,
                carriage_modes_hz=(2480.0, 4820.0, 7120.0),
                impact_modes_hz=(900.0, 2480.0, 4820.0),
                motor_level_db=-10.0,
                drive_level_db=-10.0,
                rolling_level_db=0.0,
                impact_level_db=-14.0,
                rail_modes_hz=(1100.0, 2600.0, 4500.0),
                belt_modes_hz=(190.0, 450.0, 1050.0),
                belt_flutter_hz=27.0,
                bearing_pitch_m=0.0090,
                bearing_resonance_hz=3500.0,
                friction_band_hz=(1500.0, 7500.0),
                squeal_hz=3100.0,
                scraping_band_hz=(1700.0, 6000.0),
                reverberation_s=0.30,
                direct_to_reverberant_db=6.0,
                room_seed=106,
            ),
        )
    }
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
    motion = _move(machine, motion_rng, length, sample_rate)
    normal = _in_room(_normal_sound(machine, motion, machine_rng), machine, sample_rate)
    background = _background(background_rng, length, sample_rate)

    clip_snr_db = snr_db + mixing_rng.uniform(-snr_jitter_db, snr_jitter_db)
    background *= _rms(normal) / _rms(background) * _amplitude(-clip_snr_db)
    clip = normal + background
    level_db = CLIP_LEVEL_DBFS + mixing_rng.uniform(-CLIP_LEVEL_JITTER_DB, CLIP_LEVEL_JITTER_DB)
    gain = _amplitude(level_db) / _rms(clip)

    intervals: list[tuple[float, float]] = []
    band_hz = None
    if fault is not None:
        added = _FAULT_SOUNDS[fault.kind](machine, motion, fault_rng)
        clip += _fault_at_level(added, fault.level_db, normal, machine, sample_rate)
        intervals = _intervals(added.sounding, sample_rate)
        band_hz = (added.band_hz[0], min(added.band_hz[1], sample_rate / 2))
    return SimulatedClip((gain * clip).astype(np.float32), intervals, band_hz)


# --- motion -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Motion:
    """The motion of the carriage in one clip, one value a sample.

    Attributes:
        position_m: place on the rail.
        speed_m_s: magnitude of the velocity.
        acceleration_m_s2: change of the speed.
        starts: indices of the samples where a stroke begins.
        stops: indices of the samples where a stroke ends.
        sample_rate: in Hz.
    """

    position_m: np.ndarray
    speed_m_s: np.ndarray
    acceleration_m_s2: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    sample_rate: int

    @property
    def length(self) -> int:
        """Number of samples."""
        return len(self.speed_m_s)


def _move(machine: SlideRail, rng: np.random.Generator, length: int, sample_rate: int) -> _Motion:
    """Draw the strokes of one clip; the clip begins at a random phase of the first."""
    stroke_m, max_speed, acceleration, dwell_s = (
        value * (1 + machine.clip_variation * rng.uniform(-1, 1))
        for value in (
            machine.stroke_m,
            machine.max_speed_m_s,
            machine.acceleration_m_s2,
            machine.dwell_s,
        )
    )
    spread_m = machine.stroke_variation * stroke_m
    times_s, velocities = [0.0], [0.0]
    position_m = 0.0
    skipped_s = None
    heading = 1.0
    while skipped_s is None or times_s[-1] < skipped_s + length / sample_rate:
        target_m = (stroke_m if heading > 0 else 0.0) + spread_m * rng.uniform(-0.5, 0.5)
        distance_m = abs(target_m - position_m)
        top_speed = min(max_speed, np.sqrt(distance_m * acceleration))
        flank_s = top_speed / acceleration
        plateau_s = distance_m / top_speed - flank_s
        for step_s, speed in ((flank_s, top_speed), (plateau_s, top_speed), (flank_s, 0.0)):
            times_s.append(times_s[-1] + step_s)
            velocities.append(heading * speed)
        times_s.append(times_s[-1] + dwell_s)
        velocities.append(0.0)
        if skipped_s is None:
            skipped_s = rng.uniform(0, times_s[-1])
        position_m, heading = target_m, -heading

    skipped = round(skipped_s * sample_rate)
    grid_s = np.arange(skipped + length) / sample_rate
    velocity = np.interp(grid_s, times_s, velocities)
    travelled_m = np.cumsum(velocity) / sample_rate
    speed = np.abs(velocity)
    moving = speed > 0
    change = np.diff(moving[skipped:].astype(np.int8))
    return _Motion(
        position_m=travelled_m[skipped:],
        speed_m_s=speed[skipped:],
        acceleration_m_s2=np.gradient(speed, 1 / sample_rate)[skipped:],
        starts=np.flatnonzero(change > 0) + 1,
        stops=np.flatnonzero(change < 0) + 1,
        sample_rate=sample_rate,
    )


# --- the sound of the machine -------------------------------------------------------------------


def _normal_sound(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> np.ndarray:
    """Return the sound of the machine in order, before the room."""
    shares = (
        (_motor(machine, motion, rng), machine.motor_level_db),
        (_drive(machine, motion, rng), machine.drive_level_db),
        (_rolling(machine, motion, rng), machine.rolling_level_db),
        (_stroke_ends(machine, motion, rng), machine.impact_level_db),
    )
    return sum(_at_level(share, level_db) for share, level_db in shares)


def _motor(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> np.ndarray:
    """Return the motor's harmonics; their frequency follows the speed, with a slight ripple."""
    ripple = 1 + 0.005 * _slow_noise(rng, motion.length, motion.sample_rate, rate_hz=30)
    frequency_hz = machine.motor_cycles_per_m * motion.speed_m_s * ripple
    levels_db = dict(enumerate(machine.motor_harmonics_db, start=1))
    amplitude = (motion.speed_m_s / machine.max_speed_m_s) ** machine.motor_exponent
    return amplitude * _harmonics(frequency_hz, levels_db, motion.sample_rate, rng)


def _drive(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> np.ndarray:
    """Return the resonances of belt or screw: rough force while accelerating, and jolts."""
    force = motion.acceleration_m_s2 / machine.acceleration_m_s2
    rough = np.abs(force) * rng.standard_normal(motion.length)
    jolts = 10 * np.diff(force, prepend=force[0])
    return _ring(rough + jolts, machine.drive_modes_hz, machine.drive_decay_s, motion.sample_rate)


def _rolling(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> np.ndarray:
    """Return rolling noise: it grows with the speed and excites the modes of the carriage."""
    loudness = (motion.speed_m_s / machine.max_speed_m_s) ** machine.rolling_exponent
    noise = loudness * _band_noise(rng, motion, machine.rolling_band_hz)
    modes = _ring(noise, machine.carriage_modes_hz, 0.003, motion.sample_rate)
    return _at_level(noise, 0.0) + _at_level(modes, -4.0)


def _stroke_ends(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> np.ndarray:
    """Return the knocks at the turning points."""
    strength = rng.uniform(0.6, 1.4, len(motion.stops))
    knocks = _impulses(motion.length, motion.stops, strength)
    return _ring(knocks, machine.impact_modes_hz, 0.004, motion.sample_rate)


# --- faults -------------------------------------------------------------------------------------


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


def _rail_damage(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> _FaultSound:
    """An impact, harder the faster, whenever the carriage passes one place of the rail."""
    place_m = _place_on_rail(machine, rng)
    passes = np.flatnonzero(np.diff(motion.position_m > place_m)) + 1
    impulses = _impulses(motion.length, passes, motion.speed_m_s[passes])
    return _FaultSound(
        _ring(impulses, machine.rail_modes_hz, 0.006, motion.sample_rate),
        _mask_after(passes, 0.06, motion),
        _around(machine.rail_modes_hz),
    )


def _lack_of_grease(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> _FaultSound:
    """Rough friction that grows with the speed, and a stick-slip squeal that comes and goes."""
    ratio = motion.speed_m_s / machine.max_speed_m_s
    roughness = 1 + 0.5 * _slow_noise(rng, motion.length, motion.sample_rate, rate_hz=60)
    friction = roughness * _band_noise(rng, motion, machine.friction_band_hz)
    sticking = np.maximum(_slow_noise(rng, motion.length, motion.sample_rate, rate_hz=8), 0)
    pitch_hz = machine.squeal_hz * (0.85 + 0.15 * ratio)
    squeal = sticking * _harmonics(pitch_hz, {1: 0.0}, motion.sample_rate, rng)
    return _FaultSound(
        ratio**1.5 * (_at_level(friction, 0.0) + _at_level(squeal, -3.0)),
        ratio > 0.15,
        machine.friction_band_hz,
    )


def _loose_belt(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> _FaultSound:
    """A dying flutter of low-pitched slaps whenever the belt's pull changes its direction."""
    slaps_per_flutter = 6
    pulls = np.concatenate([motion.starts, motion.stops])
    delays = np.arange(slaps_per_flutter) * motion.sample_rate / machine.belt_flutter_hz
    jitter = rng.uniform(0.9, 1.1, (len(pulls), slaps_per_flutter))
    slaps = (pulls[:, None] + jitter * delays).astype(int)
    strength = rng.uniform(0.7, 1.3, slaps.shape) * 0.75 ** np.arange(slaps_per_flutter)
    impulses = _impulses(motion.length, slaps.ravel(), strength.ravel())
    return _FaultSound(
        _ring(impulses, machine.belt_modes_hz, 0.010, motion.sample_rate),
        _mask_after(slaps.ravel(), 0.06, motion),
        _around(machine.belt_modes_hz),
    )


def _worn_bearing(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> _FaultSound:
    """Impulses at a rate proportional to the speed, each ringing the bearing's housing."""
    travel_m = np.cumsum(motion.speed_m_s) / motion.sample_rate
    turns = travel_m / machine.bearing_pitch_m + rng.uniform()
    hits = np.flatnonzero(np.diff(np.floor(turns))) + 1
    strength = rng.uniform(0.7, 1.3, len(hits)) * motion.speed_m_s[hits]
    impulses = _impulses(motion.length, hits, strength)
    modes_hz = (machine.bearing_resonance_hz,)
    return _FaultSound(
        _ring(impulses, modes_hz, 0.003, motion.sample_rate),
        motion.speed_m_s > 0.15 * machine.max_speed_m_s,
        _around(modes_hz),
    )


def _foreign_object(machine: SlideRail, motion: _Motion, rng: np.random.Generator) -> _FaultSound:
    """Bursts of scraping in one part of every stroke."""
    place_m = _place_on_rail(machine, rng)
    touching = np.abs(motion.position_m - place_m) < 0.12 * machine.stroke_m
    scraping = touching & (motion.speed_m_s > 0)
    bursts = np.maximum(0.3 + _slow_noise(rng, motion.length, motion.sample_rate, rate_hz=45), 0.1)
    return _FaultSound(
        scraping * bursts * _band_noise(rng, motion, machine.scraping_band_hz),
        scraping,
        machine.scraping_band_hz,
    )


_FAULT_SOUNDS: Mapping[str, Callable[[SlideRail, _Motion, np.random.Generator], _FaultSound]] = (
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
FAULTS: tuple[str, ...] = tuple(_FAULT_SOUNDS)


def _place_on_rail(machine: SlideRail, rng: np.random.Generator) -> float:
    """Draw a place in the middle of the rail, which every stroke passes."""
    return machine.stroke_m * rng.uniform(0.4, 0.6)


def _around(modes_hz: Sequence[float]) -> tuple[float, float]:
    """Return the band that holds the ringing of these resonances."""
    return min(modes_hz) / 1.4, max(modes_hz) * 1.4


def _fault_at_level(
    added: _FaultSound,
    level_db: float,
    normal: np.ndarray,
    machine: SlideRail,
    sample_rate: int,
) -> np.ndarray:
    """Return the fault's sound in the room, at a level over the normal sound while it sounds."""
    sound = _in_room(added.samples, machine, sample_rate)
    if not added.sounding.any():  # a clip so short that the carriage never came to the place
        return np.zeros_like(sound)
    reference = _rms(normal[added.sounding])
    return sound * reference / _rms(sound[added.sounding]) * _amplitude(level_db)


# --- the factory --------------------------------------------------------------------------------


def _background(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return what the microphone hears of the rest of the factory, at no particular level."""
    floor_rng, hum_rng, neighbour_rng, hiss_rng, impact_rng, beep_rng = rng.spawn(6)
    background = _noise_floor(floor_rng, length, sample_rate)
    background += _mains_hum(hum_rng, length, sample_rate)
    for _ in range(neighbour_rng.integers(1, 4)):
        background += _neighbour(neighbour_rng, length, sample_rate)
    background += _hiss(hiss_rng, length, sample_rate)
    background += _distant_impacts(impact_rng, length, sample_rate)
    background += _beeps(beep_rng, length, sample_rate)
    return background


def _noise_floor(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return noise that is flat up to some 250 Hz and then falls by 5 to 7 dB an octave."""
    corner_hz = rng.uniform(110, 260)
    slope = rng.uniform(0.95, 1.3)

    def gain(frequency_hz: np.ndarray) -> np.ndarray:
        rumble = 1 / (1 + np.square(30 / np.maximum(frequency_hz, 1)))
        return rumble / np.sqrt(1 + (frequency_hz / corner_hz) ** (2 * slope))

    return _coloured_noise(rng, length, sample_rate, gain)


def _mains_hum(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return the mains' frequency (50 Hz) and its harmonics."""
    levels_db = {order: rng.uniform(-12, 0) for order in (1, 2, 3, 4, 6)}
    hum = _harmonics(np.full(length, 50.0), levels_db, sample_rate, rng)
    return _at_level(hum, rng.uniform(-18, -8))


def _neighbour(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return the tonal lines of another machine; pitch and strength are its own in every clip."""
    wander = 1 + 0.0015 * _slow_noise(rng, length, sample_rate, rate_hz=2)
    flicker = 1 + 0.25 * _slow_noise(rng, length, sample_rate, rate_hz=10)
    strongest_hz = np.exp(rng.uniform(np.log(180), np.log(1200)))
    strongest = rng.integers(2, 6)  # the order of the strongest line
    orders = {1, 2, 3, 4, 5, 6, 8, 10, 12} - {strongest}
    levels_db = {strongest: 0.0}
    for order in rng.choice(sorted(orders), 5, replace=False):
        levels_db[int(order)] = -6 * abs(np.log2(order / strongest)) - rng.uniform(2, 16)
    frequency_hz = strongest_hz / strongest * wander
    lines = flicker * _harmonics(frequency_hz, levels_db, sample_rate, rng)
    return _at_level(lines, rng.uniform(-22, 3))


def _hiss(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return compressed air: high noise, in some clips steady and in some coming and going."""
    low_hz = np.exp(rng.uniform(np.log(600), np.log(2500)))
    high_hz = rng.uniform(4500, 7500)
    noise = _coloured_noise(rng, length, sample_rate, _band_gain(low_hz, high_hz))
    swell_db = rng.choice((1.0, 4.0)) * _slow_noise(rng, length, sample_rate, rate_hz=1)
    return _at_level(noise * _amplitude(swell_db), rng.triangular(-44, -28, -3))


def _distant_impacts(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return knocks from elsewhere in the hall, few in most clips; all reverberation."""
    count = rng.poisson(rng.choice((0.02, 0.2, 1.5)) * length / sample_rate)
    if count == 0:
        return np.zeros(length)
    strength = rng.exponential(1.0, count)
    hits = _impulses(length, rng.integers(0, length, count), strength)
    decay_s = rng.uniform(0.03, 0.12)
    envelope = signal.lfilter([1.0], [1.0, -np.exp(-1 / (decay_s * sample_rate))], hits)
    noise = _coloured_noise(rng, length, sample_rate, _band_gain(500, 8000))
    return _amplitude(rng.uniform(-34, -18)) * envelope * noise


def _beeps(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return the warning beeps of a vehicle far away, in about a third of the clips."""
    beeps = np.zeros(length)
    if rng.uniform() > 0.35:
        return beeps
    pitch_hz = rng.uniform(6050, 6180)
    level = _amplitude(rng.uniform(-30, -16))
    for _ in range(rng.integers(1, 4)):
        beep_length = min(length, round(rng.uniform(0.2, 0.45) * sample_rate))
        start = rng.integers(0, length - beep_length + 1)
        part = np.linspace(0, 1, beep_length)
        rise_and_fall = np.minimum(1, 12 * part) * np.exp(-2.5 * part) * (1 - part)
        tone = _harmonics(pitch_hz * (1 + 0.012 * part), {1: 0.0}, sample_rate, rng)
        beeps[start : start + beep_length] += level * rise_and_fall * tone
    return beeps


# --- signals ------------------------------------------------------------------------------------


def _amplitude(level_db: float | np.ndarray) -> float | np.ndarray:
    """Turn a level in dB into a factor of amplitude."""
    return 10 ** (level_db / 20)


def _rms(samples: np.ndarray) -> float:
    """Return the root mean square of a signal that is not empty."""
    return float(np.linalg.norm(samples)) / np.sqrt(len(samples))


def _at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """Scale a signal to an RMS, in dB over 1; silence stays silent."""
    rms = _rms(samples)
    return samples * (_amplitude(level_db) / rms) if rms > 0 else samples


def _harmonics(
    frequency_hz: np.ndarray,
    levels_db: Mapping[int, float],
    sample_rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return harmonics, each at its level and at a random phase, silent above Nyquist.

    Args:
        frequency_hz: the fundamental's frequency in every sample, shape (n,).
        levels_db: the level of each order that sounds.
        sample_rate: in Hz.
        rng: source of the phases.
    """
    periods = np.cumsum(frequency_hz) / sample_rate
    highest_hz = frequency_hz.max()
    sound = np.zeros(len(periods), dtype=np.float32)
    for order, level_db in levels_db.items():
        tone = _sine(order * periods, rng.uniform())
        tone *= _amplitude(level_db)
        if order * highest_hz >= sample_rate / 2:
            tone[order * frequency_hz >= sample_rate / 2] = 0.0
        sound += tone
    return sound


def _sine(periods: np.ndarray, phase: float) -> np.ndarray:
    """Return the sine of an angle in periods, as float32.

    It works in place (``periods`` is overwritten) and on the fraction of a period alone, which
    float32 holds to -140 dB: most of the time of a simulation is spent here.
    """
    periods += phase
    periods -= np.floor(periods)
    angle = periods.astype(np.float32)
    angle *= 2 * np.pi
    return np.sin(angle, out=angle)


def _slow_noise(
    rng: np.random.Generator, length: int, sample_rate: int, rate_hz: float
) -> np.ndarray:
    """Return a random curve of about unit variance with ``rate_hz`` knots a second."""
    knots = rng.standard_normal(int(length / sample_rate * rate_hz) + 2)
    return np.interp(np.arange(length) * (rate_hz / sample_rate), np.arange(len(knots)), knots)


def _coloured_noise(
    rng: np.random.Generator,
    length: int,
    sample_rate: int,
    gain: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return stationary Gaussian noise of unit RMS whose amplitude spectrum is ``gain(Hz)``."""
    padded = fft.next_fast_len(length, real=True)
    frequency_hz = fft.rfftfreq(padded, 1 / sample_rate).astype(np.float32)
    parts = rng.standard_normal((2, len(frequency_hz)), dtype=np.float32)
    spectrum = (parts[0] + 1j * parts[1]) * gain(frequency_hz)
    return _at_level(fft.irfft(spectrum, padded)[:length], 0.0).astype(np.float64)


def _band_gain(low_hz: float, high_hz: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the gain of a band-pass: half power at the edges, 12 dB an octave outside."""

    def gain(frequency_hz: np.ndarray) -> np.ndarray:
        above = 1 + np.square(np.square(low_hz / np.maximum(frequency_hz, 1)))
        below = 1 + np.square(np.square(frequency_hz / high_hz))
        return 1 / np.sqrt(above * below)

    return gain


def _band_noise(
    rng: np.random.Generator, motion: _Motion, band_hz: tuple[float, float]
) -> np.ndarray:
    return _coloured_noise(rng, motion.length, motion.sample_rate, _band_gain(*band_hz))


def _impulses(length: int, places: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return a train of impulses; those after the end are left out."""
    train = np.zeros(length)
    inside = places < length
    np.add.at(train, places[inside], strength[inside])
    return train


def _ring(
    excitation: np.ndarray, modes_hz: Sequence[float], decay_s: float, sample_rate: int
) -> np.ndarray:
    """Let resonances ring: each answers an impulse with a sine that falls to 1/e in ``decay_s``."""
    radius = np.exp(-1 / (decay_s * sample_rate))
    sound = np.zeros(len(excitation))
    for mode_hz in modes_hz:
        angle = 2 * np.pi * mode_hz / sample_rate
        if angle < np.pi:
            poles = [1.0, -2 * radius * np.cos(angle), radius**2]
            sound += signal.lfilter([0.0, radius * np.sin(angle)], poles, excitation)
    return sound


def _mask_after(places: np.ndarray, seconds: float, motion: _Motion) -> np.ndarray:
    """Return which samples lie within some time after one of the places; bool, shape (n,)."""
    mask = np.zeros(motion.length, dtype=bool)
    for place in places:
        mask[place : place + round(seconds * motion.sample_rate)] = True
    return mask


def _intervals(mask: np.ndarray, sample_rate: int) -> list[tuple[float, float]]:
    """Return the runs of True as (start, end) in seconds."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return [(start / sample_rate, end / sample_rate) for start, end in edges.reshape(-1, 2)]


def _in_room(samples: np.ndarray, machine: SlideRail, sample_rate: int) -> np.ndarray:
    """Return what arrives at the microphone."""
    return signal.oaconvolve(samples, _room(machine, sample_rate))[: len(samples)]


@lru_cache(maxsize=16)
def _room(machine: SlideRail, sample_rate: int) -> np.ndarray:
    """Return the impulse response: the direct sound, and then noise that decays exponentially."""
    rng = np.random.default_rng(machine.room_seed)
    time_s = np.arange(round(machine.reverberation_s * sample_rate)) / sample_rate
    tail = rng.standard_normal(len(time_s)) * 10 ** (-3 * time_s / machine.reverberation_s)
    tail[0] = 0.0
    tail *= _amplitude(-machine.direct_to_reverberant_db) / np.linalg.norm(tail)
    tail[0] = 1.0
    return tail
