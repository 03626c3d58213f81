"""Several channels of a clip, each with a score of its own: what the clip as a whole gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.configuration.scoring import (
    ChannelsScoreSettings,
    ClipScoreSettings,
    ScoreSettings,
)
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.scoring.score import Score
from anomalous_sound.scoring.standardised import centre_and_spread


def score_of_channels(
    score: ScoreSettings, audio: AudioSettings, detector: DetectorSettings
) -> ClipScoreSettings:
    """Return the score of clips of which these channels are judged.

    Args:
        score: of one channel.
        audio: which channels.
        detector: how their scores become one.

    Returns:
        ``score`` itself, where one channel is judged.
    """
    if not isinstance(audio.channel, list):
        return score
    return ChannelsScoreSettings(
        type="channels",
        channels=audio.channel,
        rule=detector.channels,
        fits=detector.left_out_fits,
        of=score,
    )


@dataclass(frozen=True, eq=False)
class ChannelsScore(Score):
    """The largest, or the mean, of the scores of several channels.

    Each channel has a score of its own, fitted on that channel of the normal clips. Its score s
    becomes z = (s - c) / d, where c and d are mean and standard deviation of the scores that normal
    clips get from the score of that channel, fitted without them: so a microphone in the noise does
    not outvote one beside the machine.

    Attributes:
        settings: of the score.
        of_channels: the fitted score of each channel.
        centres: c of each channel.
        spreads: d of each channel, above 0.
    """

    settings: ChannelsScoreSettings
    of_channels: tuple[Score, ...]
    centres: tuple[float, ...]
    spreads: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        settings: ChannelsScoreSettings,
        pooled: np.ndarray,
        machine_ids: np.ndarray,
        fit_channel: Callable[[np.ndarray], tuple[Score, np.ndarray]],
    ) -> tuple[ChannelsScore, list[np.ndarray]]:
        """Fit the score of every channel on normal clips; return those of clips left out, too.

        Args:
            settings: of the score.
            pooled: clips × columns; those of one channel after those of the other.
            machine_ids: of each clip.
            fit_channel: fits the score of a channel on its columns, and scores each clip by one
                fitted without it.
        """
        of_channels = [
            fit_channel(columns) for columns in np.split(pooled, len(settings.channels), axis=1)
        ]
        moments = [centre_and_spread(scores, machine_ids) for _, scores in of_channels]
        centres, spreads = zip(*moments, strict=True)
        fitted = cls(settings, tuple(score for score, _ in of_channels), centres, spreads)
        return fitted, [scores for _, scores in of_channels]

    @property
    def unit(self) -> str:
        """What the score measures, in words."""
        names = ", ".join(map(str, self.settings.channels))
        rule = "largest" if self.settings.rule == "maximum" else "mean"
        return (
            f"{rule} over the channels {names}, in standard deviations above left-out normal "
            f"clips, of: {self.of_channels[0].unit}"
        )

    def columns(self, pooled: np.ndarray) -> list[np.ndarray]:
        """Return the columns of each channel."""
        return np.split(pooled, len(self.of_channels), axis=1)

    def join(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        """Join the scores of the channels, each with one score for each row."""
        rule = np.max if self.settings.rule == "maximum" else np.mean
        joined: np.ndarray = rule(self._standardised(scores), axis=1)
        return joined

    def score(self, pooled: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the joined score of each row; see :meth:`.Score.score`."""
        return self.join(self._scores(pooled, machine_ids))

    def channel_scores(self, pooled: np.ndarray, machine_ids: np.ndarray) -> np.ndarray:
        """Return the standardised score z of each channel: rows × channels."""
        return self._standardised(self._scores(pooled, machine_ids))

    def _scores(self, pooled: np.ndarray, machine_ids: np.ndarray) -> list[np.ndarray]:
        return [
            one.score(columns, machine_ids)
            for one, columns in zip(self.of_channels, self.columns(pooled), strict=True)
        ]

    def _standardised(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        standardised: np.ndarray = (np.stack(scores, axis=1) - self.centres) / self.spreads
        return standardised

    def to_json(self) -> dict[str, Any]:
        """Return ``settings`` and what was ``fitted``, as JSON values; no bit is lost."""
        fitted = {
            "of_channels": [one.to_json() for one in self.of_channels],
            "centres": list(self.centres),
            "spreads": list(self.spreads),
        }
        return {"settings": self.settings.model_dump(mode="json"), "fitted": fitted}

    @classmethod
    def from_fitted(
        cls, settings: ChannelsScoreSettings, fitted: Mapping[str, Any], scores: Sequence[Score]
    ) -> ChannelsScore:
        """Rebuild a score from its settings, its ``fitted`` JSON values, and its scores."""
        return cls(settings, tuple(scores), tuple(fitted["centres"]), tuple(fitted["spreads"]))


def scores_of_channels(score: Score, pooled: np.ndarray, machine_id: str) -> dict[int, float]:
    """Return the standardised score of each channel of a clip, the mean over its networks.

    Args:
        score: the fitted score.
        pooled: members × columns of the clip.
        machine_id: of the clip.

    Returns:
        By channel, as recorded; nothing, where one channel is judged.
    """
    if not isinstance(score, ChannelsScore):
        return {}
    machine_ids = np.full(len(pooled), machine_id, dtype=object)
    means = score.channel_scores(pooled, machine_ids).mean(axis=0)
    return dict(zip(score.settings.channels, means.tolist(), strict=True))
