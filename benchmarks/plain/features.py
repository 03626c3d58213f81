"""Log-mel spectrograms, file by file, with librosa."""

from pathlib import Path

import librosa
import numpy as np


def log_mel(path: Path) -> np.ndarray:
    """Return float32 frames × mel bands, dB below the clip's maximum."""
    samples, rate = librosa.load(path, sr=16000)
    power = librosa.feature.melspectrogram(
        y=samples, sr=rate, n_fft=2048, hop_length=512, n_mels=128
    )
    return librosa.power_to_db(power, ref=np.max, top_db=80.0).T


def scaled(decibels: np.ndarray) -> np.ndarray:
    """Bring a clip to [0, 1]."""
    return (decibels - decibels.min()) / (decibels.max() - decibels.min())
