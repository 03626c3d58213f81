"""The official figures of a challenge's year on a page: the score, its parts, a row a section."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from anomalous_sound.evaluation.official import ranking_figures
from anomalous_sound.reporting.facts import figure_title, machine_id_name


@dataclass(frozen=True)
class OfficialFacts:
    """What a page says of official figures.

    Attributes:
        challenge: whose they are, with its year.
        score: the figure that ranks systems; None: it cannot be computed.
        has_score: whether the year has one figure that ranks: since 2021.
        mean: ``arithmetic`` or ``harmonic``.
        part: what the means are over: ``machine ID`` (2020) or ``section``.
        means: the means over these of the figures that rank, by title.
        table: a row for each of these, and the means.
        not_computed: why figures are missing, each reason once.
    """

    challenge: str
    score: float | None
    has_score: bool
    mean: str
    part: str
    means: Mapping[str, float | None]
    table: pd.DataFrame
    not_computed: tuple[str, ...]


def official_facts(official: Mapping[str, Any] | None) -> OfficialFacts | None:
    """Lay out official figures.

    Args:
        official: as :func:`anomalous_sound.evaluation.official.official_figures` returns them;
            None: there are none.
    """
    if official is None:
        return None
    has_score = "score" in official
    mean, part = ("harmonic", "section") if has_score else ("arithmetic", "machine ID")
    return OfficialFacts(
        challenge=official["challenge"],
        score=official.get("score"),
        has_score=has_score,
        mean=mean,
        part=part,
        means={
            figure_title(name): official[f"{mean}_mean"][name]
            for name in ranking_figures(official["year"])
        },
        table=_table(official, part),
        not_computed=tuple(dict.fromkeys(official["not_computed"].values())),
    )


def _table(official: Mapping[str, Any], part: str) -> pd.DataFrame:
    sections = {machine_id_name(name): values for name, values in official["sections"].items()}
    means = {f"{kind} mean": official[f"{kind}_mean"] for kind in ("arithmetic", "harmonic")}
    rows = [{part: name, **values} for name, values in {**sections, **means}.items()]
    table = pd.DataFrame(rows)
    areas = [str(name) for name in table if str(name).startswith(("auc", "pauc"))]
    shown = table[[part, *areas]].rename(columns={name: figure_title(name) for name in areas})
    # what nobody could compute is no column, and says so elsewhere
    return shown.dropna(axis="columns", how="all")
