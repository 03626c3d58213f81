"""Scores of normal clips by a score that was fitted without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from anomalous_sound.configuration.scoring import (
    JoinedScoreSettings,
    PooledErrorSettings,
    ScoreSettings,
)
from anomalous_sound.errors import InputError
from anomalous_sound.scoring.score import Score

if TYPE_CHECKING:
    import pandas as pd


class LeftOut(NamedTuple):
    """Which normal clips a score is fitted without, for their own scores.

    Attributes:
        parts: the part of each clip; the clips of a part are left out together.
        beside: by part, the clips that are not fitted on either: they are too close to the part in
            the recording that they are cut from.
    """

    parts: np.ndarray
    beside: Mapping[int, np.ndarray] = MappingProxyType({})

    def others(self, part: int) -> np.ndarray:
        """Say which clips a score is fitted on, for the scores of a part."""
        others: np.ndarray = ~((self.parts == part) | self.beside.get(int(part), False))
        return others


def draw_parts(clips: pd.DataFrame, fits: int, seed: int) -> np.ndarray:
    """Say which clips are left out together: each alone, or those of a part if there are many.

    Args:
        clips: ``machine_id`` a clip.
        fits: how many parts there may be.
        seed: of the draw, where there are more clips.

    Returns:
        The part of each clip.
    """
    from anomalous_sound.corpus.split import draw_folds

    if len(clips) <= fits:
        return np.arange(len(clips))
    return draw_folds(clips, fits, seed).to_numpy()


def score_left_out(
    fit: Callable[[np.ndarray], Score],
    pooled: np.ndarray,
    machine_ids: np.ndarray,
    left_out: LeftOut,
) -> np.ndarray:
    """Score each normal clip by a score fitted on the clips of all other parts.

    Args:
        fit: fits a score on the clips that are chosen: a truth value for each.
        pooled: normal clips × columns.
        machine_ids: of each clip.
        left_out: which clips are left out together.

    Returns:
        One score for each clip.
    """
    scores = np.empty(len(pooled))
    for part in np.unique(left_out.parts):
        out = left_out.parts == part
        fitted = fit(left_out.others(part))
        scores[out] = fitted.score(pooled[out], machine_ids[out])
    return scores


def check_enough(
    settings: ScoreSettings,
    machine_ids: np.ndarray,
    left_out: LeftOut | None,
    domains: np.ndarray | None = None,
) -> None:
    """Make sure, before anything is trained, that the score can be fitted on the normal clips.

    Args:
        settings: of the score.
        machine_ids: of each normal clip that it is to be fitted on.
        left_out: what the score is fitted without, one part after the other; None: it is not.
        domains: of each clip, as :func:`.scores.fit_score` is given them.

    Raises:
        InputError: how clips of a machine ID differ cannot be told from those that are left.
    """
    if isinstance(settings, JoinedScoreSettings):
        for part in settings.parts:
            check_enough(part, machine_ids, left_out, domains)
        return
    if isinstance(settings, PooledErrorSettings):
        return
    if settings.reference == "machine_type":
        groups = np.zeros(len(machine_ids))
    else:
        groups = np.asarray(machine_ids).astype(str)
    kept = [np.ones(len(groups), dtype=bool)]
    if left_out is not None:
        kept += [left_out.others(part) for part in np.unique(left_out.parts)]
    by_domain = {"": np.ones(len(groups), dtype=bool)}
    if settings.reference == "domain" and domains is not None:
        by_domain = {str(name): domains == name for name in np.unique(domains.astype(str))}
    for domain, inside in by_domain.items():
        fitted_on = [groups[inside & chosen] for chosen in kept]
        # a domain of which no clip is left is not compared with
        if all(len(clips) > len(set(clips)) or (domain and not len(clips)) for clips in fitted_on):
            continue
        of = f" of the {domain} domain" if domain else ""
        needed = f"two normal training clips{of} of one machine ID"
        if left_out is not None and any(map(np.any, left_out.beside.values())):
            needed += (
                " besides those left out for the calibration and those next to them in a recording"
            )
        elif left_out is not None:
            needed += (
                " besides those left out for the calibration (three of one machine ID are enough)"
            )
        without = (
            ", or take both domains together (reference: balanced, profile=balanced)" if of else ""
        )
        raise InputError(
            f"too few normal training clips{of}: {inside.sum()}; the score {settings.type} "
            f"measures how they differ, and needs {needed}. Give more clips{without}, or a score "
            "that is not fitted (METHOD.score.type=pooled_error)."
        )
