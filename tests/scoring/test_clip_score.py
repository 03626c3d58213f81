import json

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture

from anomalous_sound.scoring.clip_score import apply_score, fit_score, pool_over_time, unit, whiten

PLAIN = {
    "pooling": "mean",
    "percentile": 90.0,
    "whitening": "none",
    "scale": "linear",
    "reference": "machine_id",
    "band_pooling": "mean_square",
    "backend": "none",
    "components": 2,
    "added_variance": 0.1,
    "neighbours": 1,
}
HOW = {"percentile": 75.0, "decay": 0.5}


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [4.0, 1.0]),
        ("median", [3.0, 0.5]),
        ("maximum", [9.0, 3.0]),
        # three quarters of the way through 1, 2, 4, 9: a quarter of the step from 4 to 9
        ("percentile", [5.25, 1.5]),
        # weights 1, 1/2, 1/4, 1/8 of the errors from the highest down
        ("ranked", [(9 + 4 / 2 + 2 / 4 + 1 / 8) / 1.875, (3 + 1 / 2) / 1.875]),
    ],
)
def test_pooling_over_time_by_hand(pooling, expected):
    errors = np.array([[1, 0], [9, 1], [2, 0], [4, 3]], dtype=np.float32)
    assert pool_over_time(errors, pooling, **HOW) == pytest.approx(expected)


def test_ranked_pooling_lies_between_the_maximum_and_the_mean():
    errors = np.random.default_rng(0).random((303, 8))
    assert pool_over_time(errors, "ranked", percentile=0, decay=1.0) == pytest.approx(
        errors.mean(axis=0)
    )
    assert pool_over_time(errors, "ranked", percentile=0, decay=0.0) == pytest.approx(
        errors.max(axis=0)
    )


def test_unknown_pooling():
    with pytest.raises(ValueError, match="accepted: mean, median, maximum, percentile, ranked"):
        pool_over_time(np.ones((3, 2)), "middle", **HOW)


def test_without_whitening_nothing_is_fitted():
    pooled = np.array([[3.0], [5.0]])
    fitted = fit_score(pooled, np.array(["00", "02"]), PLAIN, seed=1)
    assert fitted == {}
    assert apply_score(fitted, pooled, np.array(["00", "02"]), PLAIN).tolist() == [3, 5]


# two machine IDs, each around a mean of its own, with correlated bands
RNG = np.random.default_rng(3)
MIX = np.array([[1.0, 0, 0], [0.8, 0.6, 0], [0, 0, 2.0]])
IDS = np.array(["00"] * 40 + ["02"] * 60)
CENTRE = {"00": np.array([10.0, 20, 30]), "02": np.array([40.0, 10, 20])}
NORMAL = np.stack([CENTRE[i] for i in IDS]) + RNG.standard_normal((100, 3)) @ MIX.T


def test_band_whitening_by_hand():
    settings = PLAIN | {"whitening": "band"}
    fitted = fit_score(NORMAL, IDS, settings, seed=1)
    means = {i: NORMAL[i == IDS].mean(axis=0) for i in ("00", "02")}
    rest = np.concatenate([NORMAL[i == IDS] - means[i] for i in ("00", "02")])
    deviations = np.sqrt((rest**2).sum(axis=0) / (100 - 2))
    clip = np.array([[12.0, 18, 33]])
    expected = (clip - means["02"]) / deviations
    np.testing.assert_allclose(whiten(fitted, clip, np.array(["02"]), settings), expected)
    for pooling, score in (
        ("mean", expected.mean()),
        ("maximum", expected.max()),
        ("mean_square", 10 * np.log10((expected**2).mean())),
    ):
        found = apply_score(fitted, clip, np.array(["02"]), settings | {"band_pooling": pooling})
        assert found == pytest.approx([score])


def test_logarithmic_scale_whitens_logarithms():
    linear, logarithmic = (
        PLAIN | {"whitening": "band", "scale": s} for s in ("linear", "logarithmic")
    )
    fitted = fit_score(np.exp(NORMAL / 10), IDS, logarithmic, seed=1)
    expected = fit_score(NORMAL / 10, IDS, linear, seed=1)
    np.testing.assert_allclose(
        apply_score(fitted, np.exp(NORMAL / 10), IDS, logarithmic),
        apply_score(expected, NORMAL / 10, IDS, linear),
        rtol=1e-6,
    )


def test_mahalanobis_is_the_distance_by_the_shrunk_covariance():
    settings = PLAIN | {"whitening": "mahalanobis"}
    fitted = fit_score(NORMAL, IDS, settings, seed=1)
    means = {i: NORMAL[i == IDS].mean(axis=0) for i in ("00", "02")}
    rest = np.stack([x - means[i] for x, i in zip(NORMAL, IDS, strict=True)])
    deviations = np.sqrt((rest**2).sum(axis=0) / 98)
    shrunk = LedoitWolf(assume_centered=True).fit(rest / deviations).covariance_ * 100 / 98
    clip = np.array([11.0, 21, 27])
    z = (clip - means["00"]) / deviations
    expected = z @ np.linalg.inv(shrunk) @ z / 3
    found = apply_score(fitted, clip[None], np.array(["00"]), settings)
    assert found == pytest.approx([10 * np.log10(expected)])


