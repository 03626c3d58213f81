"""Normal clips of several domains: the score by the domain that a clip is nearer to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalous_sound.configuration.scoring import BandDeviationSettings
from anomalous_sound.scoring.band_deviation import BandDeviationScore
from anomalous_sound.scoring.score import Score

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class NearestDomainScore(Score):
    """The smallest of the scores that a clip gets from the normal clips of each domain.

    Source and target domain have means, deviations, covariance and backend of their own, as the
    selective Mahalanobis mode of the DCASE 2023 baseline has covariances of its own (Harada et al.,
    First-shot anomaly sound detection for machine condition monitoring, EUSIPCO 2023). The domain
    of a clip that is scored is never asked for: the smaller score says which it is nearer to. A
    machine ID is compared with the domains that it has normal clips of, one without normal clips
    with all.

    Attributes:
        settings: of the score.
        of_domains: the score by the clips of each domain; clips of no known domain are one too.
    """

    settings: BandDeviationSettings
    of_domains: Mapping[str, BandDeviationScore]

    @classmethod
    def fit(
        cls,
        settings: BandDeviationSettings,
        pooled: np.ndarray,
        machine_ids: np.ndarray,
        domains: np.ndarray | None,
        *,
        seed: int,
    ) -> NearestDomainScore:
        """Fit a score on the normal clips of each domain; see :func:`.scores.fit_score`."""
        names = np.full(len(pooled), "") if domains is None else domains.astype(str)
        alone = _of_one_domain(settings)
        return cls(
            settings,
            {
                name: BandDeviationScore.fit(
                    alone, pooled[names == name], machine_ids[names == name], seed=seed
                )
                for name in sorted(set(names.tolist()))
            },
        )

    @property
    def unit(self) -> str:
        """What the score measures, in words."""
        one = next(iter(self.of_domains.values()))
        return f"{one.unit}, in the domain where it is least"

    def score(self, pooled: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the smallest score of each row over the domains; see :meth:`.Score.score`."""
        by_domain = np.stack([one.score(pooled, machine_ids) for one in self.of_domains.values()])
        known = np.array(
            [
                [str(machine_id) in one.means for machine_id in machine_ids]
                for one in self.of_domains.values()
            ]
        )
        compared = known | ~known.any(axis=0)
        smallest: np.ndarray = np.where(compared, by_domain, np.inf).min(axis=0)
        return smallest

    def to_json(self) -> dict[str, Any]:
        """Return ``settings`` and what was ``fitted``, as JSON values; no bit is lost."""
        fitted = {name: one.to_json()["fitted"] for name, one in self.of_domains.items()}
        return {"settings": self.settings.model_dump(mode="json"), "fitted": fitted}

    @classmethod
    def from_fitted(
        cls, settings: BandDeviationSettings, fitted: Mapping[str, Any]
    ) -> NearestDomainScore:
        """Rebuild a score from its settings and the ``fitted`` part of its JSON values."""
        alone = _of_one_domain(settings)
        return cls(
            settings,
            {name: BandDeviationScore.from_fitted(alone, one) for name, one in fitted.items()},
        )


def domains_of(clips: pd.DataFrame) -> np.ndarray:
    """Return the domain of each clip of a table; the empty string where none is known."""
    if "domain" not in clips:
        return np.full(len(clips), "", dtype=object)
    names: np.ndarray = clips.domain.astype(object).fillna("").astype(str).to_numpy(dtype=object)
    return names


def _of_one_domain(settings: BandDeviationSettings) -> BandDeviationSettings:
    return settings.model_copy(update={"reference": "machine_id"})
