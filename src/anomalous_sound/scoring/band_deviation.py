"""How far the mel bands of a clip are from those of normal clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from anomalous_sound.configuration.scoring import (
    BandDeviationSettings,
    GaussianMixtureBackend,
    LocalDensityBackend,
    MaximumBackend,
    MeanBackend,
    MeanSquareBackend,
    NearestNeighboursBackend,
    PercentilePooling,
    Pooling,
)
from anomalous_sound.scoring.backends import FittedBackend, backend_from_json, fit_backend
from anomalous_sound.scoring.score import Score

_SMALLEST_ERROR = 1e-12  # of a squared error; its logarithm stays finite
_LEAST_SHRINKAGE = 1e-6  # below it, a covariance of fewer clips than bands is all but singular


@dataclass(frozen=True, eq=False)
class BandDeviationScore(Score):
    """How far the mel bands of a clip are from those of normal training clips.

    With x the pooled bands of a clip (or their logarithms), m the mean over the normal clips of the
    same machine ID (or of all) and s the standard deviation of each band around these means
    (degrees of freedom: clips less machine IDs), the whitened bands are

    - ``band``: z = (x - m) / s
    - ``mahalanobis``: z C^(-1/2), with C the covariance of the normal z, shrunk towards a multiple
      of the identity (Ledoit & Wolf, J. Multivariate Anal. 88, 2004). The mean square over the
      bands is the squared Mahalanobis distance over their number. The symmetric root, unlike a
      Cholesky factor, mixes the bands in the same way whatever their order.

    With ``prior_clips`` κ, the mean of a machine ID with n normal clips is drawn towards that of
    all: m = (n·mean of its own + κ·mean of all) / (n + κ), and costs n / (n + κ) degrees of freedom
    (the posterior mean of a normal prior that weighs κ clips; Efron & Morris, J. Am. Stat. Assoc.
    70, 1975).

    With the reference ``balanced``, a clip counts w = n / (D n_d) in means, deviations and
    covariance, where n_d of the n clips of its machine ID are of its domain, one of D: so each
    domain counts alike, and a mean costs Σw² / Σw degrees of freedom in place of 1. Only the fit
    knows domains; a clip that is scored needs none.

    The backend turns the whitened bands into one number.

    Attributes:
        settings: of the score.
        means: of each machine ID, or of ``all`` clips: one value a band.
        mean_of_all: one value a band, for machine IDs without normal training clips.
        deviations: one value a band.
        whitener: C^(-1/2), bands × bands; None with ``band`` whitening.
        backend: fitted on the whitened bands of the normal clips.
    """

    settings: BandDeviationSettings
    means: Mapping[str, np.ndarray]
    mean_of_all: np.ndarray
    deviations: np.ndarray
    whitener: np.ndarray | None
    backend: FittedBackend

    @classmethod
    def fit(
        cls,
        settings: BandDeviationSettings,
        pooled: np.ndarray,
        machine_ids: np.ndarray,
        *,
        seed: int,
        domains: np.ndarray | None = None,
    ) -> BandDeviationScore:
        """Fit the score on the pooled errors of normal training clips; see :func:`fit_score`."""
        values = _scaled(pooled, settings.scale)
        groups = _groups(machine_ids, settings.reference)
        counts = np.ones(len(values))
        if settings.reference == "balanced" and domains is not None:
            counts = _balanced(groups, domains)
        mean_of_all = _mean(values, counts)
        prior = settings.prior_clips
        means, spent = {}, 0.0
        for group in sorted(set(groups)):
            own = groups == group
            weight = counts[own].sum() / (counts[own].sum() + prior)
            means[group] = weight * _mean(values[own], counts[own]) + (1 - weight) * mean_of_all
            spent += weight * np.square(counts[own]).sum() / counts[own].sum()
        differences = values - np.stack([means[group] for group in groups])
        freedom = max(len(values) - spent, 1)
        deviations = np.sqrt((counts[:, None] * differences**2).sum(axis=0) / freedom)
        # a band that never varies is not rescaled
        deviations = np.where(deviations > 0, deviations, 1.0)
        standardised = differences / deviations
        whitener = None
        if settings.whitening == "mahalanobis":
            from sklearn.covariance import LedoitWolf

            counted = standardised * np.sqrt(counts)[:, None]
            # its inverse is not asked for, and takes longer than all else
            shrunk = LedoitWolf(store_precision=False, assume_centered=True).fit(counted)
            covariance = shrunk.covariance_
            if not standardised.any():
                # clips that are their own means say nothing of how bands go together
                covariance = np.eye(len(deviations))
            elif shrunk.shrinkage_ < _LEAST_SHRINKAGE and freedom < len(deviations):
                # of two clips that mirror each other it finds nothing to shrink, and the covariance
                # has no inverse: it is shrunk all the way
                covariance = np.eye(len(deviations)) * (counted**2).mean()
            # centring on the means of the machine IDs has cost degrees of freedom
            whitener = _inverse_root(covariance * (len(values) / freedom))
        backend = fit_backend(settings.backend, _decorrelated(standardised, whitener), seed=seed)
        return cls(settings, means, mean_of_all, deviations, whitener, backend)

    @property
    def unit(self) -> str:
        """What the score measures, in words."""
        match self.settings.backend:
            case GaussianMixtureBackend():
                return "dB, deviance from a Gaussian mixture of normal clips"
            case NearestNeighboursBackend():
                return "distance to the nearest normal clips"
            case LocalDensityBackend():
                return "dB, distance to the nearest normal clip over that of normal clips there"
            case MeanSquareBackend():
                how = "dB, mean square"
            case MeanBackend():
                how = "mean"
            case MaximumBackend():
                how = "largest"
        pooling = _in_words(self.settings.pooling)
        what = "error" if self.settings.reads == "errors" else "value"
        return f"{how} deviation of the bands' {pooling} {what} from that of normal clips"

    def whiten(self, pooled: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Compare the bands of clips with those of normal clips.

        Args:
            pooled: clips × mel bands.
            machine_ids: of each clip; one without normal training clips is compared with all.

        Returns:
            Clips × bands, for normal clips around 0 ± 1. With ``band`` whitening a column is a mel
            band; with ``mahalanobis`` it is a mixture of bands.
        """
        values = _scaled(pooled, self.settings.scale)
        groups = _groups(machine_ids, self.settings.reference)
        means = np.array([self.means.get(group, self.mean_of_all) for group in groups])
        return _decorrelated((values - means) / self.deviations, self.whitener)

    def score(self, pooled: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the backend's score of the whitened bands; see :meth:`Score.score`."""
        # one clip at a time: in a product of many clips, the last bit of each depends on the others
        one_by_one = [
            self.backend.score(self.whiten(pooled[clip : clip + 1], machine_ids[[clip]]))
            for clip in range(len(pooled))
        ]
        return np.concatenate([np.empty(0), *one_by_one])

    def to_json(self) -> dict[str, Any]:
        """Return ``settings`` and what was ``fitted``, as JSON values; no bit is lost."""
        fitted = {
            "means": {group: mean.tolist() for group, mean in self.means.items()},
            "mean_of_all": self.mean_of_all.tolist(),
            "deviations": self.deviations.tolist(),
            "whitener": None if self.whitener is None else self.whitener.tolist(),
            "backend": self.backend.to_json(),
        }
        return {"settings": self.settings.model_dump(mode="json"), "fitted": fitted}

    @classmethod
    def from_fitted(
        cls, settings: BandDeviationSettings, fitted: Mapping[str, Any]
    ) -> BandDeviationScore:
        """Rebuild a score from its settings and the ``fitted`` part of its JSON values."""
        whitener = fitted["whitener"]
        return cls(
            settings,
            {group: np.array(mean) for group, mean in fitted["means"].items()},
            np.array(fitted["mean_of_all"]),
            np.array(fitted["deviations"]),
            None if whitener is None else np.array(whitener),
            backend_from_json(settings.backend, fitted["backend"]),
        )


def _scaled(pooled: np.ndarray, scale: Literal["linear", "logarithmic"]) -> np.ndarray:
    if scale == "logarithmic":
        logarithms: np.ndarray = np.log(pooled + _SMALLEST_ERROR)
        return logarithms
    return pooled.astype(np.float64)


def _groups(machine_ids: np.ndarray, reference: str) -> np.ndarray:
    """Name the group of normal clips that each clip is compared with."""
    ids = np.array([str(machine_id) for machine_id in machine_ids], dtype=object)
    return np.full(len(ids), "all", dtype=object) if reference == "machine_type" else ids


def _balanced(groups: np.ndarray, domains: np.ndarray) -> np.ndarray:
    """Return how much each clip counts, so that the domains of a group count alike."""
    counts = np.empty(len(groups))
    for group in set(groups):
        own = np.flatnonzero(groups == group)
        names, places, clips = np.unique(
            domains[own].astype(str), return_inverse=True, return_counts=True
        )
        counts[own] = len(own) / (len(names) * clips[places])
    return counts


def _mean(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean of clips of which each counts so much."""
    mean: np.ndarray = (counts[:, None] * values).sum(axis=0) / counts.sum()
    return mean


def _inverse_root(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric inverse square root of a covariance."""
    values, vectors = np.linalg.eigh(covariance)
    # rounding may take the smallest of them to 0 or below
    values = np.maximum(values, np.finfo(np.float64).eps * values.max())
    root: np.ndarray = (vectors / np.sqrt(values)) @ vectors.T
    return root


def _decorrelated(standardised: np.ndarray, whitener: np.ndarray | None) -> np.ndarray:
    return standardised if whitener is None else standardised @ whitener


def _in_words(pooling: Pooling) -> str:
    if isinstance(pooling, PercentilePooling):
        return f"{pooling.percentile:g}th percentile"
    return pooling.type
