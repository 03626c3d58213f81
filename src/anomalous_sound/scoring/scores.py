"""The anomaly score of a clip, from the pooled errors of its windows or mel bands.

A score is fitted on normal training clips alone, with :func:`fit_score`:

    >>> from anomalous_sound.configuration.scoring import MeanPooling
    >>> settings = PooledErrorSettings(type="pooled_error", pooling=MeanPooling(type="mean"))
    >>> score = fit_score(settings, np.array([[0.5]]), np.array(["00"]), seed=0)
    >>> score.score(np.array([[0.7], [0.4]]), np.array(["00", "02"]))
    array([0.7, 0.4])
    >>> Score.from_json(score.to_json()).unit
    'mean over time of the squared error of scaled log-mel values'
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

from anomalous_sound.configuration.scoring import (
    BandDeviationSettings,
    GaussianMixtureBackend,
    MaximumBackend,
    MeanBackend,
    MeanSquareBackend,
    NearestNeighboursBackend,
    PercentilePooling,
    PooledErrorSettings,
    Pooling,
    ScoreSettings,
)
from anomalous_sound.scoring.backends import FittedBackend, backend_from_json, fit_backend

_SMALLEST_ERROR = 1e-12  # of a squared error; its logarithm stays finite
_LEAST_SHRINKAGE = 1e-6  # below it, a covariance of fewer clips than bands is all but singular


class Score(ABC):
    """A score that is ready to judge clips."""

    settings: ScoreSettings

    @property
    @abstractmethod
    def unit(self) -> str:
        """What the score measures, in words."""

    @abstractmethod
    def score(self, pooled_errors: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the anomaly score of each clip; higher is more anomalous.

        Args:
            pooled_errors: clips × columns, as :func:`anomalous_sound.scoring.pooling.pool_clip`
                returns them.
            machine_ids: of each clip.

        Returns:
            One score a clip, float64.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return ``settings`` and what was ``fitted``, as JSON values; no bit is lost."""

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Score:
        """Rebuild a score from what :meth:`to_json` returned.

        Raises:
            pydantic.ValidationError: the settings are not those of a score.
        """
        adapter: TypeAdapter[ScoreSettings] = TypeAdapter(ScoreSettings)
        settings = adapter.validate_python(values["settings"])
        match settings:
            case PooledErrorSettings():
                return PooledErrorScore(settings)
            case BandDeviationSettings():
                return BandDeviationScore.from_fitted(settings, values["fitted"])


def fit_score(
    settings: ScoreSettings, pooled_errors: np.ndarray, machine_ids: np.ndarray, *, seed: int
) -> Score:
    """Fit a score on normal training clips.

    Args:
        settings: which score, and its options.
        pooled_errors: normal clips × columns.
        machine_ids: of each clip.
        seed: of a Gaussian mixture's start.
    """
    match settings:
        case PooledErrorSettings():
            return PooledErrorScore(settings)
        case BandDeviationSettings():
            return BandDeviationScore.fit(settings, pooled_errors, machine_ids, seed=seed)


def clip_score(score: Score, pooled_errors: np.ndarray, machine_id: str) -> float:
    """Return the anomaly score of one clip: the mean of the scores of its members' errors.

    Args:
        score: the fitted score.
        pooled_errors: members × columns, as :func:`anomalous_sound.scoring.pooling.pool_clip`
            returns them.
        machine_id: of the clip.
    """
    machine_ids = np.full(len(pooled_errors), machine_id, dtype=object)
    return float(np.mean(score.score(pooled_errors, machine_ids)))


