"""Methods × machine types × seeds: means and spread over seeds, intervals, paired differences.

A figure's interval is that of its mean over the seeds, from resamples of the test clips. All
methods and seeds are judged by the same resamples, so the difference of two methods is a paired
one. How far trainings differ is the standard deviation over seeds; it is not part of the interval.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.evaluation.metrics import (
    percentile_interval,
    resample_counts,
    weighted_areas,
    why_no_roc,
)
from anomalous_sound.evaluation.official import MAX_FPR, clips_of_figures, ranking_figures
from anomalous_sound.vocabulary import Label

MEAN = "mean"  # in place of a machine ID: of all of a machine type; of a machine type: of all
SCORE = "score"  # the one figure that ranks systems, since 2021
FIGURE_COLUMNS = [
    *("method", "machine_type", "machine_id", "figure"),
    *("mean", "std", "seeds", "low", "high"),
]
DIFFERENCE_COLUMNS = [
    *("method", "other", "machine_type", "figure"),
    *("difference", "low", "high", "clear"),
]
RESULT_COLUMNS = [
    *("system", "origin", "machine_type", "machine_id", "figure"),
    *("mean", "std", "seeds", "low", "high", "source"),
]
MEASURED, PUBLISHED = "measured here", "published"
_BY_ID = 2020  # figures of machine IDs, and arithmetic means; later harmonic ones
_EPSILON = np.finfo(float).eps

# (machine type, machine ID, figure) → seeds × (1 + resamples): the figure, then its resamples
_Values = dict[tuple[str, str, str], np.ndarray]


@dataclass(frozen=True)
class _Figures:
    """The figures of one method.

    Attributes:
        seeds: of each machine type, in the order of the values; of MEAN, those of all types.
        values: of each machine ID, and the means.
    """

    seeds: Mapping[str, list[int]]
    values: _Values


def figures_over_seeds(
    clips: pd.DataFrame, settings: EvaluationSettings, *, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the figures of a challenge's year for several methods, machine types and seeds.

    Args:
        clips: ``method, machine_type, seed, clip_id, machine_id, domain, label, score``: the
            labelled test clips, the same ones for each method and seed of a machine type.
        settings: whose ``challenge_year`` says which figures; without one, AUC and pAUC of each
            machine ID.
        seed: of the resamples.

    Returns:
        FIGURE_COLUMNS, one row per method, machine type, machine ID and figure. MEAN in place of a
        machine ID is the mean over those of the type, arithmetic in 2020 and without a year, and
        harmonic since 2021; in place of a machine type that over all of them, given if the method
        was run on all. ``score`` is the harmonic mean of the figures that rank. ``std`` is the
        sample standard deviation over seeds, NaN of a single one. And DIFFERENCE_COLUMNS, one row
        per pair of methods, machine type and figure, over the seeds that both have; ``clear`` if
        the interval lies on one side of zero.
    """
    resamples = _Resamples(clips, settings, seed)
    machine_types = sorted(clips.machine_type.unique())
    by_method = {
        str(method): _figures_of(group, resamples, machine_types)
        for method, group in clips.groupby("method", sort=False)
    }
    rows = [
        (method, *key, *_summary(values, settings.confidence))
        for method, figures in by_method.items()
        for key, values in figures.values.items()
    ]
    return (
        pd.DataFrame(rows, columns=FIGURE_COLUMNS),
        pd.DataFrame(
            list(_differences(by_method, settings.confidence)), columns=DIFFERENCE_COLUMNS
        ),
    )


