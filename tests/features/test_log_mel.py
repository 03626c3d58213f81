import numpy as np
import pytest
from features_of_report import FEATURES, features_with

from anomalous_sound.features.log_mel import (
    frame_count,
    log_mel_spectrogram,
    mel_band_centres_hz,
    mel_filters,
)


def librosas(samples, settings=FEATURES):
    """The plain formula."""
    import librosa

    how = settings.log_mel.model_dump(exclude={"top_db"})
    power = librosa.feature.melspectrogram(y=samples, sr=settings.audio.sample_rate, **how)
    return librosa.power_to_db(power, ref=np.max, top_db=settings.log_mel.top_db).T


def test_ten_seconds_are_313_frames():
    samples = np.random.default_rng(0).normal(size=160000).astype(np.float32)
    assert log_mel_spectrogram(samples, FEATURES).shape == (313, 128)
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
    actual = log_mel_spectrogram(samples, features_with(n_fft=n_fft))
    np.testing.assert_allclose(actual, expected, atol=1e-3)


def test_decibels_of_the_power_itself_are_those_of_the_challenge_s_baseline():
    """As ``common.py`` of the 2020 baseline computes them, but with zeros beyond the ends."""
    import librosa

    samples = np.random.default_rng(4).normal(scale=0.01, size=16000).astype(np.float32)
    samples[8000:12000] = 0
    mel = librosa.feature.melspectrogram(y=samples, sr=16000, n_fft=1024, hop_length=512, power=2.0)
    expected = 20.0 / 2.0 * np.log10(mel + np.finfo(float).eps)
    actual = log_mel_spectrogram(samples, features_with(n_fft=1024, top_db=None))
    inside = slice(2, -2)
    np.testing.assert_allclose(actual[inside], expected.T[inside], atol=2e-2)
    loud = log_mel_spectrogram(10 * samples, features_with(n_fft=1024, top_db=None))
    np.testing.assert_allclose(loud[2:14] - actual[2:14], 20, atol=1e-3)


@pytest.mark.filterwarnings("ignore:Empty filters:UserWarning", "ignore:n_fft=:UserWarning")
@pytest.mark.parametrize("n_samples", [1, 513, 2047, 16000, 176001])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"n_fft": 1024},
        {"n_fft": 1000, "hop_length": 333},
        {"n_fft": 1025, "hop_length": 512},
        {"hop_length": 3000},
        {"n_mels": 40, "top_db": 60.0},
        {"n_mels": 1},
        {"n_mels": 300},
        {"sample_rate": 8000, "n_fft": 512, "hop_length": 160},
        {"sample_rate": 1500},
        {"sample_rate": 44100, "n_mels": 64},
    ],
    ids=str,
)
def test_agrees_with_librosa(changed, n_samples):
    settings = features_with(**changed)
    rng = np.random.default_rng(2)
    samples = rng.normal(size=n_samples) * np.geomspace(0.001, 1, n_samples)
    samples = samples.astype(np.float32)
    actual, expected = log_mel_spectrogram(samples, settings), librosas(samples, settings)
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_a_tone_and_an_offset_mask_only_what_is_far_below_them(offset):
    """Single precision: an error 140 dB below the loudest frequency."""
    rng = np.random.default_rng(3)
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(32000) / 16000) + offset
    samples = (tone + 1e-3 * rng.normal(size=32000)).astype(np.float32)
    actual, expected = log_mel_spectrogram(samples, FEATURES), librosas(samples, FEATURES)
    np.testing.assert_allclose(actual, expected, atol=1e-2)
    heard = expected > -40
    np.testing.assert_allclose(actual[heard], expected[heard], atol=1e-4)


def test_silence_and_the_faintest_sound():
    silence = np.zeros(16000, dtype=np.float32)
    np.testing.assert_array_equal(log_mel_spectrogram(silence, FEATURES), 0)
    faint = np.float32(1e-7) * np.random.default_rng(4).normal(size=16000).astype(np.float32)
    np.testing.assert_allclose(
        log_mel_spectrogram(faint, FEATURES), librosas(faint, FEATURES), atol=1e-4
    )


def test_the_samples_are_left_as_they_are():
    samples = np.random.default_rng(5).normal(size=16000).astype(np.float32)
    before = samples.copy()
    log_mel_spectrogram(samples, FEATURES)
    np.testing.assert_array_equal(samples, before)


@pytest.mark.filterwarnings("ignore:Empty filters:UserWarning")
@pytest.mark.parametrize("sample_rate", [1500, 8000, 16000, 44100])
@pytest.mark.parametrize(("n_fft", "n_mels"), [(512, 20), (1000, 64), (2048, 128), (2048, 300)])
def test_filters_and_centres_are_librosas(sample_rate, n_fft, n_mels):
    import librosa

    expected = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels)
    actual = mel_filters(sample_rate, n_fft, n_mels)
    np.testing.assert_allclose(actual, expected, atol=1e-5 * expected.max())
    centres = librosa.mel_frequencies(n_mels=n_mels + 2, fmin=0.0, fmax=sample_rate / 2)[1:-1]
    np.testing.assert_allclose(mel_band_centres_hz(n_mels, sample_rate), centres)


def test_bands_without_a_frequency_are_told(caplog):
    caplog.set_level("WARNING", "anomalous_sound")
    mel_filters(16000, 2048, 128)
    assert not caplog.messages
    mel_filters(44100, 512, 128)
    assert "of 128 mel bands are so narrow" in caplog.text


def test_a_tone_lies_in_its_band():
    hz = 3000.0
    samples = np.sin(2 * np.pi * hz * np.arange(16000) / 16000).astype(np.float32)
    loudest = log_mel_spectrogram(samples, FEATURES)[10].argmax()
    centres = mel_band_centres_hz(128, 16000)
    assert len(centres) == 128
    assert loudest == np.abs(centres - hz).argmin()


@pytest.mark.recordings
def test_agrees_with_librosa_on_a_real_recording(recordings):
    import librosa

    path = recordings / "slider" / "train" / "normal_id_00_00000000.wav"
    samples, _ = librosa.load(path, sr=None)
    actual, expected = log_mel_spectrogram(samples, FEATURES), librosas(samples, FEATURES)
    np.testing.assert_allclose(actual, expected, atol=1e-4)
