"""The comparison of methods: its page, and its gist as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from anomalous_sound.reporting.facts import CorpusFacts, corpus_title
from anomalous_sound.reporting.pages import MISSING, number, render

FIGURES = {
    "roc_figure.png": "ROC curves of all methods",
    "auc_figure.png": "AUC of each method with its interval, and for each machine ID",
    "agreement_figure.png": "Scores of each method against those of each other method",
}
_SHOWN_DISAGREEMENTS = 15


def summary_lines(comparison: pd.DataFrame, corpus: CorpusFacts, confidence: float) -> list[str]:
    """Return the comparison as a few lines of plain text.

    Args:
        comparison: one row per method.
        corpus: the clips that all methods are scored on.
        confidence: of the intervals.
    """
    lines = [f"Methods on {corpus_title(corpus)}:"]
    for row in comparison.to_dict("records"):
        line = f"  {row['method']:<22}"
        if "auc_pooled" in row:
            line += (
                f" AUC {row['auc_pooled']:.3f} ({confidence:.0%}: {row['auc_pooled_low']:.3f} to "
                f"{row['auc_pooled_high']:.3f})  pAUC {row['pauc_pooled']:.3f}"
                f"  F1 {number(row['f1'])}"
            )
        else:
            line += " no AUC: it needs normal and anomalous test clips"
        lines.append(line)
    return lines


@dataclass(frozen=True)
class Compared:
    """What a comparison of methods has found.

    Attributes:
        comparison: one row per method.
        differences: one row per pair of methods.
        disagreements: test clips that the trained methods do not decide alike, the most disputed
            first.
        pays: whether training pays, in a sentence.
        missing: methods that are not compared, and why.
        corpus: the clips that all methods are scored on.
        confidence: of the intervals.
        max_fpr: false-positive rate up to which pAUC reaches.
    """

    comparison: pd.DataFrame
    differences: pd.DataFrame
    disagreements: pd.DataFrame
    pays: str
    missing: Mapping[str, str]
    corpus: CorpusFacts
    confidence: float
    max_fpr: float

    def facts(self) -> dict[str, Any]:
        """Return what pages say of it."""
        table = self.comparison
        rates = ["threshold", "fpr", "precision", "recall", "f1", "balanced_accuracy"]
        means = ["auc_mean", "auc_hmean", "auc_min", "pauc_mean"]
        per_id = [name for name in table if str(name).startswith(("auc_id_", "pauc_id_"))]
        return {
            "corpus": self.corpus,
            "confidence": self.confidence,
            "max_fpr": self.max_fpr,
            "missing": self.missing,
            "pooled": _pooled(table),
            "decided": _present(table, ["method", "threshold_strategy", *rates]),
            "by_machine_id": _present(table, ["method", *means, *per_id]),
            "cost": _cost(table),
            "pays": self.pays,
            "differences": self.differences,
            "disagreements": len(self.disagreements),
        }


def comparison_page(compared: Compared, verdicts: Sequence[str]) -> str:
    """Write the page.

    Args:
        compared: what was found.
        verdicts: for each network, whether it beats the baselines that need no training.

    Returns:
        Markdown; the figures are expected in the same folder.
    """
    return render(
        "comparison.md.j2",
        **compared.facts(),
        verdicts=verdicts,
        shown=compared.disagreements.head(_SHOWN_DISAGREEMENTS),
        figures=FIGURES,
    )


def _pooled(comparison: pd.DataFrame) -> pd.DataFrame:
    table = comparison[["method", "kind"]].copy()
    for name in ("auc_pooled", "pauc_pooled", "auc_mean"):
        if f"{name}_low" in comparison:
            table[name] = [
                f"{row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"
                for row in comparison.to_dict("records")
            ]
    return table.join(_present(comparison, ["average_precision"]))


def _cost(comparison: pd.DataFrame) -> pd.DataFrame:
    table = comparison[["method", "parameters", "training_s", "scoring_ms_per_clip"]].copy()
    table["parameters"] = [
        f"{int(count):,}" if pd.notna(count) else MISSING for count in table.parameters
    ]
    return table


def _present(table: pd.DataFrame, names: Sequence[object]) -> pd.DataFrame:
    """Return those of the columns that there are: some metrics need labels."""
    return table[[name for name in names if name in table]]