@dataclass(frozen=True)
class PooledErrorScore(Score):
    """The pooled window error itself; nothing is fitted."""

    settings: PooledErrorSettings

    @property
    def unit(self) -> str:
        """What the score measures, in words."""
        pooling = self.settings.pooling.type
        return f"{pooling} over time of the squared error of scaled log-mel values"

    def score(self, pooled_errors: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the only column of the pooled errors; see :meth:`Score.score`."""
        return pooled_errors[:, 0].astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"settings": self.settings.model_dump(mode="json"), "fitted": {}}


@dataclass(frozen=True, eq=False)
class BandDeviationScore(Score):
    """How far the mel bands of a clip are from those of normal training clips.

    With x the pooled errors of a clip's bands (or their logarithms), m the mean over the normal
    clips of the same machine ID (or of all) and s the standard deviation of each band around these
    means (degrees of freedom: clips less machine IDs), the whitened bands are

    - ``band``: z = (x - m) / s
    - ``mahalanobis``: L⁻¹ z, where L is the Cholesky factor of C, the covariance of the normal z,
      shrunk towards a multiple of the identity (Ledoit & Wolf, J. Multivariate Anal. 88, 2004); the
      mean square over the bands is the squared Mahalanobis distance over their number.

    The backend turns the whitened bands into one number.

    Attributes:
        settings: of the score.
        means: of each machine ID, or of ``all`` clips: one value a band.
        mean_of_all: one value a band, for machine IDs without normal training clips.
        deviations: one value a band.
        cholesky: L, bands × bands; None with ``band`` whitening.
        backend: fitted on the whitened bands of the normal clips.
    """

    settings: BandDeviationSettings
    means: Mapping[str, np.ndarray]
    mean_of_all: np.ndarray
    deviations: np.ndarray
    cholesky: np.ndarray | None
    backend: FittedBackend

    @classmethod
    def fit(
        cls,
        settings: BandDeviationSettings,
        pooled_errors: np.ndarray,
        machine_ids: np.ndarray,
        *,
        seed: int,
    ) -> BandDeviationScore:
        """Fit the score on the pooled errors of normal training clips; see :func:`fit_score`."""
        values = _scaled(pooled_errors, settings.scale)
        groups = _groups(machine_ids, settings.reference)
        means = {group: values[groups == group].mean(axis=0) for group in sorted(set(groups))}
        mean_of_all = values.mean(axis=0)
        differences = values - np.stack([means[group] for group in groups])
        freedom = max(len(values) - len(means), 1)
        deviations = np.sqrt((differences**2).sum(axis=0) / freedom)
        # a band that never varies is not rescaled
        deviations = np.where(deviations > 0, deviations, 1.0)
        standardised = differences / deviations
        cholesky = None
        if settings.whitening == "mahalanobis":
            from sklearn.covariance import LedoitWolf

            shrunk = LedoitWolf(assume_centered=True).fit(standardised)
            covariance = shrunk.covariance_
            if shrunk.shrinkage_ < _LEAST_SHRINKAGE and freedom < len(deviations):
                # of two clips that mirror each other it finds nothing to shrink, and the covariance
                # has no inverse: it is shrunk all the way
                covariance = np.eye(len(deviations)) * (standardised**2).mean()
            # centring on the means of the machine IDs has cost degrees of freedom
            cholesky = np.linalg.cholesky(covariance * (len(values) / freedom))
        backend = fit_backend(settings.backend, _decorrelated(standardised, cholesky), seed=seed)
        return cls(settings, means, mean_of_all, deviations, cholesky, backend)

    @property
    def unit(self) -> str:
        """What the score measures, in words."""
        match self.settings.backend:
            case GaussianMixtureBackend():
                return "dB, deviance from a Gaussian mixture of normal clips"
            case NearestNeighboursBackend():
                return "distance to the nearest normal clips"
            case MeanSquareBackend():
                how = "dB, mean square"
            case MeanBackend():
                how = "mean"
            case MaximumBackend():
                how = "largest"
        pooling = _in_words(self.settings.pooling)
        return f"{how} deviation of the bands' {pooling} error from that of normal clips"

    def whiten(self, pooled_errors: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Compare the bands of clips with those of normal clips.

        Args:
            pooled_errors: clips × mel bands.
            machine_ids: of each clip; one without normal training clips is compared with all.

        Returns:
            Clips × bands, for normal clips around 0 ± 1. With ``band`` whitening a column is a mel
            band; with ``mahalanobis`` it is a mixture of bands.
        """
        values = _scaled(pooled_errors, self.settings.scale)
        groups = _groups(machine_ids, self.settings.reference)
        means = np.array([self.means.get(group, self.mean_of_all) for group in groups])
        return _decorrelated((values - means) / self.deviations, self.cholesky)

    def score(self, pooled_errors: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the backend's score of the whitened bands; see :meth:`Score.score`."""
        # one clip at a time: in a product of many clips, the last bit of each depends on the others
        one_by_one = [
            self.backend.score(self.whiten(pooled_errors[clip : clip + 1], machine_ids[[clip]]))
            for clip in range(len(pooled_errors))
        ]
        return np.concatenate([np.empty(0), *one_by_one])

    def to_json(self) -> dict[str, Any]:
        """Return ``settings`` and what was ``fitted``, as JSON values; no bit is lost."""
        fitted = {
            "means": {group: mean.tolist() for group, mean in self.means.items()},
            "mean_of_all": self.mean_of_all.tolist(),
            "deviations": self.deviations.tolist(),
            "cholesky": None if self.cholesky is None else self.cholesky.tolist(),
            "backend": self.backend.to_json(),
        }
        return {"settings": self.settings.model_dump(mode="json"), "fitted": fitted}

    @classmethod
    def from_fitted(
        cls, settings: BandDeviationSettings, fitted: Mapping[str, Any]
    ) -> BandDeviationScore:
        """Rebuild a score from its settings and the ``fitted`` part of its JSON values."""
        cholesky = fitted["cholesky"]
        return cls(
            settings,
            {group: np.array(mean) for group, mean in fitted["means"].items()},
            np.array(fitted["mean_of_all"]),
            np.array(fitted["deviations"]),
            None if cholesky is None else np.array(cholesky),
            backend_from_json(settings.backend, fitted["backend"]),
        )


def _scaled(pooled_errors: np.ndarray, scale: Literal["linear", "logarithmic"]) -> np.ndarray:
    if scale == "logarithmic":
        logarithms: np.ndarray = np.log(pooled_errors + _SMALLEST_ERROR)
        return logarithms
    return pooled_errors.astype(np.float64)


def _groups(
    machine_ids: np.ndarray, reference: Literal["machine_id", "machine_type"]
) -> np.ndarray:
    """Name the group of normal clips that each clip is compared with."""
    ids = np.array([str(machine_id) for machine_id in machine_ids], dtype=object)
    return ids if reference == "machine_id" else np.full(len(ids), "all", dtype=object)


def _decorrelated(standardised: np.ndarray, cholesky: np.ndarray | None) -> np.ndarray:
    if cholesky is None:
        return standardised
    from scipy.linalg import solve_triangular

    whitened: np.ndarray = solve_triangular(cholesky, standardised.T, lower=True).T
    return whitened


def _in_words(pooling: Pooling) -> str:
    if isinstance(pooling, PercentilePooling):
        return f"{pooling.percentile:g}th percentile"
    return pooling.type
