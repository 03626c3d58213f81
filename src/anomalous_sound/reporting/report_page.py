"""The report of one method on one corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from anomalous_sound.reporting.facts import (
    CorpusFacts,
    DeployedThresholds,
    machine_id_name,
    strategy_name,
    threshold_name,
)
from anomalous_sound.reporting.official_table import official_facts
from anomalous_sound.reporting.pages import render
from anomalous_sound.vocabulary import Split

FIGURES = {
    "roc_figure.png": "ROC curve of the test clips",
    "score_figure.png": "Anomaly scores by split and label",
    "timeline_figure.png": "Deviation from normal in time and frequency",
    "history_figure.png": "Training and validation loss",
}

_THRESHOLD_COLUMNS = [
    "strategy",
    "kind",
    "promised_fpr",
    "threshold",
    "fpr",
    "tpr",
    "f1_anomalous",
    "note",
]
_CALIBRATION_COLUMNS = {
    "strategy": "strategy",
    "rate": "promised rate",
    "holds": "the promise holds",
    "calibration_clips": "calibration clips",
    "clips_needed": "clips needed",
    "threshold": "threshold",
    "alarms": "false alarms",
    "test_clips": "normal test clips",
    "delivered": "delivered rate",
    "delivered_low": "interval low",
    "delivered_high": "interval high",
}


def report_page(
    *,
    method: str,
    corpus: CorpusFacts,
    metrics: Mapping[str, Any],
    unit: str,
    thresholds: pd.DataFrame,
    deployed: DeployedThresholds,
    calibration: pd.DataFrame,
    classification: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    channels: pd.DataFrame,
    has_places: bool,
) -> str:
    """Write the report of one method on one corpus.

    Args:
        method: the method's title.
        corpus: the clips that the method was trained and tested on.
        metrics: as :func:`anomalous_sound.evaluation.metrics.evaluate` returns them, with
            ``deployed``, what the thresholds that decide do, ``localisation``, the hit rates, where
            the faults are known, and ``official``, where the figures of a challenge were computed.
        unit: what an anomaly score measures.
        thresholds: the table of thresholds, with ``strategy, kind, per, machine_id, deployed,
            promised_fpr, threshold``, what each does on the test clips, and ``note``.
        deployed: the thresholds that decide.
        calibration: the false-alarm rates promised and delivered, by ``per``, ``machine_id``
            and ``strategy``.
        classification: the classification report.
        rejected_clips: ``clip_id, reason``.
        channels: as :func:`channel_table` returns it.
        has_places: whether it is told when and where a clip deviates, and what was trained.

    Returns:
        Markdown; the figures are expected in the same folder.
    """
    # a CSV file does not tell an empty name from none
    thresholds, classification = (
        table.fillna({"machine_id": ""}) for table in (thresholds, classification)
    )
    given = thresholds[thresholds.threshold.notna()]
    names = given.strategy.copy()
    names[:] = [threshold_name(row) for row in given.to_dict("records")]
    is_deployed = given.deployed.astype(bool)
    has_roc = metrics["auc_pooled"] is not None
    return render(
        "report.md.j2",
        method=method,
        corpus=corpus,
        rejected_clips=rejected_clips,
        metrics=metrics,
        not_computed=_names_by_reason(metrics["not_computed"]),
        by_machine_id=_by_machine_id(metrics["per_machine_id"]),
        official=official_facts(metrics.get("official")),
        unit=unit,
        thresholds=_threshold_table(
            given.assign(strategy=names.mask(is_deployed, "**" + names + "**"))
        ),
        not_given=_names_by_reason(
            {
                threshold_name(row): row["note"]
                for row in thresholds[thresholds.threshold.isna()].to_dict("records")
            }
        ),
        deployed=deployed,
        undecided=metrics.get("deployed", {}).get("undecided", 0),
        deployed_promises=bool(given.promised_fpr[is_deployed].notna().any()),
        calibration=deployed_calibration(calibration),
        localisation=metrics.get("localisation"),
        channels=channels,
        has_places=has_places,
        classification=_classification(classification),
        figures={
            file: caption
            for file, caption in FIGURES.items()
            if (has_roc or file != "roc_figure.png")
            and (has_places or file not in ("timeline_figure.png", "history_figure.png"))
        },
    )


def outstanding(channel_scores: pd.DataFrame) -> pd.Series:
    """Return the channel that stands out most in each clip, by clip ID.

    Args:
        channel_scores: ``clip_id, channel, score``.
    """
    highest = channel_scores.loc[channel_scores.groupby("clip_id").score.idxmax()]
    return highest.set_index("clip_id").channel


def channel_table(channel_scores: pd.DataFrame, clip_scores: pd.DataFrame) -> pd.DataFrame:
    """Say of each channel in how many test clips of each label it stands out most.

    Args:
        channel_scores: ``clip_id, channel, score``.
        clip_scores: ``clip_id, split, label``.

    Returns:
        With the headings of a page; no row where one channel is judged.
    """
    columns = ["channel", "label", "test clips", "stands out most in", "mean score"]
    test = clip_scores[clip_scores.split == Split.TEST]
    of_test = channel_scores.merge(test[["clip_id", "label"]], on="clip_id")
    if of_test.empty:
        return pd.DataFrame(columns=columns)
    most = of_test.channel == of_test.clip_id.map(outstanding(of_test))
    groups = of_test.assign(most=most).groupby(["channel", "label"], as_index=False)
    table = groups.agg(clips=("most", "size"), most=("most", "sum"), score=("score", "mean"))
    return table.set_axis(columns, axis=1)


def deployed_calibration(calibration: pd.DataFrame) -> pd.DataFrame:
    """Return the rates promised and delivered for all clips, with the headings of a page.

    Thresholds that could not be given, and columns without a value, are left out.
    """
    of_all = calibration[(calibration.per == "machine_type") & calibration.threshold.notna()]
    table = of_all.assign(strategy=of_all.strategy.map(strategy_name))[list(_CALIBRATION_COLUMNS)]
    return _with_values(table.rename(columns=_CALIBRATION_COLUMNS))


def _threshold_table(given: pd.DataFrame) -> pd.DataFrame:
    table = given[_THRESHOLD_COLUMNS]
    # a note that all share says why nothing was computed, which the page says already
    return _with_values(table if len(set(table.note)) > 1 else table.drop(columns="note"))


def _classification(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of thresholds that were given and have clips to be judged by.

    Those of a single domain are in the table beside the page.
    """
    measured = table[table[["precision", "recall", "f1"]].notna().any(axis=1)]
    measured = measured[measured.domain.isna() | (measured.domain == "")]
    names = [threshold_name(row) for row in measured.to_dict("records")]
    return measured.assign(strategy=names).drop(columns=["per", "machine_id", "domain"])


def _with_values(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the columns in which nothing stands."""
    return table.dropna(axis="columns", how="all")


def _names_by_reason(not_computed: Mapping[str, str]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, reason in not_computed.items():
        names.setdefault(reason, []).append(name)
    return names


def _by_machine_id(values: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    rows = [
        {"machine_id": machine_id_name(machine_id), **of_id} for machine_id, of_id in values.items()
    ]
    table = pd.DataFrame(rows).rename(
        columns={"n_normal": "normal test clips", "n_anomalous": "anomalous test clips"}
    )
    has_labels = table[["normal test clips", "anomalous test clips"]].to_numpy().any()
    return _with_values(table) if has_labels else table.iloc[:0]
