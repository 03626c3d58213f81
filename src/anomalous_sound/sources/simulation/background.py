"""The background of a factory: noise, hum, neighbouring machines, hiss, impacts, beeps."""

from __future__ import annotations

import numpy as np
import scipy  # its parts are imported when they are used

from anomalous_sound.sources.simulation.signals import (
    amplitude,
    at_level,
    band_gain,
    coloured_noise,
    harmonics,
    impulse_train,
    slow_noise,
)


def background_sound(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
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
    """Return noise that is flat up to some 250 Hz and then falls by 5 to 7 dB per octave."""
    corner_hz = rng.uniform(110, 260)
    slope = rng.uniform(0.95, 1.3)

    def gain(frequency_hz: np.ndarray) -> np.ndarray:
        rumble = 1 / (1 + np.square(30 / np.maximum(frequency_hz, 1)))
        factors: np.ndarray = rumble / np.sqrt(1 + (frequency_hz / corner_hz) ** (2 * slope))
        return factors

    return coloured_noise(rng, length, sample_rate, gain)


def _mains_hum(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return the mains' frequency (50 Hz) and its harmonics."""
    levels_db = {order: rng.uniform(-12, 0) for order in (1, 2, 3, 4, 6)}
    hum = harmonics(np.full(length, 50.0), levels_db, sample_rate, rng)
    return at_level(hum, rng.uniform(-18, -8))


def _neighbour(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return the tonal lines of another machine; pitch and strength are its own in every clip."""
    wander = 1 + 0.0015 * slow_noise(rng, length, sample_rate, rate_hz=2)
    flicker = 1 + 0.25 * slow_noise(rng, length, sample_rate, rate_hz=10)
    strongest_hz = np.exp(rng.uniform(np.log(180), np.log(1200)))
    strongest = int(rng.integers(2, 6))  # the order of the strongest line
    orders = {1, 2, 3, 4, 5, 6, 8, 10, 12} - {strongest}
    levels_db = {strongest: 0.0}
    for order in rng.choice(sorted(orders), 5, replace=False):
        levels_db[int(order)] = -6 * abs(np.log2(order / strongest)) - rng.uniform(2, 16)
    frequency_hz = strongest_hz / strongest * wander
    lines = flicker * harmonics(frequency_hz, levels_db, sample_rate, rng)
    return at_level(lines, rng.uniform(-22, 3))


def _hiss(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return compressed air: high noise, in some clips steady and in some coming and going."""
    low_hz = np.exp(rng.uniform(np.log(600), np.log(2500)))
    high_hz = rng.uniform(4500, 7500)
    noise = coloured_noise(rng, length, sample_rate, band_gain(low_hz, high_hz))
    swell_db = rng.choice((1.0, 4.0)) * slow_noise(rng, length, sample_rate, rate_hz=1)
    return at_level(noise * amplitude(swell_db), rng.triangular(-44, -28, -3))


def _distant_impacts(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return knocks from elsewhere in the hall, few in most clips; all reverberation."""
    count = rng.poisson(rng.choice((0.02, 0.2, 1.5)) * length / sample_rate)
    if count == 0:
        return np.zeros(length)
    strength = rng.exponential(1.0, count)
    hits = impulse_train(length, rng.integers(0, length, count), strength)
    decay_s = rng.uniform(0.03, 0.12)
    envelope = scipy.signal.lfilter([1.0], [1.0, -np.exp(-1 / (decay_s * sample_rate))], hits)
    noise = coloured_noise(rng, length, sample_rate, band_gain(500, 8000))
    knocks: np.ndarray = amplitude(rng.uniform(-34, -18)) * envelope * noise
    return knocks


def _beeps(rng: np.random.Generator, length: int, sample_rate: int) -> np.ndarray:
    """Return the warning beeps of a vehicle far away, in about a third of the clips."""
    beeps = np.zeros(length)
    if rng.uniform() > 0.35:
        return beeps
    pitch_hz = rng.uniform(6050, 6180)
    level = amplitude(rng.uniform(-30, -16))
    for _ in range(rng.integers(1, 4)):
        beep_length = min(length, round(rng.uniform(0.2, 0.45) * sample_rate))
        start = rng.integers(0, length - beep_length + 1)
        part = np.linspace(0, 1, beep_length)
        rise_and_fall = np.minimum(1, 12 * part) * np.exp(-2.5 * part) * (1 - part)
        tone = harmonics(pitch_hz * (1 + 0.012 * part), {1: 0.0}, sample_rate, rng)
        beeps[start : start + beep_length] += level * rise_and_fall * tone
    return beeps
