"""The figures of a table and of what was made again, side by side, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from anomalous_sound.campaign.rerun import reproduced_name
from anomalous_sound.errors import InputError
from anomalous_sound.evaluation.campaign import MEASURED
from anomalous_sound.evaluation.reproduction import KEYS, VALUES
from anomalous_sound.provenance.table import TableProvenance, TableRun

OTHER = "Other than there:"


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of results to the last digit.

    Raises:
        InputError: it is none of ours.
    """
    try:
        # pandas itself may read other last digits than were written
        exactly = dict.fromkeys(VALUES, lambda text: float(text or "nan"))
        read = pd.read_csv(path, dtype={"machine_id": str}, converters=exactly)
        table: pd.DataFrame = read[["origin", *KEYS, *VALUES]]
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a table of results: {str(error).splitlines()[0]}"
        ) from None
    if MEASURED not in set(table.origin):
        raise InputError(f"{path} has no figure that was {MEASURED}: there is nothing to compare.")
    return table


def table_lines(apart: pd.DataFrame, outside: pd.DataFrame) -> Iterator[str]:
    """Lay out figures: all means, and what else is outside of the tolerance.

    Args:
        apart: APART_COLUMNS of :mod:`anomalous_sound.evaluation.reproduction`.
        outside: those of them that are outside.
    """
    shown = apart[(apart["value"] == "mean") | apart.index.isin(outside.index)]
    rows = [("system", "machine type", "machine ID", "figure", "published", "here", "difference")]
    rows += [_cells(row) for row in shown.sort_values(KEYS, kind="stable").to_dict("records")]
    yield from _aligned(rows)


def other_clips(run: TableRun, fingerprint: str, clips: int) -> str:
    """Say that a run is on other clips than that of the table; empty: it is not.

    Args:
        run: of the table.
        fingerprint: of the clips here.
        clips: how many they are.
    """
    there = run.corpus
    if fingerprint == there.fingerprint:
        return ""
    return (
        f"{run.machine_type}: the clips here ({clips}, fingerprint {fingerprint}) are not those "
        f"that the table was made with ({there.clips}, fingerprint {there.fingerprint}), or are "
        "divided or labelled otherwise; do not expect the same figures"
    )


def run_lines(made: TableProvenance, again: TableProvenance) -> Iterator[str]:
    """Say in which runs clips or device are other, and in how many the scores are the same.

    Args:
        made: what the table was made of.
        again: what was made again.
    """
    runs = {(run.name, run.method): run for run in again.runs}
    same = 0
    told = []
    for run in made.runs:
        other = runs.get((reproduced_name(run.name), run.method))
        if other is None:
            told.append(f"{run.called()}: its result does not fit into the table")
            continue
        same += other.scores == run.scores
        told.append(other_clips(run, other.corpus.fingerprint, other.corpus.clips))
        if other.trained_on != run.trained_on:
            there, here = (" ".join(one.trained_on.values()) for one in (run, other))
            told.append(f"{run.called()}: trained on {here} here, on {there} there")
    yield from (f"{OTHER} {line}." for line in dict.fromkeys(told) if line)
    yield f"The scores of all test clips are the same in {same} of {len(made.runs)} runs."


def _cells(row: Mapping[Any, Any]) -> tuple[str, ...]:
    figure = row["figure"] if row["value"] == "mean" else f"{row['figure']}, {row['value']}"
    is_missing = pd.isna(row["reproduced"])
    return (
        *(str(row[name]) for name in KEYS[:-1]),
        str(figure),
        f"{row['published']:.6f}",
        "–" if is_missing else f"{row['reproduced']:.6f}",
        "missing" if is_missing else f"{row['difference']:+.1e}" if row["difference"] else "0",
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
