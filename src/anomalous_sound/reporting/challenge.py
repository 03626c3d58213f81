"""Scores, decisions and results in the file formats of the DCASE challenges' Task 2.

File names and columns follow the task's rules (DCASE 2020 Task 2, "Submission"), so that an
official evaluator can read them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are used

from anomalous_sound.vocabulary import Decision, Split


def submission_files(clip_scores: pd.DataFrame, decisions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Lay out the scores and decisions of the test clips, labelled or not.

    Args:
        clip_scores: ``clip_id, machine_type, machine_id, split, score``, one row per clip.
        decisions: ``clip_id, decision``, one row per clip.

    Returns:
        For each file name without its extension (``anomaly_score_<type>_id_<id>``,
        ``decision_result_<type>_id_<id>``), a table of two columns to be written without a header:
        the clip's file name, and its score or its decision (1: anomalous).
    """
    test = clip_scores[clip_scores.split == Split.TEST].merge(
        decisions[["clip_id", "decision"]], on="clip_id", validate="one_to_one"
    )
    files = {}
    for (machine_type, machine_id), group in test.groupby(["machine_type", "machine_id"]):
        group = group.assign(file=_file_names(group.clip_id)).sort_values("file")
        machine = re.sub(r"[^\w.-]+", "_", str(machine_type))
        if machine_id:
            machine += f"_id_{machine_id}"
        files[f"anomaly_score_{machine}"] = group[["file", "score"]]
        decided = group[group.decision != Decision.UNDECIDED]  # the format has no word for it
        if len(decided):
            called = (decided.decision == Decision.ANOMALOUS).astype(int)
            files[f"decision_result_{machine}"] = decided.assign(decision=called)[
                ["file", "decision"]
            ]
    return files


def result_table(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Lay out the AUC and pAUC of each machine ID, their average and their harmonic mean.

    DCASE 2020 ranks by the average, the challenges since 2021 by the harmonic mean.

    Args:
        metrics: as :func:`anomalous_sound.evaluation.metrics.evaluate` returns them.

    Returns:
        ``id, AUC, pAUC``; missing where a machine ID lacks normal or anomalous test clips.
    """
    by_id = metrics["per_machine_id"]
    rows = [(machine_id, values["auc"], values["pauc"]) for machine_id, values in by_id.items()]
    table = pd.DataFrame(rows, columns=["id", "AUC", "pAUC"]).astype({"AUC": float, "pAUC": float})
    known = table.dropna()
    means = {"Average": np.mean, "Harmonic mean": scipy.stats.hmean}
    for place, (name, mean) in enumerate(means.items(), start=len(table)):
        values = (mean(known[column]) if len(known) else np.nan for column in ("AUC", "pAUC"))
        table.loc[place] = [name, *values]
    return table


def _file_names(clip_ids: pd.Series) -> pd.Series:
    """Return the files' names, or whole paths where two clips have the same name."""
    names = clip_ids.map(lambda clip_id: PurePosixPath(clip_id).name)
    return clip_ids if names.duplicated().any() else names
