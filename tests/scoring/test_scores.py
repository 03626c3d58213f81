import doctest
import itertools
import json

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy.linalg import fractional_matrix_power
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture
from support import BAND_DEVIATION

from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.scoring import pooling, scores
from anomalous_sound.scoring.pooled_error import PooledErrorScore
from anomalous_sound.scoring.score import Score
from anomalous_sound.scoring.scores import fit_score

MIXTURE = {"type": "gaussian_mixture", "components": 2, "reg_covar": 0.1}
NEIGHBOURS = {"type": "nearest_neighbours", "neighbours": 3}
DENSITY = {"type": "local_density", "neighbours": 3}
PLAIN = [{"type": name} for name in ("mean", "maximum", "mean_square")]
BACKENDS = [*PLAIN, MIXTURE, NEIGHBOURS, DENSITY]
POOLINGS = [
    *({"type": name} for name in ("mean", "median", "maximum")),
    {"type": "percentile", "percentile": 90.0},
    {"type": "ranked", "decay": 0.9},
]


def parsed(values):
    return TypeAdapter(ScoreSettings).validate_python(values)


def fit(pooled_errors, machine_ids, seed=1, **changes):
    return fit_score(parsed(BAND_DEVIATION | changes), pooled_errors, machine_ids, seed=seed)


@pytest.mark.parametrize("module", [pooling, scores])
def test_the_examples_run(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_for_a_pooled_error_nothing_is_fitted():
    settings = parsed({"type": "pooled_error", "pooling": {"type": "mean"}})
    pooled = np.array([[3.0], [5.0]])
    score = fit_score(settings, pooled, np.array(["00", "02"]), seed=1)
    assert score == PooledErrorScore(settings)
    assert score.to_json()["fitted"] == {}
    assert score.score(pooled, np.array(["00", "02"])).tolist() == [3, 5]


# two machine IDs, each around a mean of its own, with correlated bands
RNG = np.random.default_rng(3)
MIX = np.array([[1.0, 0, 0], [0.8, 0.6, 0], [0, 0, 2.0]])
IDS = np.array(["00"] * 40 + ["02"] * 60)
CENTRE = {"00": np.array([10.0, 20, 30]), "02": np.array([40.0, 10, 20])}
NORMAL = np.stack([CENTRE[i] for i in IDS]) + RNG.standard_normal((100, 3)) @ MIX.T


def test_band_whitening_by_hand():
    means = {i: NORMAL[i == IDS].mean(axis=0) for i in ("00", "02")}
    rest = np.concatenate([NORMAL[i == IDS] - means[i] for i in ("00", "02")])
    deviations = np.sqrt((rest**2).sum(axis=0) / (100 - 2))
    clip = np.array([[12.0, 18, 33]])
    expected = (clip - means["02"]) / deviations
    for backend, value in (
        ("mean", expected.mean()),
        ("maximum", expected.max()),
        ("mean_square", 10 * np.log10((expected**2).mean())),
    ):
        score = fit(NORMAL, IDS, backend={"type": backend})
        np.testing.assert_allclose(score.whiten(clip, np.array(["02"])), expected)
        assert score.score(clip, np.array(["02"])) == pytest.approx([value])


def test_logarithmic_scale_whitens_logarithms():
    score = fit(np.exp(NORMAL / 10), IDS, scale="logarithmic")
    expected = fit(NORMAL / 10, IDS, scale="linear")
    np.testing.assert_allclose(
        score.score(np.exp(NORMAL / 10), IDS), expected.score(NORMAL / 10, IDS), rtol=1e-6
    )


def test_mahalanobis_is_the_distance_by_the_shrunk_covariance():
    score = fit(NORMAL, IDS, whitening="mahalanobis")
    means = {i: NORMAL[i == IDS].mean(axis=0) for i in ("00", "02")}
    rest = np.stack([x - means[i] for x, i in zip(NORMAL, IDS, strict=True)])
    deviations = np.sqrt((rest**2).sum(axis=0) / 98)
    shrunk = LedoitWolf(assume_centered=True).fit(rest / deviations).covariance_ * 100 / 98
    clip = np.array([11.0, 21, 27])
    z = (clip - means["00"]) / deviations
    expected = z @ np.linalg.inv(shrunk) @ z / 3
    found = score.score(clip[None], np.array(["00"]))
    assert found == pytest.approx([10 * np.log10(expected)])


def test_mahalanobis_sees_a_broken_correlation_that_bands_alone_do_not():
    # both bands deviate as far as one standard deviation, but against each other
    clips = CENTRE["00"] + np.array([[1.0, 1.0, 0], [1.0, -1.0, 0]])
    both = np.array(["00", "00"])
    found = {
        name: fit(NORMAL, IDS, whitening=name).score(clips, both)
        for name in ("band", "mahalanobis")
    }
    assert found["mahalanobis"][1] > found["mahalanobis"][0] + 6  # dB: four times as far
    assert found["band"][1] < found["band"][0] + 3


def test_mahalanobis_whitens_by_the_symmetric_root_of_the_inverse():
    score = fit(NORMAL, IDS, whitening="mahalanobis")
    z = fit(NORMAL, IDS, whitening="band").whiten(NORMAL, IDS)
    shrunk = LedoitWolf(assume_centered=True).fit(z).covariance_ * 100 / 98
    expected = z @ fractional_matrix_power(shrunk, -0.5)
    np.testing.assert_allclose(score.whiten(NORMAL, IDS), expected, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend["type"])
@pytest.mark.parametrize("whitening", ["band", "mahalanobis"])
def test_no_score_depends_on_the_order_of_the_bands(whitening, backend):
    clips, order = NORMAL + 1.5, [2, 0, 1]
    found = [
        fit(NORMAL[:, bands], IDS, whitening=whitening, backend=backend).score(clips[:, bands], IDS)
        for bands in ([0, 1, 2], order)
    ]
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)


