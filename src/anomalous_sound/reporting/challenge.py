"""Scores, decisions and results in the file formats of the DCASE challenges' Task 2.

File names and columns follow the rules of the task ("Submission") and what the evaluators of its
organisers read and write: of machine IDs in 2020, of sections and domains since 2021.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are used

from anomalous_sound.evaluation.official import arithmetic_mean, harmonic_mean
from anomalous_sound.vocabulary import Decision, Domain, Split

_BY_ID, _BY_DOMAIN = 2020, 2021  # the years whose figures have a layout of their own
_OF_A_DECISION = {"precision": "precision", "recall": "recall", "f1": "F1 score"}


def submission_files(
    clip_scores: pd.DataFrame, decisions: pd.DataFrame, year: int | None = None
) -> dict[str, pd.DataFrame]:
    """Lay out the scores and decisions of the test clips, labelled or not.

    Args:
        clip_scores: ``clip_id, machine_type, machine_id, split, domain, score``, one row per clip.
        decisions: ``clip_id, decision``, one row per clip.
        year: of the challenge; 2021 has files of their own for each domain.

    Returns:
        For each file name without its extension, a table of two columns to be written without a
        header: the clip's file name, and its score or its decision (1: anomalous). The files are
        called ``anomaly_score_<type>_id_<id>`` and ``decision_result_<type>_id_<id>``, or
        ``…_section_<nn>_test`` where the clips' names begin with their section, and of 2021
        ``…_section_<nn>_source_test`` and ``…_target_test``.
    """
    test = clip_scores[clip_scores.split == Split.TEST].merge(
        decisions[["clip_id", "decision"]], on="clip_id", validate="one_to_one"
    )
    test = test.assign(part=test.domain if year == _BY_DOMAIN else "")
    files = {}
    for (machine_type, machine_id, domain), group in test.groupby(
        ["machine_type", "machine_id", "part"]
    ):
        group = group.assign(file=_file_names(group.clip_id)).sort_values("file")
        machine = re.sub(r"[^\w.-]+", "_", str(machine_type))
        if group.file.str.startswith("section_").all():
            machine += f"_section_{machine_id}_{domain}{'_' if domain else ''}test"
        elif machine_id:
            machine += f"_id_{machine_id}"
        files[f"anomaly_score_{machine}"] = group[["file", "score"]]
        decided = group[group.decision != Decision.UNDECIDED]  # the format has no word for it
        if len(decided):
            called = (decided.decision == Decision.ANOMALOUS).astype(int)
            files[f"decision_result_{machine}"] = decided.assign(decision=called)[
                ["file", "decision"]
            ]
    return files


def result_table(metrics: Mapping[str, Any], year: int | None = None) -> pd.DataFrame:
    """Lay out the figures as the evaluator of a challenge's year does.

    Args:
        metrics: as :func:`anomalous_sound.evaluation.metrics.evaluate` returns them; with
            ``official`` if there is a year.
        year: of the challenge.

    Returns:
        ``id, AUC, pAUC`` of each machine ID, their average and their harmonic mean (2020, and
        without a year); ``section, domain, AUC, pAUC, precision, recall, F1 score`` (2021); or
        ``section, AUC (all), AUC (source), …, F1 score (target)`` (from 2022). Since 2021 the
        arithmetic and harmonic means follow, and the official score, in a column of its own.
        Missing where a figure cannot be computed; so is a mean over a missing figure.
    """
    if year is None or year == _BY_ID:
        return _by_machine_id(metrics)
    official = metrics["official"]
    rows = _by_domain(official) if year == _BY_DOMAIN else _by_section(official)
    score = {"section": "official score", "official score": official["score"]}
    return pd.DataFrame([*rows, score])


def _by_domain(official: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = {"auc": "AUC", "pauc": "pAUC", **_OF_A_DECISION}
    rows: list[dict[str, Any]] = [
        {
            "section": section,
            "domain": str(domain),
            **{column: values[f"{name}_{domain}"] for name, column in names.items()},
        }
        for domain in Domain
        for section, values in official["sections"].items()
    ]
    known = pd.DataFrame(rows)[list(names.values())].astype(float)
    for title, mean in (("arithmetic mean", arithmetic_mean), ("harmonic mean", harmonic_mean)):
        means = {
            column: mean(known[column]) if known[column].notna().all() else None
            for column in names.values()
        }
        rows.append({"section": title, **means})
    return rows


def _by_section(official: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = {"auc": "AUC (all)", "auc_source": "AUC (source)", "auc_target": "AUC (target)"}
    columns["pauc"] = "pAUC"
    for name, column in _OF_A_DECISION.items():
        columns |= {f"{name}_{domain}": f"{column} ({domain})" for domain in Domain}
    titled = {
        **official["sections"],
        "arithmetic mean": official["arithmetic_mean"],
        "harmonic mean": official["harmonic_mean"],
    }
    return [
        {"section": title, **{column: values[name] for name, column in columns.items()}}
        for title, values in titled.items()
    ]


def _by_machine_id(metrics: Mapping[str, Any]) -> pd.DataFrame:
    by_id = metrics["per_machine_id"]
    rows = [(machine_id, values["auc"], values["pauc"]) for machine_id, values in by_id.items()]
    table = pd.DataFrame(rows, columns=["id", "AUC", "pAUC"]).astype({"AUC": float, "pAUC": float})
    known = table.dropna()
    is_complete = 0 < len(known) == len(by_id)  # a mean over some of them would pass for all
    means = {"Average": np.mean, "Harmonic mean": scipy.stats.hmean}
    for place, (name, mean) in enumerate(means.items(), start=len(table)):
        values = (mean(known[column]) if is_complete else np.nan for column in ("AUC", "pAUC"))
        table.loc[place] = [name, *values]
    return table


def _file_names(clip_ids: pd.Series) -> pd.Series:
    """Return the files' names, or whole paths where two clips have the same name."""
    names = clip_ids.map(lambda clip_id: PurePosixPath(clip_id).name)
    return clip_ids if names.duplicated().any() else names
