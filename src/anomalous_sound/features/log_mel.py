"""The representation: log-mel spectrograms in decibels.

They are librosa's, in about a third of its time: frames are transformed in blocks, and a mel band
is summed over its own frequencies only. Transforms are in float32 (librosa's are in float64), which
moves a recording by less than 1e-4 dB, and bands that lie 60 dB and more below a pure tone by up to
6e-3 dB. They are numpy's, which a machine without PyTorch has too: another library's would differ
in the last bits, and so would scores.
"""

from __future__ import annotations

import logging
from functools import lru_cache

import numpy as np

from anomalous_sound.configuration.features import FeatureSettings

logger = logging.getLogger(__name__)

_LEAST_POWER = 1e-10  # smaller powers count as this, so that their logarithm is finite
_EPSILON = np.float32(np.finfo(float).eps)  # added to a power that is relative to nothing

# few and large, and yet matrix products too small to be given two threads
_FRAMES_A_BLOCK = 320
_BANDS_A_BLOCK = 8
# transforms of so many frames stay in the processor's cache
_FRAMES_A_TRANSFORM = 32


def frame_count(samples: int, hop_length: int) -> int:
    """Return the frames of a clip: frames are centred, so floor(samples / hop) + 1."""
    return samples // hop_length + 1


def log_mel_frames(by_channel: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Compute the log-mel frames of a clip: the spectrograms of its channels, side by side.

    Args:
        by_channel: float32, channels × samples, at ``settings.audio.sample_rate``.
        settings: of the spectrogram.

    Returns:
        float32, frames × mel bands, dB; of several channels the bands of one after those of the
        other, each relative to its own maximum.
    """
    found = [log_mel_spectrogram(samples, settings) for samples in by_channel]
    return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


def mean_over_channels(frames: np.ndarray, channels: int) -> np.ndarray:
    """Return one spectrogram of a clip, to be drawn or described: the mean power of its channels.

    Args:
        frames: frames × mel bands of all channels, dB; see :func:`log_mel_frames`.
        channels: how many there are; of one, its frames are returned as they are.

    Returns:
        Frames × mel bands, dB.
    """
    if channels == 1:
        return frames
    power = 10 ** (frames.reshape(len(frames), channels, -1).astype(np.float64) / 10)
    mean: np.ndarray = 10 * np.log10(power.mean(axis=1))
    return mean.astype(np.float32)


def log_mel_spectrogram(samples: np.ndarray, settings: FeatureSettings) -> np.ndarray:
    """Compute the log-mel spectrogram of a clip.

    The same as librosa's power mel spectrogram (Slaney mel scale, Hann window, centred frames,
    zeros beyond the ends), in dB relative to the clip's own maximum and cut ``top_db`` below it.
    Where that is None, it is in dB of the power itself and a smallest number is added to it, as the
    baseline of DCASE 2020 Task 2 does.

    Args:
        samples: float32 mono samples, at ``settings.audio.sample_rate``.
        settings: of the spectrogram.

    Returns:
        float32, frames × mel bands, between -top_db and 0 dB, if there is a top_db.
    """
    n_fft, n_mels = settings.log_mel.n_fft, settings.log_mel.n_mels
    padded = np.pad(samples.astype(np.float32, copy=False), n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[:: settings.log_mel.hop_length]
    bank = _mel_filter_blocks(settings.audio.sample_rate, n_fft, n_mels)
    mel = np.zeros((len(frames), n_mels), dtype=np.float32)
    for start in range(0, len(frames), _FRAMES_A_BLOCK):
        block = slice(start, start + _FRAMES_A_BLOCK)
        power = _power_spectra(frames[block], _hann_window(n_fft))
        for bands, frequencies, weights in bank:
            np.matmul(power[:, frequencies], weights, out=mel[block, bands])
    if settings.log_mel.top_db is None:
        return _decibels(mel + _EPSILON)
    return _decibels_below_maximum(mel, settings.log_mel.top_db)


def mel_band_centres_hz(n_mels: int, sample_rate: int) -> np.ndarray:
    """Return the centre frequency of each mel band, Hz."""
    return _mel_frequencies_hz(n_mels, sample_rate)[1:-1]


def mel_band_edges_hz(n_mels: int, sample_rate: int) -> np.ndarray:
    """Return the frequencies half-way between the centres of mel bands, Hz: n_mels + 1 edges."""
    centres = mel_band_centres_hz(n_mels, sample_rate)
    between = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[0.0], between, [sample_rate / 2]])


def mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> np.ndarray:
    """Return the weight of each frequency in each mel band, as ``librosa.filters.mel`` does.

    Triangles from the centre of the band below to that of the band above, of equal area.

    Args:
        sample_rate: Hz.
        n_fft: samples of a frame.
        n_mels: mel bands.

    Returns:
        float32, mel bands × frequencies (n_fft // 2 + 1 of them, from 0 to half the sample rate).
    """
    edges = _mel_frequencies_hz(n_mels, sample_rate)
    below, centre, above = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hz = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    triangles = np.minimum((hz - below) / (centre - below), (above - hz) / (above - centre))
    filters: np.ndarray = np.maximum(triangles, 0) * 2 / (above - below)
    if empty := int((filters.max(axis=1) == 0).sum()):
        logger.warning(
            "%d of %d mel bands are so narrow that no frequency of a spectrum of %d samples lies "
            "in them; lower log_mel.n_mels or raise log_mel.n_fft.",
            *(empty, n_mels, n_fft),
        )
    return filters.astype(np.float32)


def _mel_frequencies_hz(n_mels: int, sample_rate: int) -> np.ndarray:
    """Return n_mels + 2 frequencies, Hz, evenly spaced in mel from 0 to half the sample rate.

    Slaney's mel scale: 15 mel are 1000 Hz; below that it is linear, above it logarithmic with
    27 mel from one frequency to its 6.4-fold.
    """
    highest_hz = sample_rate / 2
    if highest_hz <= 1000:
        highest_mel = highest_hz * 15 / 1000
    else:
        highest_mel = 15 + 27 * np.log(highest_hz / 1000) / np.log(6.4)
    mel = np.linspace(0, highest_mel, n_mels + 2)
    return np.where(mel <= 15, mel * 1000 / 15, 1000 * 6.4 ** ((mel - 15) / 27))


@lru_cache(maxsize=8)
def _mel_filter_blocks(
    sample_rate: int, n_fft: int, n_mels: int
) -> list[tuple[slice, slice, np.ndarray]]:
    """Return blocks of bands: the bands, the frequencies in them, frequencies × bands weights."""
    filters = mel_filters(sample_rate, n_fft, n_mels)
    blocks = []
    for first in range(0, n_mels, _BANDS_A_BLOCK):
        bands = slice(first, first + _BANDS_A_BLOCK)
        present = np.flatnonzero(filters[bands].any(axis=0))
        if len(present):
            frequencies = slice(present[0], present[-1] + 1)
            blocks.append((bands, frequencies, np.ascontiguousarray(filters[bands, frequencies].T)))
    return blocks


def _power_spectra(frames: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the power of each frequency in each frame, float32."""
    count, n_fft = frames.shape
    # one piece of memory for all transforms: to be given fresh pages takes as long as they do
    windowed = np.empty((_FRAMES_A_TRANSFORM, n_fft), np.float32)
    spectrum = np.empty((_FRAMES_A_TRANSFORM, n_fft // 2 + 1), np.complex64)
    power = np.empty((count, n_fft // 2 + 1), np.float32)
    for start in range(0, count, _FRAMES_A_TRANSFORM):
        some = frames[start : start + _FRAMES_A_TRANSFORM]
        np.multiply(some, window, out=windowed[: len(some)])
        found = np.fft.rfft(windowed[: len(some)], out=spectrum[: len(some)])
        np.square(found.real, out=power[start : start + len(some)])
        power[start : start + len(some)] += np.square(found.imag)
    return power


@lru_cache(maxsize=8)
def _hann_window(length: int) -> np.ndarray:
    """Return the periodic Hann window, float32."""
    phase = 2 * np.pi * np.arange(length) / length
    window: np.ndarray = 0.5 - 0.5 * np.cos(phase)
    return window.astype(np.float32)


def _decibels_below_maximum(power: np.ndarray, top_db: float) -> np.ndarray:
    decibels = _decibels(np.maximum(power, _LEAST_POWER))
    decibels -= decibels.max()
    np.maximum(decibels, -top_db, out=decibels)
    return decibels


def _decibels(power: np.ndarray) -> np.ndarray:
    decibels: np.ndarray = np.log(power)  # a quarter of the time of log10
    decibels *= 10 / np.log(10)
    return decibels
