"""The lab report's score: the error of the windows, pooled over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anomalous_sound.configuration.scoring import PooledErrorSettings
from anomalous_sound.scoring.score import Score


@dataclass(frozen=True)
class PooledErrorScore(Score):
    """The pooled window error itself; nothing is fitted."""

    settings: PooledErrorSettings

    @property
    def unit(self) -> str:
        """What the score measures, in words."""
        pooling = self.settings.pooling.type
        return f"{pooling} over time of the network's error of scaled log-mel values"

    def score(self, pooled: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the only column of the pooled errors; see :meth:`Score.score`."""
        return pooled[:, 0].astype(np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"settings": self.settings.model_dump(mode="json"), "fitted": {}}