def beside_published(figures: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Put published figures beside those of this project.

    Only those that were measured here too are taken. A published mean is left out where it is over
    other machine types or machine IDs than the mean here.

    Args:
        figures: FIGURE_COLUMNS.
        published: ``system, machine_type, machine_id, figure, value, over, source``; ``over`` has
            what a mean is over, as ``fan/00 fan/02``.

    Returns:
        RESULT_COLUMNS, those measured here first.
    """
    own = figures.rename(columns={"method": "system"}).assign(origin=MEASURED, source="")
    keys = ["machine_type", "machine_id", "figure"]
    kept = published.merge(figures[keys].drop_duplicates(), on=keys)
    alike = [
        machine_id != MEAN or set(over.split()) == _over_here(figures, machine_type)
        for machine_type, machine_id, over in zip(
            kept.machine_type, kept.machine_id, kept.over, strict=True
        )
    ]
    theirs = kept[np.array(alike, dtype=bool)].rename(columns={"value": "mean"})
    nothing = dict.fromkeys(("std", "seeds", "low", "high"), np.nan)
    theirs = theirs.assign(origin=PUBLISHED, **nothing)
    tables = [table[RESULT_COLUMNS] for table in (own, theirs) if len(table)]
    return pd.concat(tables, ignore_index=True).astype({"seeds": "Int64"})


def _over_here(figures: pd.DataFrame, machine_type: str) -> set[str]:
    """Return what a mean here is over: of one machine type, or of all."""
    single = figures[figures.machine_id != MEAN]
    if machine_type != MEAN:
        single = single[single.machine_type == machine_type]
    return set(single.machine_type + "/" + single.machine_id)


def mean_of(year: int | None) -> Callable[[np.ndarray], np.ndarray]:
    """Return the mean over the first axis that a year's challenge takes."""
    return _arithmetic if year is None or year == _BY_ID else _harmonic


def _arithmetic(values: np.ndarray) -> np.ndarray:
    mean: np.ndarray = values.mean(axis=0)
    return mean


def _harmonic(values: np.ndarray) -> np.ndarray:
    mean: np.ndarray = 1 / (1 / np.maximum(values, _EPSILON)).mean(axis=0)
    return mean


class _Resamples:
    """The resamples of each machine ID's clips, the same for all methods and seeds."""

    def __init__(self, clips: pd.DataFrame, settings: EvaluationSettings, seed: int) -> None:
        self.year = settings.challenge_year
        self._max_fpr = MAX_FPR if self.year else settings.max_fpr
        self._count = settings.bootstrap_resamples
        sections = clips[["machine_type", "machine_id"]].drop_duplicates()
        names = sorted(sections.itertuples(index=False, name=None))
        self._seeds = {name: [seed, number] for number, name in enumerate(names)}

    def figures(self, section: pd.DataFrame) -> dict[str, np.ndarray]:
        """Compute each figure of one machine ID's clips: the figure, then its resamples."""
        section = section.sort_values("clip_id")
        name = (section.machine_type.iloc[0], section.machine_id.iloc[0])
        # normal and anomalous clips of either domain are drawn separately
        drawn = resample_counts(
            (section.domain + " " + section.label).to_numpy(), self._count, self._seeds[name]
        )
        counts = np.vstack([np.ones(len(section)), drawn])
        is_anomalous = (section.label == Label.ANOMALOUS).to_numpy()
        scores = section.score.to_numpy()
        found = {}
        year = self.year or _BY_ID
        for figure, of in clips_of_figures(section, year, max_fpr=self._max_fpr).items():
            if why_no_roc(is_anomalous[of.chosen]):
                found[figure] = np.full(len(counts), np.nan)
            else:
                found[figure] = weighted_areas(
                    is_anomalous[of.chosen], scores[of.chosen], counts[:, of.chosen], of.max_fpr
                )
        return {figure: found[figure] for figure in ranking_figures(year)}


def _figures_of(clips: pd.DataFrame, resamples: _Resamples, machine_types: list[str]) -> _Figures:
    seeds: dict[str, list[int]] = {}
    values: _Values = {}
    for machine_type, of_type in clips.groupby("machine_type"):
        kind = str(machine_type)
        seeds[kind] = sorted(of_type.seed.unique().tolist())
        for machine_id, section in of_type.groupby("machine_id"):
            of_seeds = [resamples.figures(section[section.seed == one]) for one in seeds[kind]]
            for figure in of_seeds[0]:
                values[kind, str(machine_id), figure] = np.stack([one[figure] for one in of_seeds])
    by_type = {kind: {key: values[key] for key in values if key[0] == kind} for kind in seeds}
    means: _Values = {}
    for kind, own in by_type.items():
        means |= _means(kind, own, resamples.year)
    if len(machine_types) > 1 and set(seeds) == set(machine_types):
        shared = sorted(set.intersection(*map(set, seeds.values())))
        if shared:
            seeds[MEAN] = shared
            means |= _over_all(by_type, seeds, resamples.year)
    return _Figures(seeds, values | means)


def _means(kind: str, own: _Values, year: int | None) -> _Values:
    """Take the means over the machine IDs of one type."""
    mean = mean_of(year)
    figures = list(dict.fromkeys(figure for _, _, figure in own))
    found = {
        (kind, MEAN, figure): mean(np.stack([own[key] for key in own if key[2] == figure]))
        for figure in figures
    }
    if year is not None and year != _BY_ID:
        found[kind, MEAN, SCORE] = mean(np.stack(list(own.values())))
    return found


def _over_all(
    by_type: Mapping[str, _Values], seeds: Mapping[str, list[int]], year: int | None
) -> _Values:
    """Take the means over all machine types, of the seeds that all have."""
    taken = {
        kind: {
            key: values[[seeds[kind].index(one) for one in seeds[MEAN]]]
            for key, values in own.items()
        }
        for kind, own in by_type.items()
    }
    if mean_of(year) is _harmonic:  # over sections and machine types at once
        return _means(MEAN, {key: v for own in taken.values() for key, v in own.items()}, year)
    of_types = [_means(kind, own, year) for kind, own in taken.items()]
    return {
        (MEAN, MEAN, figure): _arithmetic(
            np.stack(
                [means[kind, MEAN, figure] for kind, means in zip(taken, of_types, strict=True)]
            )
        )
        for _, _, figure in of_types[0]
    }


def _summary(values: np.ndarray, confidence: float) -> tuple[float, float, int, float, float]:
    of_seeds = values[:, 0]
    low, high = percentile_interval(values[:, 1:].mean(axis=0), confidence)
    spread = float(of_seeds.std(ddof=1)) if len(of_seeds) > 1 else float("nan")
    return float(of_seeds.mean()), spread, len(of_seeds), low, high


def _differences(
    by_method: Mapping[str, _Figures], confidence: float
) -> Iterator[tuple[str, str, str, str, float, float, float, bool]]:
    for (method, one), (other, two) in itertools.combinations(by_method.items(), 2):
        for key, values in one.values.items():
            kind, machine_id, figure = key
            if machine_id != MEAN or key not in two.values:
                continue
            shared = sorted(set(one.seeds[kind]) & set(two.seeds[kind]))
            if not shared:
                continue
            apart = _of_seeds(values, one.seeds[kind], shared) - _of_seeds(
                two.values[key], two.seeds[kind], shared
            )
            low, high = percentile_interval(apart[1:], confidence)
            yield method, other, kind, figure, float(apart[0]), low, high, low > 0 or high < 0


def _of_seeds(values: np.ndarray, seeds: list[int], wanted: list[int]) -> np.ndarray:
    mean: np.ndarray = values[[seeds.index(one) for one in wanted]].mean(axis=0)
    return mean
