"""From the whitened mel bands of a clip to one number, its anomaly score.

A backend may be fitted on the whitened bands of normal clips. What it has learnt goes to JSON and
back without losing a bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from anomalous_sound.configuration.scoring import (
    Backend,
    GaussianMixtureBackend,
    LocalDensityBackend,
    MaximumBackend,
    MeanBackend,
    MeanSquareBackend,
    NearestNeighboursBackend,
)

_SMALLEST_SQUARE = 1e-12  # its logarithm stays finite


class FittedBackend(ABC):
    """A backend that is ready to score clips."""

    @abstractmethod
    def score(self, whitened: np.ndarray) -> np.ndarray:
        """Return one score a clip, from whitened bands: clips × bands."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what was fitted, as JSON values."""


@dataclass(frozen=True)
class BandPooling(FittedBackend):
    """The mean or the maximum of the bands, or their mean square in dB; nothing is fitted.

    0 dB is as far from normal as normal training clips are on average.
    """

    settings: MeanBackend | MaximumBackend | MeanSquareBackend

    def score(self, whitened: np.ndarray) -> np.ndarray:
        """Pool the bands of each clip."""
        pooled: np.ndarray
        match self.settings:
            case MeanBackend():
                pooled = whitened.mean(axis=1)
            case MaximumBackend():
                pooled = whitened.max(axis=1)
            case MeanSquareBackend():
                pooled = _decibel(np.square(whitened).mean(axis=1))
        return pooled

    def to_json(self) -> dict[str, Any]:
        """Return an empty dict."""
        return {}


@dataclass(frozen=True, eq=False)
class Mixture(FittedBackend):
    """A mixture of Gaussians with diagonal covariances, fitted on normal clips.

    Attributes:
        weights: of the components; they sum to 1.
        means: components × bands.
        variances: components × bands.
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    @classmethod
    def fit(cls, settings: GaussianMixtureBackend, whitened: np.ndarray, *, seed: int) -> Mixture:
        """Fit the mixture; where there are fewer clips than components, one component a clip."""
        from sklearn.mixture import GaussianMixture

        mixture = GaussianMixture(
            min(settings.components, len(whitened)),
            covariance_type="diag",
            reg_covar=settings.reg_covar,
            random_state=seed,
        ).fit(whitened)
        # in the order in which JSON gives them back: sums depend on it, in their last bit
        means, variances = map(np.ascontiguousarray, (mixture.means_, mixture.covariances_))
        return cls(mixture.weights_, means, variances)

    def log_density(self, whitened: np.ndarray) -> np.ndarray:
        """Return the natural logarithm of the density at each clip."""
        squares = np.square(whitened[:, None, :] - self.means) / self.variances
        of_components = np.log(self.weights) - 0.5 * (
            squares + np.log(2 * np.pi * self.variances)
        ).sum(axis=2)
        # from the largest of them on, so that nothing runs over or is lost
        largest = of_components.max(axis=1, keepdims=True)
        density: np.ndarray = largest[:, 0] + np.log(np.exp(of_components - largest).sum(axis=1))
        return density

    def score(self, whitened: np.ndarray) -> np.ndarray:
        """Return the deviance over the number of bands, in dB.

        The deviance is twice by how much the log-density lies below the highest that a component
        reaches; of a single component it is the sum over the bands of (z - mean)² / variance.
        """
        peaks = np.log(self.weights) - 0.5 * np.log(2 * np.pi * self.variances).sum(axis=1)
        below = peaks.max() - self.log_density(whitened)
        # where components overlap, the density may exceed the peak of each of them
        return _decibel(np.maximum(2 * below / whitened.shape[1], 0))

    def to_json(self) -> dict[str, Any]:
        """Return weights, means and variances."""
        return {
            "weights": self.weights.tolist(),
            "means": self.means.tolist(),
            "variances": self.variances.tolist(),
        }


@dataclass(frozen=True, eq=False)
class NearestClips(FittedBackend):
    """The mean Euclidean distance to the nearest normal clips.

    A clip that the backend was fitted on is its own nearest neighbour.

    Attributes:
        normal_clips: whitened bands of the normal clips, clips × bands.
        neighbours: how many of them count, at most.
    """

    normal_clips: np.ndarray
    neighbours: int

    def score(self, whitened: np.ndarray) -> np.ndarray:
        """Return the mean distance of each clip."""
        count = min(self.neighbours, len(self.normal_clips))
        distances = np.sort(_distances(whitened, self.normal_clips), axis=1)[:, :count]
        of_clips: np.ndarray = distances.mean(axis=1)
        return of_clips

    def to_json(self) -> dict[str, Any]:
        """Return the normal clips; the number of neighbours is among the settings."""
        return {"normal_clips": self.normal_clips.tolist()}


@dataclass(frozen=True, eq=False)
class LocalDensity(FittedBackend):
    """The distance to the nearest normal clip, over how far apart normal clips lie around it, dB.

    The ratio is taken for each normal clip, and the smallest counts: local density normalisation
    (Wilkinghoff, Yang, Ebbers, Germain, Wichern & Le Roux, Local density-based anomaly score
    normalization for domain generalization, arXiv 2509.10951, 2025): it makes clips of a state that
    varies little comparable with those of one that varies much. Distances are root mean squares
    over the bands.

    Attributes:
        normal_clips: whitened bands of the normal clips, clips × bands.
        apart: of each normal clip, the mean distance to its nearest neighbours among the others.
    """

    normal_clips: np.ndarray
    apart: np.ndarray

    @classmethod
    def fit(cls, settings: LocalDensityBackend, whitened: np.ndarray) -> LocalDensity:
        """Measure how far apart normal clips lie; with a single one, 1 stands for it."""
        others = min(settings.neighbours, len(whitened) - 1)
        if others == 0:
            return cls(np.ascontiguousarray(whitened), np.ones(1))
        distances = _root_mean_square_distances(whitened, whitened)
        np.fill_diagonal(distances, np.inf)
        apart = np.sort(distances, axis=1)[:, :others].mean(axis=1)
        # two clips of the same bands are no reason to divide by zero
        return cls(np.ascontiguousarray(whitened), np.where(apart > 0, apart, 1.0))

    def score(self, whitened: np.ndarray) -> np.ndarray:
        """Return the smallest ratio for each clip, dB."""
        distances = _root_mean_square_distances(whitened, self.normal_clips)
        return _decibel((distances / self.apart).min(axis=1) ** 2)

    def to_json(self) -> dict[str, Any]:
        """Return the normal clips, and how far apart they lie."""
        return {"normal_clips": self.normal_clips.tolist(), "apart": self.apart.tolist()}


def _distances(clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of each clip to each other one: clips × others."""
    # clip by clip, so that the differences of all to all are never in memory
    by_clip = [np.sqrt(np.square(others - clip).sum(axis=1)) for clip in clips]
    return np.stack(by_clip) if by_clip else np.empty((0, len(others)))