def test_mahalanobis_sees_a_broken_correlation_that_bands_alone_do_not():
    settings = {w: PLAIN | {"whitening": w} for w in ("band", "mahalanobis")}
    # both bands deviate as far as one standard deviation, but against each other
    clips = CENTRE["00"] + np.array([[1.0, 1.0, 0], [1.0, -1.0, 0]])
    both = np.array(["00", "00"])
    scores = {
        name: apply_score(fit_score(NORMAL, IDS, s, seed=1), clips, both, s)
        for name, s in settings.items()
    }
    assert scores["mahalanobis"][1] > scores["mahalanobis"][0] + 6  # dB: four times as far
    assert scores["band"][1] < scores["band"][0] + 3


def test_a_shared_reference_compares_with_all_normal_clips():
    settings = PLAIN | {"whitening": "band", "reference": "machine_type"}
    fitted = fit_score(NORMAL, IDS, settings, seed=1)
    expected = (NORMAL - NORMAL.mean(axis=0)) / NORMAL.std(axis=0, ddof=1)
    np.testing.assert_allclose(whiten(fitted, NORMAL, IDS, settings), expected)


def test_a_machine_id_without_normal_clips_is_compared_with_all(caplog):
    settings = PLAIN | {"whitening": "band"}
    fitted = fit_score(NORMAL, IDS, settings, seed=1)
    z = whiten(fitted, NORMAL.mean(axis=0)[None], np.array(["05"]), settings)
    np.testing.assert_allclose(z, 0, atol=1e-12)
    apply_score(fitted, NORMAL[:1], np.array(["05"]), settings)
    assert "Machine IDs without normal training clips" in caplog.text


def test_nearest_neighbours_by_all_distances():
    settings = PLAIN | {"whitening": "band", "backend": "nearest_neighbours", "neighbours": 3}
    fitted = fit_score(NORMAL, IDS, settings, seed=1)
    clips = NORMAL[:5] + 1.5
    normal = whiten(fitted, NORMAL, IDS, settings)
    distances = [
        np.sort(np.linalg.norm(normal - z, axis=1))[:3].mean()
        for z in whiten(fitted, clips, IDS[:5], settings)
    ]
    np.testing.assert_allclose(apply_score(fitted, clips, IDS[:5], settings), distances)


def test_gaussian_mixture_is_the_density_of_its_parts():
    settings = PLAIN | {"whitening": "band", "backend": "gaussian_mixture"}
    fitted = fit_score(NORMAL, IDS, settings, seed=1)
    z = whiten(fitted, NORMAL, IDS, settings)
    mixture = fitted["mixture"]
    density = sum(
        weight * multivariate_normal(mean, np.diag(variance)).pdf(z)
        for weight, mean, variance in zip(*mixture.values(), strict=True)
    )
    highest = max(
        weight * multivariate_normal(mean, np.diag(variance)).pdf(mean)
        for weight, mean, variance in zip(*mixture.values(), strict=True)
    )
    deviance = np.maximum(2 * np.log(highest / density) / 3, 0)
    np.testing.assert_allclose(
        apply_score(fitted, NORMAL, IDS, settings), 10 * np.log10(deviance + 1e-12), atol=1e-6
    )
    by_scikit_learn = GaussianMixture(2, covariance_type="diag", reg_covar=0.1, random_state=1).fit(
        z
    )
    np.testing.assert_allclose(np.log(density), by_scikit_learn.score_samples(z))


def test_a_single_gaussian_is_the_mean_squared_deviation_in_decibel():
    settings = PLAIN | {"whitening": "band", "backend": "gaussian_mixture", "components": 1}
    fitted = fit_score(NORMAL, IDS, settings, seed=1)
    z = whiten(fitted, NORMAL, IDS, settings)
    clip = NORMAL[:1] + 2
    deviation = (whiten(fitted, clip, IDS[:1], settings) - z.mean(axis=0)) ** 2 / (
        z.var(axis=0) + 0.1
    )
    expected = 10 * np.log10(deviation.mean())
    assert apply_score(fitted, clip, IDS[:1], settings) == pytest.approx([expected])


@pytest.mark.parametrize("backend", ["none", "gaussian_mixture", "nearest_neighbours"])
@pytest.mark.parametrize("whitening", ["band", "mahalanobis"])
def test_what_is_fitted_survives_as_json_and_finds_what_is_strange(whitening, backend):
    settings = PLAIN | {"whitening": whitening, "backend": backend}
    fitted = json.loads(json.dumps(fit_score(NORMAL, IDS, settings, seed=1)))
    strange = apply_score(fitted, NORMAL[:10] + 8, IDS[:10], settings)
    usual = apply_score(fitted, NORMAL, IDS, settings)
    assert strange.min() > usual.max()
    assert unit(settings)


@pytest.mark.parametrize("whitening", ["band", "mahalanobis"])
def test_few_clips_and_a_dead_band_give_finite_scores(whitening):
    settings = PLAIN | {"whitening": whitening}
    few = NORMAL[:3].copy()
    few[:, 1] = 7.0
    ids = np.array(["00", "00", "02"])
    scores = apply_score(fit_score(few, ids, settings, seed=1), NORMAL[:9], IDS[:9], settings)
    assert np.isfinite(scores).all()
