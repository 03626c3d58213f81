import numpy as np
import pytest

from anomalous_sound.audio.log_mel import frame_count, log_mel_spectrogram, mel_band_centres_hz

REPORT = {"sample_rate": 16000, "n_fft": 2048, "hop_length": 512, "n_mels": 128, "top_db": 80.0}


def test_ten_seconds_are_313_frames():
    samples = np.random.default_rng(0).normal(size=160000).astype(np.float32)
    assert log_mel_spectrogram(samples, **REPORT).shape == (313, 128)
    assert frame_count(160000, 512) == 313


@pytest.mark.parametrize("n_fft", [2048, 1024])
def test_agrees_with_the_formula(n_fft):
    """Against a discrete Fourier transform written out: Hann window, zero padding, Slaney bands."""
    import librosa

    rng = np.random.default_rng(1)
    samples = (rng.normal(size=8000) * np.linspace(0.001, 1, 8000)).astype(np.float32)
    padded = np.pad(samples.astype(float), n_fft // 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = [padded[start : start + n_fft] * window for start in range(0, 8001, 512)]
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    mel = power @ librosa.filters.mel(sr=16000, n_fft=n_fft, n_mels=128).T
    decibel = 10 * np.log10(np.maximum(mel, 1e-10) / mel.max())
    expected = np.maximum(decibel, decibel.max() - 80)
    actual = log_mel_spectrogram(samples, **REPORT | {"n_fft": n_fft})
    np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_a_tone_lies_in_its_band():
    hz = 3000.0
    samples = np.sin(2 * np.pi * hz * np.arange(16000) / 16000).astype(np.float32)
    loudest = log_mel_spectrogram(samples, **REPORT)[10].argmax()
    centres = mel_band_centres_hz(128, 16000)
    assert len(centres) == 128
    assert loudest == np.abs(centres - hz).argmin()


@pytest.mark.recordings
def test_agrees_with_librosa_on_a_real_recording(recordings):
    import librosa

    path = recordings / "slider" / "train" / "normal_id_00_00000000.wav"
    samples, _ = librosa.load(path, sr=None)
    mel = librosa.feature.melspectrogram(y=samples, sr=16000, n_fft=2048, hop_length=512)
    expected = librosa.power_to_db(mel, ref=np.max)
    np.testing.assert_allclose(log_mel_spectrogram(samples, **REPORT), expected.T, atol=1e-3)
