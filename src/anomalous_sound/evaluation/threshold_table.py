"""All thresholds, normal-only and oracle, and what each does on the labelled test clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.strategies import STRATEGIES, Strategy
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.evaluation.metrics import classification, labelled_test_clips, why_no_roc
from anomalous_sound.evaluation.official import has_domains
from anomalous_sound.evaluation.oracle import ORACLE_STRATEGIES, oracle_thresholds
from anomalous_sound.vocabulary import Domain, Label

NORMAL_ONLY, ORACLE = "normal-only", "oracle"
THRESHOLD_COLUMNS = [
    "strategy",
    "kind",
    "per",
    "machine_id",
    "deployed",
    "promised_fpr",
    "threshold",
    "fpr",
    "tpr",
    "precision_normal",
    "recall_normal",
    "f1_normal",
    "precision_anomalous",
    "recall_anomalous",
    "f1_anomalous",
    "note",
]


def threshold_table(
    clip_scores: pd.DataFrame,
    calibration: CalibrationScores,
    settings: ThresholdSettings,
    deployed: Thresholds,
) -> pd.DataFrame:
    """Put all thresholds, and what each does on the test clips, in one table.

    What a threshold does is told by the score alone. The decisions count foreign sound beside it as
    anomalous (see :mod:`anomalous_sound.decision.evidence`), so their rates may be higher.

    Args:
        clip_scores: ``machine_id, split, label, score``, one row per clip.
        calibration: scores of held-out normal clips.
        settings: of the thresholds.
        deployed: the thresholds that decide.

    Returns:
        THRESHOLD_COLUMNS: one row per strategy, of all clips that are decided; and where each
        machine ID has a threshold of its own, one more row for each (``per`` is then
        ``machine_id``), of its clips. ``deployed`` marks what decides. NaN where something cannot
        be computed, and ``note`` says why.
    """
    judged = clip_scores[clip_scores.machine_id.map(deployed.judges)]
    is_anomalous, scores = labelled_test_clips(judged)
    no_roc = why_no_roc(is_anomalous)
    rows: list[dict[str, Any]] = []
    for strategy in STRATEGIES.values():
        threshold = strategy.of(calibration, settings)
        rows.append(
            {
                **_named(strategy, settings),
                "per": "machine_type",
                "machine_id": "",
                "deployed": deployed.per == "machine_type" and strategy.name == deployed.strategy,
                "threshold": threshold.value,
                "note": (no_roc or "") if threshold.given else threshold.note,
            }
        )
    oracle = (
        dict.fromkeys(ORACLE_STRATEGIES, np.nan)
        if no_roc
        else oracle_thresholds(is_anomalous, scores, tpr=settings.tpr)
    )
    for name, value in oracle.items():
        rows.append(
            {
                "strategy": name,
                "kind": ORACLE,
                "per": "machine_type",
                "machine_id": "",
                "deployed": False,
                "threshold": value,
                "note": no_roc or "",
            }
        )
    if deployed.per == "machine_id":
        named = _named(STRATEGIES[deployed.strategy], settings)
        for machine_id, value in deployed.by_machine_id.items():
            own = {"per": "machine_id", "machine_id": machine_id, "deployed": True}
            rows.append({**named, **own, "threshold": value, "note": ""})
    for row in rows:
        is_anomalous, scores = labelled_test_clips(_clips_of(row, judged))
        if len(scores) and not np.isnan(row["threshold"]):
            row |= classification(is_anomalous, scores >= row["threshold"])
    return pd.DataFrame(rows, columns=THRESHOLD_COLUMNS)


def classification_report(thresholds: pd.DataFrame, clip_scores: pd.DataFrame) -> pd.DataFrame:
    """Lay the table of thresholds out as a classification report.

    Returns:
        ``strategy, kind, per, machine_id, domain, class, precision, recall, f1, support``: two rows
        per row of ``thresholds``; the support of a threshold for all counts all labelled test
        clips. ``domain`` is empty; where test clips have a source and a target domain, two more
        rows follow for each, of its clips alone.
    """
    rows = []
    domains = ["", *(Domain if "domain" in clip_scores and has_domains(clip_scores) else ())]
    for row in thresholds.fillna({"machine_id": ""}).to_dict("records"):
        for domain in domains:
            of_row = _clips_of(row, clip_scores)
            if domain:
                of_row = of_row[of_row.domain == domain]
            is_anomalous, scores = labelled_test_clips(of_row)
            found: Mapping[Any, Any] = row
            if domain:
                is_given = len(scores) and not np.isnan(row["threshold"])
                found = classification(is_anomalous, scores >= row["threshold"]) if is_given else {}
            for label, clips in ((Label.NORMAL, ~is_anomalous), (Label.ANOMALOUS, is_anomalous)):
                rows.append(
                    {
                        **{name: row[name] for name in ("strategy", "kind", "per", "machine_id")},
                        "domain": str(domain),
                        "class": label,
                        **{
                            name: found.get(f"{name}_{label}", np.nan)
                            for name in ("precision", "recall", "f1")
                        },
                        "support": int(clips.sum()),
                    }
                )
    return pd.DataFrame(rows)


def _named(strategy: Strategy, settings: ThresholdSettings) -> dict[str, Any]:
    return {
        "strategy": strategy.name,
        "kind": NORMAL_ONLY,
        "promised_fpr": strategy.rate(settings) if strategy.promises else np.nan,
    }


def _clips_of(row: Mapping[Any, Any], clip_scores: pd.DataFrame) -> pd.DataFrame:
    """Return the clips that a row of the table is of."""
    if row["per"] == "machine_type":
        return clip_scores
    own: pd.DataFrame = clip_scores[clip_scores.machine_id == row["machine_id"]]
    return own
