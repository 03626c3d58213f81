import numpy as np
import pytest
from scipy.signal import welch

from anomalous_sound.features.levels import (
    RunningSpread,
    envelope,
    mean_spectrum,
    octave_bands,
    peak_dbfs,
    power_spectrum,
    rms_dbfs,
    spectral_flux,
)

RATE = 16000


def sine(amplitude, hz=1000.0, seconds=1.0):
    time_s = np.arange(int(seconds * RATE)) / RATE
    return (amplitude * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def noise(seconds=10.0, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * RATE)).astype(np.float32)


def total_power(frequencies_hz, decibel):
    return np.sum(10 ** (decibel / 10)) * frequencies_hz[1]


@pytest.mark.parametrize("amplitude", [1.0, 0.5, 0.001])
def test_the_level_of_a_sine(amplitude):
    assert rms_dbfs(sine(amplitude)) == pytest.approx(20 * np.log10(amplitude / np.sqrt(2)))
    # 1 kHz at 16 kHz has a sample on the crest
    assert peak_dbfs(sine(amplitude)) == pytest.approx(20 * np.log10(amplitude), abs=1e-5)


def test_a_negative_peak_counts_and_silence_has_a_level():
    assert peak_dbfs(np.array([0.1, -0.5, 0.2], np.float32)) == pytest.approx(20 * np.log10(0.5))
    assert rms_dbfs(np.zeros(100, np.float32)) == -200


def test_white_noise_has_its_variance_spread_evenly():
    frequencies_hz, decibel = power_spectrum(noise(60), sample_rate=RATE, segment=512)
    assert frequencies_hz.tolist() == (np.arange(257) * RATE / 512).tolist()
    expected = 10 * np.log10(0.1**2 / (RATE / 2))
    np.testing.assert_allclose(decibel[2:-2], expected, atol=0.8)


@pytest.mark.parametrize("segment", [256, 4096])
def test_the_density_adds_up_to_the_power(segment):
    """Parseval: over all frequencies there is the clip's power, whatever the segment."""
    for samples in (noise(), sine(0.3), sine(0.3, hz=440.3)):
        spectrum = power_spectrum(samples, sample_rate=RATE, segment=segment)
        power = np.mean(np.square(samples, dtype=float))
        assert total_power(*spectrum) == pytest.approx(power, rel=0.02)


def test_the_spectrum_is_a_mean_over_hann_segments():
    """Against the discrete Fourier transform written out."""
    samples = noise(0.25)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    segments = [samples[start : start + 512] for start in range(0, len(samples) - 511, 256)]
    segments = np.array([(part - part.mean()) * window for part in segments], dtype=float)
    density = (np.abs(np.fft.rfft(segments, axis=1)) ** 2).mean(axis=0)
    density /= RATE * np.sum(window**2)
    density[1:-1] *= 2
    _, decibel = power_spectrum(samples, sample_rate=RATE, segment=512)
    np.testing.assert_allclose(decibel, 10 * np.log10(density), atol=1e-4)


def test_a_short_clip_has_the_frequencies_of_all_others():
    samples = noise(0.1)
    frequencies_hz, decibel = power_spectrum(samples, sample_rate=RATE, segment=4096)
    assert len(frequencies_hz) == 2049
    expected = welch(samples.astype(float), RATE, nperseg=1600, nfft=4096)
    np.testing.assert_allclose(frequencies_hz, expected[0])
    np.testing.assert_allclose(decibel, 10 * np.log10(expected[1]))
    assert total_power(frequencies_hz, decibel) == pytest.approx(0.01, rel=0.2)


def test_octave_bands_average_the_power():
    frequencies_hz = np.array([0, 400, 500, 600, 1000, 1300, 2000.0])
    decibel = np.array([50, 0, 10, 20, -3, 5, 6.0])
    centres_hz, bands = octave_bands(frequencies_hz, decibel, bands_per_octave=1)
    # 400 to 600 Hz are nearest to 500 Hz, 1300 Hz is nearer to 1000 Hz than to 2000 Hz
    assert centres_hz.tolist() == [500, 1000, 2000]
    powers = [(1 + 10 + 100) / 3, (10**-0.3 + 10**0.5) / 2, 10**0.6]
    np.testing.assert_allclose(bands, 10 * np.log10(powers))


def test_a_flat_spectrum_stays_flat_in_bands():
    frequencies_hz = np.arange(2049) * RATE / 4096
    centres_hz, bands = octave_bands(frequencies_hz, np.full(2049, -70.0), bands_per_octave=12)
    np.testing.assert_allclose(bands, -70)
    assert centres_hz[-1] == 8000
    assert (np.diff(centres_hz) > 0).all()


def test_the_spectral_flux_is_the_mean_square_of_changes():
    """The first band rises by 2 and falls by 4 dB; the second does not change."""
    frames = np.array([[-50.0, -30.0], [-48.0, -30.0], [-52.0, -30.0]], dtype=np.float32)
    np.testing.assert_allclose(spectral_flux(frames), [10 * np.log10(10 + 1e-4), -40.0])
    np.testing.assert_allclose(spectral_flux(frames + 20), spectral_flux(frames))


def test_the_mean_spectrum_averages_the_power_and_has_no_level():
    frames = np.array([[0, -20, -7], [-10, -20, -7]], np.float32)
    mean_db = np.array([10 * np.log10((1 + 0.1) / 2), -20, -7])
    found = mean_spectrum(frames)
    np.testing.assert_allclose(found, mean_db - mean_db.mean(), atol=1e-6)
    np.testing.assert_allclose(mean_spectrum(frames + 30), found, atol=1e-6)


def test_the_envelope_holds_every_sample():
    samples = noise(0.1)
    low, high = envelope(samples, 100)
    parts = samples.reshape(100, 16)
    np.testing.assert_array_equal(low, parts.min(axis=1))
    np.testing.assert_array_equal(high, parts.max(axis=1))
    low, high = envelope(samples, 37)
    assert len(low) == 37
    assert (low.min(), high.max()) == (samples.min(), samples.max())
    for side in envelope(samples[:5], 100):
        np.testing.assert_array_equal(side, samples[:5])


def test_running_spread_agrees_with_numpy():
    spectra = np.random.default_rng(0).normal(-80, 5, (20, 7))
    spread = RunningSpread()
    for number, spectrum in enumerate(spectra, start=1):
        spread.add(spectrum)
        np.testing.assert_allclose(spread.mean, spectra[:number].mean(axis=0))
        assert np.isnan(spread.standard_deviation).all() == (number == 1)
    assert spread.count == 20
    np.testing.assert_allclose(spread.standard_deviation, spectra.std(axis=0, ddof=1))
