"""Nodes that join the results of several runs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from anomalous_sound.configuration.evaluation import CampaignSettings, EvaluationSettings
from anomalous_sound.evaluation import campaign as joined
from anomalous_sound.evaluation import run_result
from anomalous_sound.reporting import results_table
from anomalous_sound.sources.dcase.published import published_figures

logger = logging.getLogger(__name__)


def join_results(
    found: dict[str, Callable[[], dict[str, Any]]],
    campaign: CampaignSettings,
    evaluation: EvaluationSettings,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Join the results that can stand in one table.

    Args:
        found: by ``name/method``.
        campaign: whose results.
        evaluation: whose challenge.

    Returns:
        The labelled test clips of all, see :func:`.run_result.join`; and ``title``, ``simulated``
        and ``missing``: what is left out, in sentences.

    Raises:
        InputError: there is nothing to join, or two runs are of the same.
    """
    results: dict[tuple[str, str], dict[str, Any]] = {}
    for place, load in found.items():
        name, _, method = place.rpartition("/")
        if campaign.names is None or name in campaign.names:
            results[name, method] = load()
    clips, missing = run_result.join(results, campaign.names)
    for reason in missing:
        logger.warning("Not in the table: %s", reason)
    corpora = [result["corpus"] for result in results.values()]
    year = evaluation.challenge_year
    types = ", ".join(sorted(clips.machine_type.unique()))
    return clips, {
        "title": campaign.title or (f"DCASE {year} Task 2" if year else types),
        "simulated": any(corpus["simulated"] for corpus in corpora),
        "missing": missing,
    }


def compute_figures(
    clips: pd.DataFrame, evaluation: EvaluationSettings, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute figures over seeds and paired differences; see :func:`.figures_over_seeds`."""
    clips = clips.fillna({"domain": "", "machine_id": ""})  # a table of text has no empty text
    return joined.figures_over_seeds(clips, evaluation, seed=seed)


def put_published_beside(figures: pd.DataFrame, evaluation: EvaluationSettings) -> pd.DataFrame:
    """Put the figures that the organisers have published beside those measured here."""
    return joined.beside_published(figures, published_figures(evaluation.challenge_year or 0))


def write_report(
    table: pd.DataFrame,
    differences: pd.DataFrame,
    facts: dict[str, Any],
    evaluation: EvaluationSettings,
) -> tuple[str, str]:
    """Write the results to publish, in Markdown and in LaTeX."""
    table = table.fillna({"source": ""})
    page = results_table.results_page(
        table,
        differences,
        title=facts["title"],
        year=evaluation.challenge_year,
        simulated=facts["simulated"],
        missing=facts["missing"],
        confidence=evaluation.confidence,
        max_fpr=evaluation.max_fpr,
    )
    return page, results_table.results_latex(table, title=facts["title"])


def track_figures(figures: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Turn the means into MLflow metrics: ``method.figure``, and of a type ``method.type.figure``.

    The first is the mean over the machine types, or that of the only one.
    """
    means = figures[(figures.machine_id == joined.MEAN) & figures["mean"].notna()]
    only = len(set(means.machine_type)) == 1
    tracked = {}
    for row in means.to_dict("records"):
        kind = row["machine_type"]
        of = (
            (row["method"], row["figure"])
            if kind == joined.MEAN or only
            else (row["method"], kind, row["figure"])
        )
        name = re.sub(r"[^\w./ -]", "_", ".".join(of))
        tracked[name] = {"value": float(row["mean"]), "step": 0}
    return tracked
