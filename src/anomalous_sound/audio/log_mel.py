"""The representation: log-mel spectrograms in decibels."""

from __future__ import annotations

import numpy as np


def frame_count(samples: int, hop_length: int) -> int:
    """Return the frames of a clip: frames are centred, so floor(samples / hop) + 1."""
    return samples // hop_length + 1


def log_mel_spectrogram(
    samples: np.ndarray,
    *,
    sample_rate: int,
    n_fft: int,
    hop_length: int,
    n_mels: int,
    top_db: float,
) -> np.ndarray:
    """Compute the log-mel spectrogram of a clip.

    librosa's power mel spectrogram (Slaney mel scale, Hann window, centred frames), in dB relative
    to the clip's own maximum and cut ``top_db`` below it.

    Args:
        samples: float32 mono samples.
        sample_rate: Hz.
        n_fft: samples of a frame.
        hop_length: samples from one frame to the next.
        n_mels: mel bands.
        top_db: dynamic range, dB.

    Returns:
        float32, frames × mel bands, between -top_db and 0 dB.
    """
    import librosa

    power = librosa.feature.melspectrogram(
        y=samples, sr=sample_rate, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels
    )
    decibel = librosa.power_to_db(power, ref=np.max, top_db=top_db)
    return np.ascontiguousarray(decibel.T, dtype=np.float32)


def mel_band_centres_hz(n_mels: int, sample_rate: int) -> np.ndarray:
    """Return the centre frequency of each mel band, Hz."""
    import librosa

    return librosa.mel_frequencies(n_mels=n_mels + 2, fmin=0.0, fmax=sample_rate / 2)[1:-1]
