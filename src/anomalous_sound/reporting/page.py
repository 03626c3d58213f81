"""The report's page: Markdown with the numbers in words and the figures beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from anomalous_sound.decision.thresholds import ALL
from anomalous_sound.reporting.figures import corpus_title, strategy_name
from anomalous_sound.scoring.clip_score import unit

FIGURES = {
    "roc_figure.png": "ROC of the test clips",
    "score_figure.png": "Anomaly scores by split and label",
    "timeline_figure.png": "When and where clips deviate",
    "history_figure.png": "Training history",
}


def report_page(
    *,
    metrics: Mapping[str, Any],
    thresholds: pd.DataFrame,
    classification: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    settings: Mapping[str, Any],
    score: Mapping[str, Any],
    deployed: Mapping[str, Any],
    calibration: pd.DataFrame,
) -> str:
    """Write the report of one method on one corpus.

    Args:
        metrics: of the method, with ``corpus``.
        thresholds: the table of thresholds.
        classification: the classification report.
        rejected_clips: ``clip_id, reason``.
        settings: the network's settings.
        score: the score's settings.
        deployed: the thresholds that decide: ``strategy, by_machine_id, note, per``.
        calibration: what thresholds with a stated false-alarm rate promise and deliver.

    Returns:
        Markdown; it expects the figures in the same folder.
    """
    corpus = metrics["corpus"]
    architecture = settings["network"]["architecture"].replace("_", " ")
    parts = [
        f"# {architecture}: {corpus_title(corpus)}",
        corpus_section(corpus, rejected_clips),
        _result_section(metrics) + f"\n\nThe anomaly score of a clip: {unit(score)}.",
        _threshold_section(thresholds, deployed),
        _calibration_section(calibration),
        _localisation_section(metrics),
        "## Table 1: classification report of the test clips\n\n" + markdown_table(classification),
        "## Figures\n\n" + "\n\n".join(f"![{text}]({file})" for file, text in FIGURES.items()),
    ]
    return "\n\n".join(parts) + "\n"


def corpus_section(corpus: Mapping[str, Any], rejected_clips: pd.DataFrame) -> str:
    """Write which clips a report is about, and which were rejected and why."""
    lines = []
    if corpus["simulated"]:
        lines += ["**Simulated data:** no number here says how well a real machine is judged.", ""]
    counts = ", ".join(f"{n} {name}" for name, n in corpus["clips_by_split_and_label"].items())
    machine_ids = ", ".join(name or "(none given)" for name in corpus["machine_ids"])
    lines += [
        f"Machine type {corpus['machine_type']}, machine IDs {machine_ids}; "
        f"corpus fingerprint `{corpus['fingerprint']}`.",
        f"{corpus['clips_found']} clips found = {corpus['clips_used']} used ({counts}) "
        f"+ {corpus['clips_rejected']} rejected.",
    ]
    if len(rejected_clips):
        lines += ["", "Rejected:", "", markdown_table(rejected_clips)]
    return "\n".join(lines)


def _result_section(metrics: Mapping[str, Any]) -> str:
    lines = ["## Result", ""]
    if metrics["auc_pooled"] is not None:
        low, high = metrics["auc_pooled_interval"]
        lines.append(
            f"- AUC over all test clips **{metrics['auc_pooled']:.3f}** "
            f"({metrics['confidence']:.0%} bootstrap interval {low:.3f} to {high:.3f}), "
            f"average precision {metrics['average_precision']:.3f}"
        )
    if metrics["auc_mean"] is not None:
        lines.append(
            f"- over the machine IDs: AUC mean {metrics['auc_mean']:.3f}, harmonic mean "
            f"{metrics['auc_hmean']:.3f}, minimum {metrics['auc_min']:.3f}; "
            f"pAUC (max FPR {metrics['max_fpr']}) mean {metrics['pauc_mean']:.3f}"
        )
    spread = metrics["validation_error_std"]
    lines.append(
        f"- anomaly score of the normal validation clips {metrics['validation_error_mean']:.6f}"
        + (f" ± {spread:.6f} (standard deviation)" if spread is not None else "")
    )
    by_reason: dict[str, list[str]] = {}
    for name, reason in metrics["not_computed"].items():
        by_reason.setdefault(reason, []).append(f"`{name}`")
    lines += [
        f"- not computed: {', '.join(names)} ({reason})" for reason, names in by_reason.items()
    ]
    table = pd.DataFrame.from_dict(metrics["per_machine_id"], orient="index")
    table.insert(0, "machine_id", table.index)
    return "\n".join([*lines, "", markdown_table(table)])


def _threshold_section(thresholds: pd.DataFrame, deployed: Mapping[str, Any]) -> str:
    named = thresholds.assign(
        strategy=[
            f"**{strategy_name(name)}**" if name == deployed["strategy"] else strategy_name(name)
            for name in thresholds.strategy
        ]
    )
    columns = [
        "strategy",
        "kind",
        "promised_fpr",
        "threshold",
        "fpr",
        "tpr",
        "f1_anomalous",
        "note",
    ]
    lines = [
        "## Thresholds",
        "",
        "The deployed one is bold. Normal-only thresholds come from held-out normal clips; oracle "
        "ones have seen the labels that they are judged by. A clip at or above the threshold is "
        "called anomalous.",
    ]
    if deployed["note"]:
        lines += ["", f"**{deployed['note']}**; what decides instead promises no rate."]
    if deployed["per"] == "machine_id":
        own = ", ".join(f"{name}: {value:.4g}" for name, value in deployed["by_machine_id"].items())
        lines += ["", f"What decides is one threshold for each machine ID ({own})."]
    return "\n".join([*lines, "", markdown_table(named[columns])])


def _calibration_section(calibration: pd.DataFrame) -> str:
    columns = {
        "strategy": "threshold from",
        "rate": "promised",
        "holds": "the promise holds",
        "calibration_clips": "clips",
        "clips_needed": "needed",
        "threshold": "threshold",
        "alarms": "false alarms",
        "test_clips": "of test clips",
        "delivered": "delivered",
        "delivered_low": "low",
        "delivered_high": "high",
    }
    of_all = calibration[calibration.machine_id == ALL]
    return (
        "## False alarms: promised and delivered\n\nFrom the scores of held-out normal clips; "
        "delivered on the normal test clips, with the exact binomial interval (Clopper and "
        "Pearson). A threshold that too few clips allow is not given. For each machine ID by "
        "itself: `calibration.csv`.\n\n"
        + markdown_table(of_all[list(columns)].rename(columns=columns))
    )


def _localisation_section(metrics: Mapping[str, Any]) -> str:
    text = (
        "## When and where\n\nThe stretches of time and the mel bands of every test clip that "
        "contribute most to its deviation are listed in `localisation.csv`; the figure shows the "
        "least and the most anomalous clip (or those of `--params localisation.clip_ids`)."
    )
    rates = metrics.get("localisation")
    if not rates:
        return text
    return text + (
        f"\n\nOn the {rates['clips']} simulated faulty clips, whose faults' places are known, "
        f"the fault sounds in {rates['time_hit']:.0%} of the marked time (set blindly: "
        f"{rates['time_chance']:.0%}), and {rates['frequency_hit']:.0%} of the marked bands lie in "
        f"its band (set blindly: {rates['frequency_chance']:.0%})."
    )


def markdown_table(frame: pd.DataFrame) -> str:
    """Write a table in Markdown; what is missing is a dash."""
    header = [str(name).replace("_", " ") for name in frame.columns]
    rows = [[_cell(value) for value in row] for row in frame.itertuples(index=False)]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("|", "\\|")
