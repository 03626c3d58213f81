import json

import numpy as np
import pytest

from anomalous_sound.decision.spectrum_distance import SpectrumReference, distances_from_others
from anomalous_sound.features.log_mel import mel_band_edges_hz

BANDS, RATE = 128, 16000


@pytest.fixture
def normal():
    """Twelve spectra of three machine IDs: 5, 5 and 2."""
    return np.round(np.random.default_rng(0).normal(0, 2, (12, BANDS)), 2)


MACHINE_IDS = ["00"] * 5 + ["02"] * 5 + ["04"] * 2


@pytest.fixture
def reference(normal):
    return SpectrumReference.fit(MACHINE_IDS, normal, sample_rate=RATE)


def from_the_mean_of_the_others(spectra):
    distances = []
    for left_out in range(len(spectra)):
        others = [spectrum for index, spectrum in enumerate(spectra) if index != left_out]
        difference = spectra[left_out] - sum(others) / len(others)
        distances.append(sum(difference**2 / len(difference)) ** 0.5)
    return distances


@pytest.mark.parametrize("clips", [2, 3, 12])
def test_distances_are_those_of_leaving_each_out(normal, clips):
    np.testing.assert_allclose(
        distances_from_others(normal[:clips]), from_the_mean_of_the_others(normal[:clips])
    )


@pytest.mark.parametrize("machine_id, own", [("00", slice(0, 5)), ("04", slice(0, 12))])
def test_a_clip_is_one_of_all(reference, normal, machine_id, own):
    """Machine ID 04 has two clips, so it is compared with all."""
    for scale in (0.1, 1.0, 3.0):
        spectrum = np.round(np.random.default_rng(1).normal(0, scale, BANDS), 2)
        *of_normal, value = from_the_mean_of_the_others([*normal[own], spectrum])
        found = reference.distance(spectrum, machine_id)
        assert found.value_db == pytest.approx(value)
        assert (found.lowest_db, found.highest_db) == pytest.approx(
            (min(of_normal), max(of_normal))
        )
        as_far = sum(one >= value for one in of_normal)
        assert found.p_value == (1 + as_far) / (len(of_normal) + 1)
        assert found.normal_clips == len(of_normal)


def test_of_a_machine_id_without_normal_clips_nothing_is_said_of_how_often(reference, normal):
    found = reference.distance(normal[0], "07")
    assert (found.p_value, found.normal_clips) == (None, 12)


def test_a_normal_clip_is_the_farthest_as_rarely_as_promised():
    """Of n + 1 clips exactly one is, whichever is judged."""
    spectra = np.round(np.random.default_rng(3).normal(0, 2, (9, BANDS)), 2)
    farthest = []
    for judged in range(9):
        others = np.delete(spectra, judged, axis=0)
        reference = SpectrumReference.fit(["00"] * 8, others, sample_rate=RATE)
        farthest.append(reference.distance(spectra[judged], "00").p_value == pytest.approx(1 / 9))
    assert sum(farthest) == 1


def test_it_survives_json(reference):
    again = SpectrumReference.from_json(json.loads(json.dumps(reference.to_json())))
    assert again == reference
    spectrum = np.linspace(-3, 3, BANDS)
    assert again.distance(spectrum, "02") == reference.distance(spectrum, "02")


def differing(first, last, by_db):
    """Compare a spectrum that differs in bands from one that is flat, but for a little."""
    flat = SpectrumReference.fit(["00"] * 4, np.zeros((4, BANDS)), sample_rate=RATE)
    spectrum = np.random.default_rng(5).uniform(-0.4, 0.4, BANDS)
    spectrum[first:last] += by_db
    return flat.distance(spectrum, "00").where


def test_the_bands_that_differ_most_are_named():
    edges_hz = mel_band_edges_hz(BANDS, RATE)[[20, 60, 80, 100]]
    np.testing.assert_allclose(edges_hz, [480, 1500, 2500, 4000], rtol=0.03)
    assert differing(100, BANDS, -9) == "above 4 kHz (9 dB less)"
    assert differing(0, 20, 6) == "below 480 Hz (6 dB more)"
    assert differing(60, 80, 30) == "between 1.5 kHz and 2.5 kHz (30 dB more)"
    assert differing(0, BANDS, 5) == "at all frequencies (5 dB more)"
    assert differing(44, 45, 40) == "around 1.1 kHz (40 dB more)"
