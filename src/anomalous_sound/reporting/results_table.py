"""Results to publish: a page in Markdown, and tables for LaTeX.

One table a figure: rows are machine types and machine IDs (or sections), columns are systems.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from anomalous_sound.reporting.facts import figure_title, machine_id_name
from anomalous_sound.reporting.pages import MISSING, number, render

_MEAN, _PUBLISHED = "mean", "published"
_LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    }
)


def results_page(
    results: pd.DataFrame,
    differences: pd.DataFrame,
    *,
    title: str,
    year: int | None,
    simulated: bool,
    missing: Sequence[str],
    confidence: float,
    max_fpr: float,
) -> str:
    """Write the page.

    Args:
        results: ``system, origin, machine_type, machine_id, figure, mean, std, seeds, low, high,
            source``, as :func:`anomalous_sound.evaluation.campaign.beside_published` returns it.
        differences: ``method, other, machine_type, figure, difference, low, high, clear``.
        title: what the results are of.
        year: of the challenge whose figures these are; None: of none.
        simulated: whether the sound was made by a program.
        missing: what is not in the tables, and why, in sentences.
        confidence: of the intervals.
        max_fpr: false-positive rate up to which pAUC reaches.
    """
    named = results.assign(machine_id=[machine_id_name(one) for one in results.machine_id])
    return render(
        "results.md.j2",
        title=title,
        year=year,
        simulated=simulated,
        missing=missing,
        confidence=confidence,
        max_fpr=max_fpr,
        tables={figure_title(one): _wide(named, one) for one in _figures(named)},
        means=_means(results),
        differences=_differences(differences),
        sources=_sources(results),
    )


def results_latex(results: pd.DataFrame, *, title: str) -> str:
    """Write the tables in LaTeX, for the packages ``booktabs`` and ``hyperref``.

    Args:
        results: as for :func:`results_page`.
        title: what the results are of.
    """
    parts = [f"% {title}. Needs \\usepackage{{booktabs}} and \\usepackage{{hyperref}}."]
    for figure in _figures(results):
        wide = _wide(results, figure)
        of = f"{figure_title(figure)}, {title}: mean and standard deviation over seeds"
        parts.append(
            wide.to_latex(
                index=False,
                escape=True,
                column_format="ll" + "r" * (wide.shape[1] - 2),
                caption=_escaped(of),
                label=f"tab:{figure.replace('_', '-')}",
                position="tb",
            )
            .replace("±", r"$\pm$")
            .replace(MISSING, "--")
        )
    notes = []
    for name, source in _sources(results).items():
        address, _, revision = source.partition(" ")
        notes.append(f"{_escaped(name)}: \\url{{{address}}} {_escaped(revision)}".rstrip())
    if notes:
        parts.append("\\noindent Published figures: " + "; ".join(notes) + ".\n")
    return "\n".join(parts)


def _figures(results: pd.DataFrame) -> list[str]:
    """Return the figures in their order, the one that ranks systems first."""
    found = list(dict.fromkeys(results.figure))
    return sorted(found, key=lambda figure: figure != "score")


def _wide(results: pd.DataFrame, figure: str) -> pd.DataFrame:
    own = results[results.figure == figure]
    systems = list(dict.fromkeys(results.system))
    cells = {
        (row["machine_type"], row["machine_id"], row["system"]): _cell(row) for row in _rows(own)
    }
    places = sorted({key[:2] for key in cells}, key=_order)
    rows = [
        [_type_name(kind), machine_id]
        + [cells.get((kind, machine_id, system), MISSING) for system in systems]
        for kind, machine_id in places
    ]
    return pd.DataFrame(rows, columns=["machine type", "machine ID", *systems])


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _order(place: tuple[str, str]) -> tuple[bool, str, bool, str]:
    kind, machine_id = place
    return kind == _MEAN, kind, machine_id == _MEAN, machine_id


def _type_name(kind: str) -> str:
    return "all" if kind == _MEAN else kind


def _cell(row: dict[str, Any]) -> str:
    mean = number(row["mean"])
    return mean if pd.isna(row["std"]) or mean == MISSING else f"{mean} ± {number(row['std'])}"


def _means(results: pd.DataFrame) -> pd.DataFrame:
    """Return the means of what was measured here, with their intervals."""
    own = results[(results.origin != _PUBLISHED) & (results.machine_id == _MEAN)]
    return pd.DataFrame(
        {
            "method": own.system,
            "machine type": own.machine_type.map(_type_name),
            "figure": own.figure.map(figure_title),
            "mean": own["mean"].map(number),
            "interval": _intervals(own),
            "standard deviation": own["std"].map(number),
            "seeds": own.seeds.astype("Int64").astype(str),  # a file of text has made them floats
        }
    )


def _differences(differences: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "methods": differences.method + " − " + differences.other,
            "machine type": differences.machine_type.map(_type_name),
            "figure": differences.figure.map(figure_title),
            "difference": [f"{value:+.3f}" for value in differences.difference],
            "interval": [f"{row.low:+.3f} to {row.high:+.3f}" for row in differences.itertuples()],
            "clear": differences.clear,
        }
    )


def _intervals(table: pd.DataFrame) -> list[str]:
    return [
        MISSING if pd.isna(low) else f"{number(low)} to {number(high)}"
        for low, high in table[["low", "high"]].astype(float).to_numpy()
    ]


def _sources(results: pd.DataFrame) -> dict[str, str]:
    published = results[results.origin == _PUBLISHED]
    return dict(zip(published.system, published.source, strict=True))


def _escaped(text: str) -> str:
    """Write a text so that LaTeX prints it."""
    return text.translate(_LATEX)
