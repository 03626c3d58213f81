"""Signals that sounds are made of: levels, harmonics, coloured noise, impulses, resonances.

Signals are arrays of shape (n,), one value per sample; levels in dB are of RMS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy  # its parts are imported when they are used


def amplitude(level_db: float | np.ndarray) -> float | np.ndarray:
    """Turn a level in dB into a factor of amplitude."""
    return 10 ** (level_db / 20)


def rms_of(samples: np.ndarray) -> float:
    """Return the root mean square of a signal that is not empty."""
    rms: float = float(np.linalg.norm(samples)) / np.sqrt(len(samples))
    return rms


def at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """Scale a signal to an RMS, in dB over 1; silence stays silent."""
    rms = rms_of(samples)
    return samples * (amplitude(level_db) / rms) if rms > 0 else samples


def harmonics(
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
        tone *= amplitude(level_db)
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


def slow_noise(
    rng: np.random.Generator, length: int, sample_rate: int, rate_hz: float
) -> np.ndarray:
    """Return a random curve of about unit variance with ``rate_hz`` knots a second."""
    knots = rng.standard_normal(int(length / sample_rate * rate_hz) + 2)
    places = np.arange(length) * (rate_hz / sample_rate)
    curve: np.ndarray = np.interp(places, np.arange(len(knots)), knots)
    return curve


def coloured_noise(
    rng: np.random.Generator,
    length: int,
    sample_rate: int,
    gain: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Return stationary Gaussian noise of unit RMS whose amplitude spectrum is ``gain(Hz)``."""
    padded = scipy.fft.next_fast_len(length, real=True)
    frequency_hz = scipy.fft.rfftfreq(padded, 1 / sample_rate).astype(np.float32)
    parts = rng.standard_normal((2, len(frequency_hz)), dtype=np.float32)
    spectrum = (parts[0] + 1j * parts[1]) * gain(frequency_hz)
    return at_level(scipy.fft.irfft(spectrum, padded)[:length], 0.0).astype(np.float64)


def band_gain(low_hz: float, high_hz: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return the gain of a band-pass: half power at the edges, 12 dB per octave outside."""

    def gain(frequency_hz: np.ndarray) -> np.ndarray:
        above = 1 + np.square(np.square(low_hz / np.maximum(frequency_hz, 1)))
        below = 1 + np.square(np.square(frequency_hz / high_hz))
        factors: np.ndarray = 1 / np.sqrt(above * below)
        return factors

    return gain


def impulse_train(length: int, places: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return a train of impulses; those after the end are left out."""
    train = np.zeros(length)
    inside = places < length
    np.add.at(train, places[inside], strength[inside])
    return train


def ring(
    excitation: np.ndarray, modes_hz: Sequence[float], decay_s: float, sample_rate: int
) -> np.ndarray:
    """Let resonances ring: each answers an impulse with a sine that falls to 1/e in ``decay_s``."""
    radius = np.exp(-1 / (decay_s * sample_rate))
    sound = np.zeros(len(excitation))
    for mode_hz in modes_hz:
        angle = 2 * np.pi * mode_hz / sample_rate
        if angle < np.pi:
            poles = [1.0, -2 * radius * np.cos(angle), radius**2]
            sound += scipy.signal.lfilter([0.0, radius * np.sin(angle)], poles, excitation)
    return sound


def band_noise(
    rng: np.random.Generator, length: int, sample_rate: int, band_hz: tuple[float, float]
) -> np.ndarray:
    """Return stationary Gaussian noise of unit RMS in a band."""
    return coloured_noise(rng, length, sample_rate, band_gain(*band_hz))