def test_a_shared_reference_compares_with_all_normal_clips(caplog):
    score = fit(NORMAL, IDS, reference="machine_type")
    expected = (NORMAL - NORMAL.mean(axis=0)) / NORMAL.std(axis=0, ddof=1)
    np.testing.assert_allclose(score.whiten(NORMAL, IDS), expected)
    score.score(NORMAL[:1], np.array(["05"]))
    assert not caplog.text


def test_a_machine_id_without_normal_clips_is_compared_with_all():
    score = fit(NORMAL, IDS)
    z = score.whiten(NORMAL.mean(axis=0)[None], np.array(["05"]))
    np.testing.assert_allclose(z, 0, atol=1e-12)


def test_nearest_neighbours_by_all_distances():
    score = fit(NORMAL, IDS, backend=NEIGHBOURS)
    clips = NORMAL[:5] + 1.5
    normal = score.whiten(NORMAL, IDS)
    distances = [
        np.sort(np.linalg.norm(normal - z, axis=1))[:3].mean() for z in score.whiten(clips, IDS[:5])
    ]
    np.testing.assert_allclose(score.score(clips, IDS[:5]), distances)


def components_of(score):
    """Yield the weight and the distribution of each component, from the score's JSON values."""
    mixture = score.to_json()["fitted"]["backend"]
    for weight, mean, variance in zip(*mixture.values(), strict=True):
        yield weight, multivariate_normal(mean, np.diag(variance))


def test_gaussian_mixture_is_the_density_of_its_parts():
    score = fit(NORMAL, IDS, backend=MIXTURE)
    z = score.whiten(NORMAL, IDS)
    density = sum(weight * component.pdf(z) for weight, component in components_of(score))
    highest = max(
        weight * component.pdf(component.mean) for weight, component in components_of(score)
    )
    deviance = np.maximum(2 * np.log(highest / density) / 3, 0)
    np.testing.assert_allclose(
        score.score(NORMAL, IDS), 10 * np.log10(deviance + 1e-12), rtol=0, atol=1e-9
    )
    by_scikit_learn = GaussianMixture(2, covariance_type="diag", reg_covar=0.1, random_state=1).fit(
        z
    )
    np.testing.assert_allclose(np.log(density), by_scikit_learn.score_samples(z))


@pytest.mark.parametrize("shift", [0, 3, 100, 1000])
def test_the_density_of_a_restored_mixture_is_exact_far_from_normal_too(shift):
    score = Score.from_json(fit(NORMAL, IDS, backend=MIXTURE).to_json())
    z = score.whiten(NORMAL + shift, IDS)
    expected = np.logaddexp.reduce(
        [np.log(weight) + component.logpdf(z) for weight, component in components_of(score)]
    )
    np.testing.assert_allclose(score.backend.log_density(z), expected, rtol=1e-9)


