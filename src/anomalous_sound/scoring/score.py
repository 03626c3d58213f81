"""What every anomaly score can do once it is fitted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from anomalous_sound.configuration.scoring import ClipScoreSettings


class Score(ABC):
    """A score that is ready to judge clips."""

    settings: ClipScoreSettings

    @property
    @abstractmethod
    def unit(self) -> str:
        """What the score measures, in words."""

    @abstractmethod
    def score(self, pooled: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the anomaly score of each row; higher is more anomalous.

        Args:
            pooled: rows × columns, as :func:`anomalous_sound.scoring.pooling.pool_clip` returns
                them: what a network, or none, says of a clip.
            machine_ids: of each row.

        Returns:
            One score for each row, float64.
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
        from anomalous_sound.scoring.scores import score_from_json  # it knows all kinds of scores

        return score_from_json(values)

    def clip_score(self, pooled: np.ndarray, machine_id: str) -> float:
        """Return the anomaly score of one clip: the mean over the networks that judge it.

        Args:
            pooled: members × columns of the clip.
            machine_id: of the clip.
        """
        machine_ids = np.full(len(pooled), machine_id, dtype=object)
        return float(np.mean(self.score(pooled, machine_ids)))
