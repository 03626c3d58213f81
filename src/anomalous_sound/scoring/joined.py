"""Several scores joined into one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anomalous_sound.configuration.scoring import JoinedScoreSettings, PooledErrorSettings
from anomalous_sound.scoring.left_out import LeftOut, score_left_out
from anomalous_sound.scoring.score import Score
from anomalous_sound.scoring.standardised import centre_and_spread

FitPart = Callable[[int, np.ndarray, np.ndarray], Score]


@dataclass(frozen=True, eq=False)
class JoinedScore(Score):
    """The mean of several scores, each in standard deviations of left-out normal clips.

    A part's score s becomes z = (s - c) / d, where c and d are mean and standard deviation of the
    scores that normal clips get from the part fitted without them. So parts of different units
    weigh alike, and a part that fits its own clips too well gets no weight for that.

    Attributes:
        settings: of the score.
        parts: the fitted scores.
        widths: columns that each part reads, one part after the other.
        centres: c of each part.
        spreads: d of each part, above 0.
    """

    settings: JoinedScoreSettings
    parts: tuple[Score, ...]
    widths: tuple[int, ...]
    centres: tuple[float, ...]
    spreads: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        settings: JoinedScoreSettings,
        pooled: np.ndarray,
        machine_ids: np.ndarray,
        fit_part: FitPart,
        left_out: LeftOut | None = None,
    ) -> tuple[JoinedScore, list[np.ndarray]]:
        """Fit all parts on normal clips; return what each part says of the clips left out, too.

        Args:
            settings: of the score.
            pooled: clips × columns; those of one part after those of the other.
            machine_ids: of each clip.
            fit_part: fits the part of a number on its columns, of the clips that are chosen.
            left_out: the clips that are left out together for centre and spread; None: single
                clips, or some of them together if there are more than ``fits``.
        """
        widths = _widths(settings, pooled.shape[1])
        left_out = left_out or LeftOut(np.arange(len(pooled)) % settings.fits)
        parts, left_out_scores = [], []
        for number, columns in enumerate(_split(pooled, widths)):

            def fit(chosen: np.ndarray, part: int = number, of_part: np.ndarray = columns) -> Score:
                return fit_part(part, of_part, chosen)

            parts.append(fit(np.ones(len(pooled), dtype=bool)))
            scores = columns[:, 0]
            if len(pooled) > 1:
                scores = score_left_out(fit, columns, machine_ids, left_out)
            left_out_scores.append(scores)
        moments = [centre_and_spread(scores, machine_ids) for scores in left_out_scores]
        centres, spreads = zip(*moments, strict=True)
        return cls(settings, tuple(parts), widths, centres, spreads), left_out_scores

    @property
    def unit(self) -> str:
        """What the score measures, in words."""
        parts = "; ".join(part.unit for part in self.parts)
        if len(self.parts) == 1:
            return f"standard deviations above left-out normal clips of: {parts}"
        return f"mean, in standard deviations above left-out normal clips, of: {parts}"

    def columns(self, pooled: np.ndarray) -> list[np.ndarray]:
        """Return the columns of each part."""
        return _split(pooled, self.widths)

    def join(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        """Join the scores of the parts, each with one score for each row."""
        scaled = [
            (of_part - centre) / spread
            for of_part, centre, spread in zip(scores, self.centres, self.spreads, strict=True)
        ]
        joined: np.ndarray = np.mean(scaled, axis=0)
        return joined

    def score(self, pooled: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the joined score of each row; see :meth:`.Score.score`."""
        return self.join(self.part_scores(pooled, machine_ids))

    def part_scores(self, pooled: np.ndarray, machine_ids: np.ndarray) -> list[np.ndarray]:
        """Return what each part says of each row, in its own unit."""
        return [
            part.score(columns, machine_ids)
            for part, columns in zip(self.parts, self.columns(pooled), strict=True)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return ``settings`` and what was ``fitted``, as JSON values; no bit is lost."""
        fitted = {
            "parts": [part.to_json() for part in self.parts],
            "widths": list(self.widths),
            "centres": list(self.centres),
            "spreads": list(self.spreads),
        }
        return {"settings": self.settings.model_dump(mode="json"), "fitted": fitted}

    @classmethod
    def from_fitted(
        cls, settings: JoinedScoreSettings, fitted: Mapping[str, Any], parts: Sequence[Score]
    ) -> JoinedScore:
        """Rebuild a score from its settings, the ``fitted`` part of its JSON values, and parts."""
        names = ("widths", "centres", "spreads")
        return cls(settings, tuple(parts), *(tuple(fitted[name]) for name in names))


def _widths(settings: JoinedScoreSettings, columns: int) -> tuple[int, ...]:
    """Return how many columns each part reads: one of window errors, else one for each band."""
    reads_windows = [isinstance(part, PooledErrorSettings) for part in settings.parts]
    of_bands = len(reads_windows) - sum(reads_windows)
    bands = (columns - sum(reads_windows)) // of_bands if of_bands else 0
    return tuple(1 if windows else bands for windows in reads_windows)


def _split(pooled: np.ndarray, widths: Sequence[int]) -> list[np.ndarray]:
    return np.split(pooled, np.cumsum(widths)[:-1], axis=1)