def test_a_single_gaussian_is_the_mean_squared_deviation_in_decibel():
    score = fit(NORMAL, IDS, backend=MIXTURE | {"components": 1})
    z = score.whiten(NORMAL, IDS)
    clip = NORMAL[:1] + 2
    deviation = (score.whiten(clip, IDS[:1]) - z.mean(axis=0)) ** 2 / (z.var(axis=0) + 0.1)
    expected = 10 * np.log10(deviation.mean())
    assert score.score(clip, IDS[:1]) == pytest.approx([expected])


@pytest.mark.parametrize("backend", BACKENDS[2:], ids=lambda backend: backend["type"])
@pytest.mark.parametrize("whitening", ["band", "mahalanobis"])
def test_what_is_strange_scores_higher_than_what_is_usual(whitening, backend):
    score = fit(NORMAL, IDS, whitening=whitening, backend=backend)
    score = Score.from_json(json.loads(json.dumps(score.to_json())))
    strange = score.score(NORMAL[:10] + 8, IDS[:10])
    usual = score.score(NORMAL, IDS)
    assert strange.min() > usual.max()
    assert score.unit


ALL_OPTIONS = [
    *({"type": "pooled_error", "pooling": pooling} for pooling in POOLINGS),
    *(
        {
            "type": "band_deviation",
            "reads": "errors",
            "prior_clips": 0.0,
            "pooling": pooling,
            "scale": scale,
            "whitening": whitening,
            "reference": reference,
            "backend": backend,
        }
        for pooling, scale, whitening, reference, backend in itertools.product(
            POOLINGS,
            ("linear", "logarithmic"),
            ("band", "mahalanobis"),
            ("machine_id", "machine_type"),
            BACKENDS,
        )
    ),
]


def in_short(values):
    backend = values.get("backend", {}).get("type", "")
    options = (values.get(name, "") for name in ("scale", "whitening", "reference"))
    return "-".join([values["type"], values["pooling"]["type"], *options, backend]).rstrip("-")


@pytest.mark.parametrize("values", ALL_OPTIONS, ids=in_short)
def test_a_score_goes_to_json_and_back_without_losing_a_bit(values):
    score = fit_score(parsed(values), NORMAL, IDS, seed=1)
    written = json.dumps(score.to_json())
    again = Score.from_json(json.loads(written))
    clips, ids = NORMAL * 1.1, np.where(np.arange(len(IDS)) % 10, IDS, "05")
    found = again.score(clips, ids)
    assert found.dtype == np.float64
    assert found.shape == (len(clips),)
    assert np.array_equal(found, score.score(clips, ids))
    assert json.dumps(again.to_json()) == written
    assert again.settings == score.settings == parsed(values)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "dB, mean square deviation of the bands' mean error from that of normal clips"),
        (
            {"backend": {"type": "maximum"}, "pooling": POOLINGS[3]},
            "largest deviation of the bands' 90th percentile error from that of normal clips",
        ),
        (
            {"backend": {"type": "mean"}, "pooling": POOLINGS[4]},
            "mean deviation of the bands' ranked error from that of normal clips",
        ),
        ({"backend": MIXTURE}, "dB, deviance from a Gaussian mixture of normal clips"),
        ({"backend": NEIGHBOURS}, "distance to the nearest normal clips"),
    ],
)
def test_a_score_says_what_it_measures(changes, expected):
    assert fit(NORMAL, IDS, **changes).unit == expected


def test_a_score_of_another_kind_is_refused():
    with pytest.raises(ValidationError, match="expected tags: 'pooled_error', 'band_deviation'"):
        Score.from_json({"settings": {"type": "loudness"}, "fitted": {}})


@pytest.mark.parametrize("whitening", ["band", "mahalanobis"])
def test_few_clips_and_a_dead_band_give_finite_scores(whitening):
    few = NORMAL[:3].copy()
    few[:, 1] = 7.0
    score = fit(few, np.array(["00", "00", "02"]), whitening=whitening)
    assert np.isfinite(score.score(NORMAL[:9], IDS[:9])).all()
