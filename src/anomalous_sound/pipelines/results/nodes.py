"""Nodes that join the results of several runs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pandas as pd

from anomalous_sound.configuration.evaluation import CampaignSettings, EvaluationSettings
from anomalous_sound.configuration.names import safe_name
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.evaluation import campaign as joined
from anomalous_sound.evaluation import run_result
from anomalous_sound.provenance.table import CorpusMark, TableProvenance, TableRun
from anomalous_sound.reporting import results_table
from anomalous_sound.sources.dcase.published import published_figures
from anomalous_sound.storage.identity import identity

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
        "title": campaign.title or (_title(corpora, year) if year else types),
        "simulated": any(corpus["simulated"] for corpus in corpora),
        "missing": missing,
    }


def _title(corpora: list[dict[str, Any]], year: int) -> str:
    """Name the challenge, with the parts of its data set where they are known."""
    challenge = f"DCASE {year} Task 2"
    names = {
        corpus.get("name", "").replace(f"{challenge} {corpus['machine_type']} ", f"{challenge} ")
        for corpus in corpora
    }
    only = names.pop() if len(names) == 1 else ""
    return only if only.startswith(challenge) else challenge


def record_provenance(
    found: dict[str, Callable[[], dict[str, Any]]],
    clips: pd.DataFrame,
    facts: dict[str, Any],
    campaign: CampaignSettings,
    evaluation: EvaluationSettings,
    detector: DetectorSettings,
    seed: int,
) -> TableProvenance:
    """Record what the table was made of, so that it can be made again.

    Args:
        found: by ``name/method``.
        clips: those of the runs that the table joins, JOINED_COLUMNS.
        facts: with ``title``.
        campaign: whose results.
        evaluation: of the figures.
        detector: whose name the folders of the table have.
        seed: of the resamples.
    """
    of_runs = clips[["method", "machine_type", "seed"]].drop_duplicates()
    in_table = set(of_runs.itertuples(index=False, name=None))
    runs, unknown = [], []
    for place, load in sorted(found.items()):
        name, _, method = place.rpartition("/")
        if campaign.names is not None and name not in campaign.names:
            continue
        result = load()
        made, machine_type = result.get("run", {}), result["corpus"]["machine_type"]
        if (method, machine_type, made.get("seed")) not in in_table:
            continue
        if "origin" not in result:
            unknown.append(f"{method}, {name}")
            continue
        corpus = result["corpus"]
        runs.append(
            TableRun(
                name=name,
                machine_type=machine_type,
                corpus=CorpusMark(
                    name=corpus["name"],
                    simulated=corpus["simulated"],
                    fingerprint=corpus["fingerprint"],
                    clips=corpus["clips_used"],
                ),
                made=made,
                trained_on=result["trained_on"],
                scores=identity(test=result["test"]),
                origin=result["origin"],
            )
        )
    return TableProvenance(
        format=1,
        name=detector.name or safe_name(*sorted(set(clips.machine_type))),
        title=facts["title"],
        evaluation=evaluation.model_dump(mode="json"),
        seed=seed,
        runs=runs,
        not_recorded=unknown,
    )


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
