"""The anomaly score of a clip, from its mel bands or window errors, pooled over time.

A score is fitted on normal training clips alone, with :func:`fit_score`:

    >>> from anomalous_sound.configuration.scoring import MeanPooling, PooledErrorSettings
    >>> settings = PooledErrorSettings(type="pooled_error", pooling=MeanPooling(type="mean"))
    >>> score = fit_score(settings, np.array([[0.5]]), np.array(["00"]), seed=0)
    >>> score.score(np.array([[0.7], [0.4]]), np.array(["00", "02"]))
    array([0.7, 0.4])
    >>> score_from_json(score.to_json()).unit
    "mean over time of the network's error of scaled log-mel values"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from anomalous_sound.configuration.scoring import (
    BandDeviationSettings,
    ChannelsScoreSettings,
    ClipScoreSettings,
    JoinedScoreSettings,
    PooledErrorSettings,
    ScoreSettings,
)
from anomalous_sound.scoring.band_deviation import BandDeviationScore
from anomalous_sound.scoring.channels import ChannelsScore
from anomalous_sound.scoring.domains import NearestDomainScore
from anomalous_sound.scoring.joined import JoinedScore
from anomalous_sound.scoring.left_out import LeftOut, score_left_out
from anomalous_sound.scoring.pooled_error import PooledErrorScore
from anomalous_sound.scoring.score import Score


def fit_score(
    settings: ClipScoreSettings,
    pooled: np.ndarray,
    machine_ids: np.ndarray,
    *,
    seed: int,
    left_out: LeftOut | None = None,
    domains: np.ndarray | None = None,
) -> Score:
    """Fit a score on normal training clips.

    Args:
        settings: which score, and its options.
        pooled: normal clips × columns, as :func:`.pooling.pool_clip` returns them, each of the
            network that has not heard the clip where there is one.
        machine_ids: of each clip.
        seed: of a Gaussian mixture's start.
        left_out: the clips that a joined score leaves out together, to know how its parts spread;
            None: single clips.
        domains: of each clip, source or target, the empty string if none is known; None: of none.
    """
    match settings:
        case PooledErrorSettings():
            return PooledErrorScore(settings)
        case BandDeviationSettings(reference="domain"):
            return NearestDomainScore.fit(settings, pooled, machine_ids, domains, seed=seed)
        case BandDeviationSettings():
            return BandDeviationScore.fit(settings, pooled, machine_ids, seed=seed, domains=domains)
        case JoinedScoreSettings():
            return _fit_joined(settings, pooled, machine_ids, left_out, domains, seed)[0]
        case ChannelsScoreSettings():
            return _fit_channels(settings, pooled, machine_ids, left_out, domains, seed)[0]


def fit_and_score_left_out(
    settings: ClipScoreSettings,
    pooled: np.ndarray,
    machine_ids: np.ndarray,
    left_out: LeftOut,
    *,
    seed: int,
    domains: np.ndarray | None = None,
) -> tuple[Score, np.ndarray]:
    """Fit a score on normal clips, and score each of them by one fitted on all other parts.

    The parts of a joined score, and the scores of several channels, are weighed as in the score
    that is fitted on all clips: their spread is that of left-out clips already.

    Args:
        settings: of the score.
        pooled: normal clips × columns, as for :func:`fit_score`.
        machine_ids: of each clip.
        left_out: which clips are left out together.
        seed: of each fit.
        domains: of each clip, as for :func:`fit_score`.

    Returns:
        The score that is fitted on all clips; and for each clip that of the one fitted without it.
    """
    match settings:
        case JoinedScoreSettings():
            joined, parts = _fit_joined(settings, pooled, machine_ids, left_out, domains, seed)
            return joined, joined.join(parts)
        case ChannelsScoreSettings():
            of_all, channels = _fit_channels(settings, pooled, machine_ids, left_out, domains, seed)
            return of_all, of_all.join(channels)

    def fit(chosen: np.ndarray) -> Score:
        return _fit_some(settings, pooled, machine_ids, domains, chosen, seed=seed)

    fitted = fit_score(settings, pooled, machine_ids, seed=seed, domains=domains)
    return fitted, score_left_out(fit, pooled, machine_ids, left_out)


def _fit_joined(
    settings: JoinedScoreSettings,
    pooled: np.ndarray,
    machine_ids: np.ndarray,
    left_out: LeftOut | None,
    domains: np.ndarray | None,
    seed: int,
) -> tuple[JoinedScore, list[np.ndarray]]:
    def fit_part(number: int, of_part: np.ndarray, chosen: np.ndarray) -> Score:
        part = settings.parts[number]
        return _fit_some(part, of_part, machine_ids, domains, chosen, seed=seed)

    return JoinedScore.fit(settings, pooled, machine_ids, fit_part, left_out)


def _fit_channels(
    settings: ChannelsScoreSettings,
    pooled: np.ndarray,
    machine_ids: np.ndarray,
    left_out: LeftOut | None,
    domains: np.ndarray | None,
    seed: int,
) -> tuple[ChannelsScore, list[np.ndarray]]:
    parts = left_out or LeftOut(np.arange(len(pooled)) % settings.fits)

    def fit_channel(columns: np.ndarray) -> tuple[Score, np.ndarray]:
        of_channel = settings.of, columns, machine_ids
        if len(columns) > 1:
            fitted, scores = fit_and_score_left_out(*of_channel, parts, seed=seed, domains=domains)
            if left_out is not None:
                return fitted, scores
        fitted = fit_score(*of_channel, seed=seed, domains=domains)
        return fitted, scores if len(columns) > 1 else fitted.score(columns, machine_ids)

    return ChannelsScore.fit(settings, pooled, machine_ids, fit_channel)


def _fit_some(
    settings: ScoreSettings,
    pooled: np.ndarray,
    machine_ids: np.ndarray,
    domains: np.ndarray | None,
    chosen: np.ndarray,
    *,
    seed: int,
) -> Score:
    """Fit a score on some of the clips alone."""
    of_chosen = None if domains is None else domains[chosen]
    return fit_score(settings, pooled[chosen], machine_ids[chosen], seed=seed, domains=of_chosen)


def score_from_json(values: Mapping[str, Any]) -> Score:
    """Rebuild a score from what :meth:`.Score.to_json` returned.

    Raises:
        pydantic.ValidationError: the settings are not those of a score.
    """
    adapter: TypeAdapter[ClipScoreSettings] = TypeAdapter(ClipScoreSettings)
    settings = adapter.validate_python(values["settings"])
    match settings:
        case PooledErrorSettings():
            return PooledErrorScore(settings)
        case BandDeviationSettings(reference="domain"):
            return NearestDomainScore.from_fitted(settings, values["fitted"])
        case BandDeviationSettings():
            return BandDeviationScore.from_fitted(settings, values["fitted"])
        case JoinedScoreSettings():
            parts = [score_from_json(part) for part in values["fitted"]["parts"]]
            return JoinedScore.from_fitted(settings, values["fitted"], parts)
        case ChannelsScoreSettings():
            scores = [score_from_json(one) for one in values["fitted"]["of_channels"]]
            return ChannelsScore.from_fitted(settings, values["fitted"], scores)
