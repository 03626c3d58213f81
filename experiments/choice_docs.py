"""The tables of docs/scores.md and README.md that say what the rule chose, from results/.

A table stands between ``<!-- choice: NAME -->`` and ``<!-- /choice -->`` and is written anew with
the results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from anomalous_sound.storage.atomic import replaced_file
from experiments.choice_page import BOTH, LEFT_OUT, LESS, RECORDED
from experiments.rule import DELIVERED, METHODS, STANDARD, Networks

CHOSEN = "errors: Mahalanobis + spectrum: local density"
WITHOUT = "spectrum: Mahalanobis + local density"  # the chosen score, frames in place of errors
FORMER = "errors of clips heard: linear, Mahalanobis, one Gaussian (the former standard)"
REPORTED = "errors: mean of windows (the report's)"
NAMES = {
    CHOSEN: "**errors: Mahalanobis + spectrum: local density**",
    "errors + spectrum: local density": "errors and spectrum: local density",
    "errors: Mahalanobis + spectrum: local density, Mahalanobis": (
        "errors: Mahalanobis + spectrum: both"
    ),
    WITHOUT: "*no network*: spectrum, both",
    "spectrum: local density": "*no network*: spectrum, local density",
    "errors + spectrum: Mahalanobis": "errors and spectrum: Mahalanobis",
    "spectrum: Mahalanobis": "*no network*: spectrum, Mahalanobis",
    "errors: Mahalanobis + local density": "errors: Mahalanobis + local density",
    "errors: Mahalanobis": "errors: Mahalanobis",
    "errors of clips heard: Mahalanobis": "the same, of clips that the network has heard",
    "errors: linear, Mahalanobis, one Gaussian": "errors, linear: Mahalanobis, one Gaussian",
    FORMER: "the same, of clips that the network has heard (the former standard)",
    REPORTED: "mean error of windows (the report's)",
}
REAL = {"slider": "slide rail", "pump": "pump", "valve": "valve", "fan_8ch": "fan"}
TYPES = REAL | {"simulated": "simulated"}
_TABLE = re.compile(r"(<!-- choice: (\w+) -->\n).*?(<!-- /choice -->)", re.DOTALL)


class Cells:
    """The AUCs and their intervals, as text."""

    def __init__(self, intervals: pd.DataFrame, networks: Networks) -> None:
        """Take results/choose_score_intervals.csv, of one number of networks."""
        usual = intervals[intervals.networks == networks.name]
        self._rows = usual.set_index(["score", "method", "of"])[["auc", "low", "high"]]

    def auc(self, score: str, method: str, of: str) -> str:
        """Return an AUC without its interval."""
        return _short(self._rows.loc[(score, method, of), "auc"])

    def with_interval(
        self, score: str, method: str, of: str, write: Callable[[float], str] | None = None
    ) -> str:
        """Return an AUC and, where there is one, its interval."""
        write = write or _short
        value, low, high = self._rows.loc[(score, method, of)]
        first = _short(value) if write is _coarse else write(value)
        return first if np.isnan(low) else f"{first} ({write(low)} to {write(high)})"


def tables(intervals: pd.DataFrame, chosen_by_others: dict[str, str]) -> dict[str, str]:
    """Return the tables by their names.

    Args:
        intervals: results/choose_score_intervals.csv.
        chosen_by_others: the score that the others choose, by the machine type left out.
    """
    compared, cells = Cells(intervals, STANDARD), Cells(intervals, DELIVERED)
    written = {
        "candidates": _candidates(compared),
        "rows": _rows(cells),
        "difference": _difference(cells),
        "left_out": _left_out(cells, chosen_by_others),
        "readme": _readme(cells),
    }
    return {name: "\n".join(lines) + "\n" for name, lines in written.items()}


def write_into(page: Path, written: dict[str, str]) -> None:
    """Replace the tables of a page."""
    text = replaced(page.read_text(encoding="utf-8"), written)
    with replaced_file(page) as file:
        file.write(text.encode())


def replaced(text: str, written: dict[str, str]) -> str:
    """Return a page with its tables replaced."""
    return _TABLE.sub(lambda found: found[1] + written[found[2]] + found[3], text)


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _coarse(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("0.", ".", 1)


def _table(*rows: list[str]) -> Iterator[str]:
    yield "| " + " | ".join(rows[0]) + " |"
    yield "|" + "---|" * len(rows[0])
    for row in rows[1:]:
        yield "| " + " | ".join(row) + " |"


def _candidates(cells: Cells) -> Iterator[str]:
    rows = [["score", *TYPES.values(), "mean, `lstm` and `gru`", "`lstm_dense`"]]
    for score, name in NAMES.items():
        mean = cells.with_interval(score, BOTH, "mean")
        mean = f"**{mean}**" if score == CHOSEN else mean
        each = [cells.auc(score, BOTH, of) for of in TYPES]
        rows.append([name, *each, mean, cells.with_interval(score, "lstm_dense", "mean")])
    yield from _table(*rows)


def _rows(cells: Cells) -> Iterator[str]:
    rows = [["", "score", *TYPES.values(), "mean of the four recorded"]]
    shown = {CHOSEN: "chosen", FORMER: "former standard", REPORTED: "the report's"}
    for method in METHODS:
        for score, name in shown.items():
            each = [cells.with_interval(score, method, of) for of in (*TYPES, RECORDED)]
            rows.append([f"`{method}`", name, *each])
    each = [cells.with_interval(WITHOUT, METHODS[0], of) for of in (*TYPES, RECORDED)]
    rows.append(["no network", "chosen", *each])
    yield from _table(*rows)


def _difference(cells: Cells) -> Iterator[str]:
    rows = [["", *TYPES.values(), "mean of the four recorded", "mean of all five"]]
    for method in METHODS:
        columns = (*TYPES, RECORDED, "mean")
        each = [cells.with_interval(LESS, method, of, _signed) for of in columns]
        rows.append([f"`{method}`", *each])
    yield from _table(*rows)


def _left_out(cells: Cells, chosen_by_others: dict[str, str]) -> Iterator[str]:
    rows = [["left out", "the others choose", *(f"`{method}`" for method in METHODS)]]
    for of, name in TYPES.items():
        each = [cells.with_interval(LEFT_OUT, method, of) for method in METHODS]
        rows.append([name, NAMES[chosen_by_others[of]].strip("*"), *each])
    means = [f"**{cells.with_interval(LEFT_OUT, method, 'mean')}**" for method in METHODS]
    yield from _table(*rows, ["**mean**", "", *means])


def _readme(cells: Cells) -> Iterator[str]:
    rows = [["", *REAL.values(), "mean"]]
    for method in METHODS:
        each = [cells.with_interval(CHOSEN, method, of, _coarse) for of in (*REAL, RECORDED)]
        rows.append([f"`{method}`", *each])
    each = [cells.with_interval(WITHOUT, METHODS[0], of, _coarse) for of in (*REAL, RECORDED)]
    yield from _table(*rows, ["the same score, no network (`spectrum`)", *each])
