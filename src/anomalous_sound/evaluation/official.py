"""The figures by which DCASE Challenge Task 2 ranks systems, as its organisers define them.

They are computed of one machine type; over several the same means are taken. The definitions are
those of the organisers' evaluators (y-kawagu/dcase2020_task2_evaluator,
y-kawagu/dcase2021_task2_evaluator, Kota-Dohi/dcase2022_evaluator,
nttcslab/dcase2023_task2_evaluator) and of the tasks' pages:

- 2020: AUC and pAUC of each machine ID, and their arithmetic means.
- 2021: AUC and pAUC of each section in each domain, by the clips of the domain alone; the harmonic
  mean of all of them.
- from 2022: of each section, the AUC of the source and of the target domain, each of the domain's
  normal clips against the anomalous clips of both domains, and the pAUC of all clips; the harmonic
  mean of the three over all sections.

pAUC reaches to a false-positive rate of 0.1 and is standardised (McClish 1989).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.evaluation.metrics import auc, labelled_test, pauc, why_no_roc
from anomalous_sound.vocabulary import Decision, Domain, Label

MAX_FPR = 0.1  # of every year
_BY_ID, _BY_DOMAIN, _BY_BOTH = 2020, 2021, 2022
_EPSILON = np.finfo(float).eps  # the evaluators take means over nothing smaller
_Values = dict[str, float | None]


def official_figures(
    clip_scores: pd.DataFrame, decisions: pd.DataFrame, year: int | None
) -> dict[str, Any]:
    """Compute the official figures of a challenge's year.

    Args:
        clip_scores: ``clip_id, machine_id, split, label, domain, score``, one row per clip.
        decisions: ``clip_id, decision``, one row per clip; clips that are undecided have no part in
            precision, recall and F1.
        year: of the challenge; None: the clips are of none, and have two domains: the figures since
            2022.

    Returns:
        ``challenge``; ``year``; ``sections``, for each machine ID its ``auc`` and ``pauc`` (2020),
        or its ``auc_source, auc_target, pauc_source, pauc_target`` (2021), or its ``auc,
        auc_source, auc_target, pauc`` (from 2022), and from 2021 ``precision``, ``recall`` and
        ``f1`` of the anomalous clips, ``_source`` and ``_target``; ``arithmetic_mean`` and
        ``harmonic_mean`` of each over the sections; ``score``, the harmonic mean of the figures
        that rank (from 2021). What cannot be computed is None, and ``not_computed`` says why; a
        mean over it is None too.
    """
    challenge = "DCASE Task 2 since 2022" if year is None else f"DCASE {year} Task 2"
    year = year or _BY_BOTH
    test = labelled_test(clip_scores).merge(
        decisions[["clip_id", "decision"]], on="clip_id", validate="one_to_one"
    )
    not_computed: dict[str, str] = {}
    sections = {
        str(machine_id): _section(
            str(machine_id), test[test.machine_id == machine_id], year, not_computed
        )
        for machine_id in sorted(clip_scores.machine_id.unique())
    }
    names = list(next(iter(sections.values())))
    columns = {name: [values[name] for values in sections.values()] for name in names}
    figures: dict[str, Any] = {
        "challenge": challenge,
        "year": year,
        "sections": sections,
        "arithmetic_mean": {
            name: _mean(values, arithmetic_mean) for name, values in columns.items()
        },
        "harmonic_mean": {name: _mean(values, harmonic_mean) for name, values in columns.items()},
    }
    if year != _BY_ID:
        ranking = [value for name in ranking_figures(year) for value in columns[name]]
        figures["score"] = _mean(ranking, harmonic_mean)
    return figures | {"not_computed": not_computed}


def has_domains(clip_scores: pd.DataFrame) -> bool:
    """Return whether labelled test clips are of both domains, source and target.

    Args:
        clip_scores: ``split, label, domain``, one row per clip.
    """
    return set(Domain) <= set(labelled_test(clip_scores).domain)


def ranking_figures(year: int) -> tuple[str, ...]:
    """Return the figures of a section that rank systems."""
    if year == _BY_ID:
        return ("auc", "pauc")
    if year == _BY_DOMAIN:
        return ("auc_source", "auc_target", "pauc_source", "pauc_target")
    return ("auc_source", "auc_target", "pauc")


def arithmetic_mean(values: Iterable[float]) -> float:
    """Return the mean."""
    return float(np.mean(list(values)))


def harmonic_mean(values: Iterable[float]) -> float:
    """Return the harmonic mean, of values that are at least the smallest difference from one."""
    return float(1 / np.mean([1 / max(value, _EPSILON) for value in values]))


def _mean(values: Iterable[float | None], mean: Callable[[Iterable[float]], float]) -> float | None:
    known = list(values)
    return (
        None if any(value is None for value in known) else mean(v for v in known if v is not None)
    )


@dataclass(frozen=True)
class FigureClips:
    """Which test clips of a section a figure is computed of.

    Attributes:
        chosen: boolean, one per clip.
        max_fpr: false-positive rate up to which the area reaches; 1: the whole AUC.
        of: what to add to the section's name, in a message.
    """

    chosen: np.ndarray
    max_fpr: float
    of: str = ""

    def area(self, is_anomalous: np.ndarray, scores: np.ndarray) -> float:
        """Return the AUC or the pAUC."""
        return (
            auc(is_anomalous, scores)
            if self.max_fpr == 1
            else pauc(is_anomalous, scores, self.max_fpr)
        )


def clips_of_figures(
    test: pd.DataFrame, year: int, *, max_fpr: float = MAX_FPR
) -> dict[str, FigureClips]:
    """Say of which clips each figure of a section is computed.

    Args:
        test: ``label, domain``, the labelled test clips of one section.
        year: of the challenge.
        max_fpr: of pAUC.
    """
    everything = np.ones(len(test), dtype=bool)
    figures: dict[str, FigureClips] = {}
    if year != _BY_DOMAIN:
        figures["auc"] = FigureClips(everything, 1)
    if year == _BY_ID:
        return figures | {"pauc": FigureClips(everything, max_fpr)}
    for domain in Domain:
        own = (test.domain == domain).to_numpy()
        of = f", {domain} domain"
        anomalies_of_all = own | (test.label == Label.ANOMALOUS).to_numpy()
        compared = own if year == _BY_DOMAIN else anomalies_of_all
        figures[f"auc_{domain}"] = FigureClips(compared, 1, of)
        if year == _BY_DOMAIN:
            figures[f"pauc_{domain}"] = FigureClips(own, max_fpr, of)
    if year != _BY_DOMAIN:
        figures["pauc"] = FigureClips(everything, max_fpr)
    return figures


def _section(
    machine_id: str, test: pd.DataFrame, year: int, not_computed: dict[str, str]
) -> _Values:
    section = f"{'machine ID' if year == _BY_ID else 'section'} {machine_id or '(none given)'}"
    values: _Values = {}
    is_anomalous = (test.label == Label.ANOMALOUS).to_numpy()
    scores = test.score.to_numpy()
    for figure, clips in clips_of_figures(test, year).items():
        reason = why_no_roc(is_anomalous[clips.chosen])
        values[figure] = (
            None if reason else clips.area(is_anomalous[clips.chosen], scores[clips.chosen])
        )
        if reason:
            not_computed[f"sections.{machine_id}.{figure}"] = f"{section}{clips.of}: {reason}"
    if year == _BY_ID:
        return values
    for domain in Domain:
        for figure, value in _of_decisions(test[test.domain == domain]).items():
            values[f"{figure}_{domain}"] = value
            if value is None:
                not_computed[f"sections.{machine_id}.{figure}_{domain}"] = (
                    f"{section}: no test clip of the {domain} domain has a label and is decided"
                )
    return values


def _of_decisions(clips: pd.DataFrame) -> Mapping[str, float | None]:
    """Return precision, recall and F1 of the anomalous clips; 0 where nothing is to divide by."""
    decided = clips[clips.decision != Decision.UNDECIDED]
    if decided.empty:
        return {"precision": None, "recall": None, "f1": None}
    is_anomalous = decided.label == Label.ANOMALOUS
    called = decided.decision == Decision.ANOMALOUS
    hits = int((is_anomalous & called).sum())
    precision = hits / max(int(called.sum()), _EPSILON)
    recall = hits / max(int(is_anomalous.sum()), _EPSILON)
    f1 = 2 * precision * recall / max(precision + recall, _EPSILON)
    return {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