def _root_mean_square_distances(clips: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the root mean square difference of each clip to each other one: clips × others."""
    distances: np.ndarray = _distances(clips, others) / np.sqrt(clips.shape[1])
    return distances


def fit_backend(settings: Backend, whitened: np.ndarray, *, seed: int) -> FittedBackend:
    """Fit a backend on the whitened bands of normal clips, clips × bands."""
    match settings:
        case GaussianMixtureBackend():
            return Mixture.fit(settings, whitened, seed=seed)
        case NearestNeighboursBackend():
            return NearestClips(np.ascontiguousarray(whitened), settings.neighbours)
        case LocalDensityBackend():
            return LocalDensity.fit(settings, whitened)
        case MeanBackend() | MaximumBackend() | MeanSquareBackend():
            return BandPooling(settings)


def backend_from_json(settings: Backend, values: Mapping[str, Any]) -> FittedBackend:
    """Rebuild a backend from its settings and what :meth:`FittedBackend.to_json` returned."""
    match settings:
        case GaussianMixtureBackend():
            return Mixture(**{name: np.array(value) for name, value in values.items()})
        case NearestNeighboursBackend():
            return NearestClips(np.array(values["normal_clips"]), settings.neighbours)
        case LocalDensityBackend():
            return LocalDensity(np.array(values["normal_clips"]), np.array(values["apart"]))
        case MeanBackend() | MaximumBackend() | MeanSquareBackend():
            return BandPooling(settings)


def _decibel(squares: np.ndarray) -> np.ndarray:
    # a few clips deviate a thousand times more than others; thresholds that use a standard
    # deviation, and averages of methods, need scores that are spread evenly
    decibels: np.ndarray = 10 * np.log10(squares + _SMALLEST_SQUARE)
    return decibels
