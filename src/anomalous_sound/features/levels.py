"""How loud a clip is, and at which frequencies: levels and spectra in dB relative to full scale."""

from __future__ import annotations

import numpy as np

_FULL_SCALE = 1 - 2**-14
_STEADY = 1e-4  # dB², beside which no change of a sound is heard
_FLOOR = 1e-20  # power; what is silent lies at -200 dB, not at minus infinity


def rms_dbfs(samples: np.ndarray) -> float:
    """Return the level of a clip: its root mean square, dB relative to full scale ±1.

    A sine of amplitude 1 has -3.01 dB.
    """
    return float(_decibel(np.mean(np.square(samples, dtype=np.float64))))


def peak_dbfs(samples: np.ndarray) -> float:
    """Return the largest absolute sample, dB relative to full scale ±1; near 0: clipped."""
    return float(_decibel(np.max(np.square(samples, dtype=np.float64))))


def crest_db(samples: np.ndarray) -> float:
    """Return the crest factor of a clip: its largest absolute sample over its level, dB.

    A sine has 3.01 dB, a square wave 0; machines have 10 and more. No gain changes it, clipping
    does.
    """
    return peak_dbfs(samples) - rms_dbfs(samples)


def full_scale_share(samples: np.ndarray) -> float:
    """Return the share of samples that are at full scale ±1, to 15 bits, or beyond."""
    return float(np.mean(np.abs(samples) >= _FULL_SCALE))


def longest_constant(samples: np.ndarray) -> int:
    """Return the length of the longest run of equal samples.

    >>> longest_constant(np.array([0.1, 0.2, 0.2, 0.2, 0.1]))
    3
    """
    starts = np.flatnonzero(np.diff(samples)) + 1
    return int(np.diff(np.concatenate([[0], starts, [len(samples)]])).max())


def power_spectrum(
    samples: np.ndarray, *, sample_rate: int, segment: int
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the power spectral density of a clip by Welch's method.

    Hann segments overlapping by half, each without its mean; one-sided. Over all frequencies the
    density adds up to the clip's power. A clip shorter than a segment is one segment padded with
    zeros, so that all clips have the same frequencies.

    Args:
        samples: mono samples, full scale ±1.
        sample_rate: Hz.
        segment: samples of a segment; frequencies are sample_rate / segment apart.

    Returns:
        Frequencies (Hz, segment // 2 + 1 of them) and density (dB relative to full scale ±1, per
        Hz).
    """
    from scipy.signal import welch

    frequencies_hz, density = welch(
        samples.astype(np.float64),
        fs=sample_rate,
        window="hann",
        nperseg=min(segment, len(samples)),
        nfft=segment,
    )
    return frequencies_hz, _decibel(density)


def mean_spectrum(frames: np.ndarray) -> np.ndarray:
    """Return the mean spectrum of a clip, with its own level removed.

    The power of each mel band is averaged over time; then the mean over the bands, in dB, is taken
    away, so that no gain changes it.

    Args:
        frames: log-mel frames of the clip, frames × mel bands, dB relative to anything.

    Returns:
        float64, dB of each mel band; their mean is 0.
    """
    decibel = _decibel(np.mean(10 ** (frames.astype(np.float64) / 10), axis=0))
    without_level: np.ndarray = decibel - decibel.mean()
    return without_level


def spectral_flux(frames: np.ndarray) -> np.ndarray:
    """Return how much each mel band of a clip changes from frame to frame: its spectral flux.

    No gain changes it, since the difference of two levels in dB knows none.

    Args:
        frames: log-mel frames of the clip, frames × mel bands, dB relative to anything.

    Returns:
        float64, of each mel band the mean square of the difference of neighbouring frames, dB
        relative to 1 dB²; bands that do not change have -40.
    """
    change = np.diff(frames.astype(np.float64), axis=0)
    flux: np.ndarray = 10 * np.log10(np.mean(change**2, axis=0) + _STEADY)
    return flux


def octave_bands(
    frequencies_hz: np.ndarray, decibel: np.ndarray, *, bands_per_octave: int
) -> tuple[np.ndarray, np.ndarray]:
    """Average a spectrum over bands that are equally wide on a logarithmic axis.

    The power is averaged, not the decibels. Bands are centred on 1000 Hz and on
    ``bands_per_octave`` steps to each doubling of it; 0 Hz is left out.

    Args:
        frequencies_hz: of the spectrum, rising.
        decibel: power density at each.
        bands_per_octave: 3 for third octaves.

    Returns:
        Centre frequencies (Hz) of the bands that hold a frequency, and their density (dB).
    """
    positive = frequencies_hz > 0
    octaves = np.log2(frequencies_hz[positive] / 1000)
    bands, starts, counts = np.unique(
        np.round(bands_per_octave * octaves), return_index=True, return_counts=True
    )
    power = np.add.reduceat(10 ** (decibel[positive] / 10), starts) / counts
    return 1000 * 2 ** (bands / bands_per_octave), _decibel(power)


def envelope(samples: np.ndarray, points: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and the highest sample in each of ``points`` equal segments of a clip.

    A clip of fewer samples has one segment per sample.
    """
    segments = min(points, len(samples))
    starts = np.arange(segments) * len(samples) // segments
    return np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)


class RunningSpread:
    """Mean and standard deviation of arrays that are seen one at a time (Welford's method)."""

    def __init__(self) -> None:
        self.count = 0
        self.mean: np.ndarray = np.zeros(())
        self._squares: np.ndarray = np.zeros(())

    def add(self, values: np.ndarray) -> None:
        """Take one more array, of the shape of all others."""
        self.count += 1
        difference = values - self.mean
        self.mean = self.mean + difference / self.count
        self._squares = self._squares + difference * (values - self.mean)

    @property
    def standard_deviation(self) -> np.ndarray:
        """Of the sample, dividing by count - 1; NaN for a single array."""
        if self.count < 2:
            return np.full(self.mean.shape, np.nan)
        spread: np.ndarray = np.sqrt(self._squares / (self.count - 1))
        return spread


def _decibel(power: np.ndarray) -> np.ndarray:
    decibel: np.ndarray = 10 * np.log10(np.maximum(power, _FLOOR))
    return decibel
