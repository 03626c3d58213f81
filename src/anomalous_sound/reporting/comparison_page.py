"""The page of a comparison: Markdown with tables, verdicts and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from anomalous_sound.reporting.figures import corpus_title
from anomalous_sound.reporting.page import markdown_table

FIGURES = {
    "roc_figure.png": "ROC curves of all methods",
    "auc_figure.png": "AUC of each method with its interval, and for each machine ID",
    "agreement_figure.png": "Scores of one method against another's",
}
_SHOWN_DISAGREEMENTS = 15


def summary_lines(
    comparison: pd.DataFrame, corpus: Mapping[str, Any], confidence: float
) -> list[str]:
    """Return the comparison as a few lines of plain text."""
    lines = [f"Methods on {corpus_title(corpus)}:"]
    for row in comparison.to_dict("records"):
        line = f"  {row['method']:<12}"
        if "auc_pooled" in row:
            line += (
                f" AUC {row['auc_pooled']:.3f} ({confidence:.0%}: {row['auc_pooled_low']:.3f} to "
                f"{row['auc_pooled_high']:.3f})  pAUC {row['pauc_pooled']:.3f}"
                f"  F1 {_number(row['f1'])}"
            )
        else:
            line += " no AUC: it needs normal and anomalous test clips"
        lines.append(line)
    return lines


def comparison_page(
    *,
    comparison: pd.DataFrame,
    differences: pd.DataFrame,
    disagreements: pd.DataFrame,
    verdicts: Sequence[str],
    missing: Mapping[str, str],
    corpus: Mapping[str, Any],
    confidence: float,
    max_fpr: float,
) -> str:
    """Write the page.

    Args:
        comparison: one row a method.
        differences: one row a pair of methods.
        disagreements: test clips that the trained methods do not decide alike.
        verdicts: for each network, whether it beats the rows without training.
        missing: methods that are not compared, and why.
        corpus: the corpus summary.
        confidence: of the intervals.
        max_fpr: up to which pAUC reaches.

    Returns:
        Markdown; it expects the figures in the same folder.
    """
    parts = [f"# Methods side by side: {corpus_title(corpus)}"]
    if corpus["simulated"]:
        parts.append("**Simulated data:** no number here says how well a real machine is judged.")
    parts.append(
        f"All rows are scored on the same {corpus['clips_used']} clips (corpus fingerprint "
        f"`{corpus['fingerprint']}`). Intervals are {confidence:.0%} bootstrap intervals over test "
        f"clips; pAUC reaches to FPR {max_fpr}. Thresholds come from normal clips alone."
    )
    if missing:
        parts.append("\n".join(f"- Not compared: {name}; {why}" for name, why in missing.items()))
    parts += [
        "## All clips\n\n" + markdown_table(_pooled(comparison)),
        "## At the deployed threshold (anomalous class)\n\n" + markdown_table(_decided(comparison)),
        "## By machine ID\n\n" + markdown_table(_by_machine_id(comparison)),
        "## Cost\n\n" + markdown_table(_cost(comparison)),
        "## Does training pay?\n\n" + "\n".join(f"- {line}" for line in verdicts),
        "## Paired differences of AUC\n\n"
        "`clear`: the whole interval is on one side of zero; all else is noise.\n\n"
        + markdown_table(differences),
        _disagreement_section(disagreements),
        "## Figures\n\n" + "\n\n".join(f"![{text}]({file})" for file, text in FIGURES.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _pooled(comparison: pd.DataFrame) -> pd.DataFrame:
    table = comparison[["method", "kind"]].copy()
    for name in ("auc_pooled", "pauc_pooled", "auc_mean"):
        if f"{name}_low" in comparison:
            table[name] = [
                f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"
                for row in comparison.to_dict("records")
            ]
    return table.join(_columns(comparison, ["average_precision"]))


def _decided(comparison: pd.DataFrame) -> pd.DataFrame:
    rates = ["threshold", "fpr", "precision", "recall", "f1", "balanced_accuracy"]
    return _columns(comparison, ["method", "threshold_strategy", *rates])


def _by_machine_id(comparison: pd.DataFrame) -> pd.DataFrame:
    per_id = [name for name in comparison if name.startswith(("auc_id_", "pauc_id_"))]
    return _columns(
        comparison, ["method", "auc_mean", "auc_hmean", "auc_min", "pauc_mean", *per_id]
    )


def _cost(comparison: pd.DataFrame) -> pd.DataFrame:
    table = comparison[["method", "parameters", "training_s", "scoring_ms_per_clip"]].copy()
    table["parameters"] = [
        f"{int(count):,}" if pd.notna(count) else "–" for count in table.parameters
    ]
    return table


def _columns(table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    return table[[name for name in names if name in table]]


def _disagreement_section(disagreements: pd.DataFrame) -> str:
    shown = disagreements.head(_SHOWN_DISAGREEMENTS)
    text = f"## Where the trained methods disagree\n\n{len(disagreements)} test clips"
    if disagreements.empty:
        return text + "."
    return (
        f"{text}; the {len(shown)} with the widest spread of ranks (0 to 1), all in "
        "`disagreements.csv`.\n\n" + markdown_table(shown)
    )


def _number(value: float) -> str:
    return f"{value:.3f}" if pd.notna(value) else "–"
