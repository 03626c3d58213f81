"""The anomaly score of a clip, from the errors of its windows and mel bands.

Without whitening it is the pooled window error: nothing is fitted. With whitening it is a small
thing fitted on normal training clips alone: the errors of each mel band are pooled over time, and
the clip's bands are compared with those of normal clips. No Kedro and no PyTorch in here.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

logger = logging.getLogger(__name__)

TIME_POOLINGS = ("mean", "median", "maximum", "percentile", "ranked")
WHITENINGS = ("none", "band", "mahalanobis")
BAND_POOLINGS = ("mean", "maximum", "mean_square")
BACKENDS = ("none", "gaussian_mixture", "nearest_neighbours")
SCALES = ("linear", "logarithmic")
REFERENCES = ("machine_id", "machine_type")

_SMALLEST_ERROR = 1e-12  # of a squared error; its logarithm stays finite


def pool_over_time(
    errors: np.ndarray, pooling: str, *, percentile: float, decay: float
) -> np.ndarray:
    """Pool the errors of a clip's windows.

    ``ranked`` sorts the windows of each column by error and weights the r-th highest by decay^r
    (global weighted rank pooling: Kolesnikov & Lampert, ECCV 2016): 1 is the mean, 0 the maximum.

    Args:
        errors: windows × columns; a column is a mel band, or the window error.
        pooling: ``mean``, ``median``, ``maximum``, ``percentile`` or ``ranked``.
        percentile: 0 to 100, for ``percentile``.
        decay: 0 to 1, for ``ranked``.

    Returns:
        One value a column, float64.

    Raises:
        ValueError: unknown pooling.
    """
    errors = errors.astype(np.float64)
    match pooling:
        case "mean":
            return errors.mean(axis=0)
        case "median":
            return np.median(errors, axis=0)
        case "maximum":
            return errors.max(axis=0)
        case "percentile":
            return np.percentile(errors, percentile, axis=0)
        case "ranked":
            weights = np.power(float(decay), np.arange(len(errors)))
            highest_first = np.sort(errors, axis=0)[::-1]
            return weights @ highest_first / weights.sum()
    raise ValueError(f"unknown pooling {pooling!r}; accepted: {', '.join(TIME_POOLINGS)}")


def fit_score(
    pooled_errors: np.ndarray, machine_ids: np.ndarray, settings: Mapping[str, Any], *, seed: int
) -> dict[str, Any]:
    """Fit the score on the normal training clips.

    With x the pooled errors of a clip's bands (or their logarithms), m the mean over the normal
    clips of the same machine ID (or of all) and s the standard deviation of each band around these
    means (degrees of freedom: clips less machine IDs):

    - ``band``: z = (x - m) / s
    - ``mahalanobis``: z is then multiplied by C^(-1/2), with C the covariance of the normal z,
      shrunk towards a multiple of the identity (Ledoit & Wolf, J. Multivariate Anal. 88, 2004), so
      that the mean square of z is the Mahalanobis distance squared over the number of bands.

    Args:
        pooled_errors: normal clips × mel bands.
        machine_ids: of each clip.
        settings: ``whitening, scale, reference, backend, components, added_variance, neighbours``.
        seed: of the mixture's start.

    Returns:
        JSON values: what :func:`apply_score` needs besides the settings.
    """
    if settings["whitening"] == "none":
        return {}
    values = _scaled(pooled_errors, settings["scale"])
    groups = _groups(machine_ids, settings["reference"])
    means = {str(group): values[groups == group].mean(axis=0) for group in sorted(set(groups))}
    # a machine ID that has no normal clips is compared with all of them
    fitted: dict[str, Any] = {
        "means": {group: mean.tolist() for group, mean in means.items()},
        "mean_of_all": values.mean(axis=0).tolist(),
    }
    differences = values - np.stack([means[group] for group in groups])
    freedom = max(len(values) - len(means), 1)
    deviations = np.sqrt((differences**2).sum(axis=0) / freedom)
    # a band that never varies is left as it is: any deviation from it is one
    deviations = np.where(deviations > 0, deviations, 1.0)
    fitted["deviations"] = deviations.tolist()
    if settings["whitening"] == "mahalanobis":
        from sklearn.covariance import LedoitWolf

        shrunk = LedoitWolf(assume_centered=True).fit(differences / deviations)
        # centring on the means of the clips' own machine IDs has cost degrees of freedom
        covariance = shrunk.covariance_ * (len(values) / freedom)
        fitted["cholesky"] = np.linalg.cholesky(covariance).tolist()
    whitened = whiten(fitted, pooled_errors, machine_ids, settings)
    return fitted | _fit_backend(whitened, settings, seed)


def whiten(
    fitted: Mapping[str, Any],
    pooled_errors: np.ndarray,
    machine_ids: np.ndarray,
    settings: Mapping[str, Any],
) -> np.ndarray:
    """Compare the bands of clips with those of normal clips: clips × bands, normally around 0 ± 1.

    With ``band`` whitening a column is a mel band; with ``mahalanobis`` it is a mixture of bands.
    """
    values = _scaled(pooled_errors, settings["scale"])
    means = [
        fitted["means"].get(str(group), fitted["mean_of_all"])
        for group in _groups(machine_ids, settings["reference"])
    ]
    standardised = (values - np.array(means)) / np.array(fitted["deviations"])
    if settings["whitening"] == "band":
        return standardised
    from scipy.linalg import solve_triangular

    return solve_triangular(np.array(fitted["cholesky"]), standardised.T, lower=True).T


def apply_score(
    fitted: Mapping[str, Any],
    pooled_errors: np.ndarray,
    machine_ids: np.ndarray,
    settings: Mapping[str, Any],
) -> np.ndarray:
    """Return the anomaly score of each clip; higher is more anomalous.

    - without whitening: the pooled window error itself
    - ``backend: none``: the whitened bands pooled by ``band_pooling``: their ``mean``, ``maximum``,
      or ``mean_square`` in dB, so that 0 dB is as far from normal as normal training clips are
    - ``gaussian_mixture``: the deviance of the whitened bands over their number, in dB: twice by
      how much their log-density lies below the highest that a component reaches; with a single
      component it is the mean of (z - mean)² / variance
    - ``nearest_neighbours``: their mean Euclidean distance to those of the nearest normal clips; a
      clip that was fitted on is its own neighbour

    Args:
        fitted: as :func:`fit_score` returns it.
        pooled_errors: clips × mel bands; clips × 1 without whitening.
        machine_ids: of each clip.
        settings: of the score.

    Returns:
        One score a clip.
    """
    if settings["whitening"] == "none":
        return pooled_errors[:, 0].astype(np.float64)
    unknown = set(machine_ids) - set(fitted["means"])
    if settings["reference"] == "machine_id" and unknown:
        logger.warning(
            "Machine IDs without normal training clips are compared with all others': %s.",
            ", ".join(sorted(unknown)),
        )
    whitened = whiten(fitted, pooled_errors, machine_ids, settings)
    match settings["backend"]:
        case "gaussian_mixture":
            return _decibel(_deviance(whitened, fitted["mixture"]))
        case "nearest_neighbours":
            from sklearn.neighbors import NearestNeighbors

            normal = np.array(fitted["normal_clips"])
            count = min(settings["neighbours"], len(normal))
            distances, _ = NearestNeighbors(n_neighbors=count).fit(normal).kneighbors(whitened)
            return distances.mean(axis=1)
    match settings["band_pooling"]:
        case "mean":
            return whitened.mean(axis=1)
        case "maximum":
            return whitened.max(axis=1)
    return _decibel(np.square(whitened).mean(axis=1))


def unit(settings: Mapping[str, Any]) -> str:
    """Say in words what a score counts."""
    pooling = settings["pooling"]
    if settings["whitening"] == "none":
        return f"{pooling} over time of the squared error of scaled log-mel values"
    if settings["backend"] == "gaussian_mixture":
        return "dB, deviance from a Gaussian mixture of normal clips"
    if settings["backend"] == "nearest_neighbours":
        return "distance to the nearest normal clips"
    if pooling == "percentile":
        pooling = f"{settings['percentile']:g}th percentile"
    words = {"mean_square": "dB, mean square", "mean": "mean", "maximum": "largest"}
    how = words[settings["band_pooling"]]
    return f"{how} deviation of the bands' {pooling} error from that of normal clips"


def _scaled(pooled_errors: np.ndarray, scale: str) -> np.ndarray:
    if scale == "logarithmic":
        return np.log(pooled_errors + _SMALLEST_ERROR)
    return pooled_errors.astype(np.float64)


def _groups(machine_ids: np.ndarray, reference: str) -> np.ndarray:
    ids = np.asarray(machine_ids, dtype=object)
    return ids if reference == "machine_id" else np.full(len(ids), "all", dtype=object)


def _fit_backend(whitened: np.ndarray, settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    match settings["backend"]:
        case "gaussian_mixture":
            from sklearn.mixture import GaussianMixture

            components = min(settings["components"], len(whitened))
            mixture = GaussianMixture(
                components,
                covariance_type="diag",
                reg_covar=settings["added_variance"],
                random_state=seed,
            ).fit(whitened)
            return {
                "mixture": {
                    "weights": mixture.weights_.tolist(),
                    "means": mixture.means_.tolist(),
                    "variances": mixture.covariances_.tolist(),
                }
            }
        case "nearest_neighbours":
            return {"normal_clips": whitened.tolist()}
    return {}


def _deviance(whitened: np.ndarray, mixture: Mapping[str, Any]) -> np.ndarray:
    variances = np.array(mixture["variances"])
    peaks = np.log(mixture["weights"]) - 0.5 * np.log(2 * np.pi * variances).sum(axis=1)
    below = peaks.max() - _log_likelihood(whitened, mixture)
    return np.maximum(2 * below / whitened.shape[1], 0)


def _decibel(squares: np.ndarray) -> np.ndarray:
    # a few clips deviate a thousand times more than others; thresholds that use a standard
    # deviation, and averages of methods, need scores that are spread evenly
    return 10 * np.log10(squares + _SMALLEST_ERROR)


def _log_likelihood(whitened: np.ndarray, mixture: Mapping[str, Any]) -> np.ndarray:
    """Return the log-density of a mixture of Gaussians with diagonal covariances."""
    from scipy.special import logsumexp

    means, variances = np.array(mixture["means"]), np.array(mixture["variances"])
    squares = (whitened[:, None, :] - means) ** 2 / variances
    of_components = -0.5 * (squares + np.log(2 * np.pi * variances)).sum(axis=2)
    return logsumexp(of_components, b=np.array(mixture["weights"]), axis=1)
