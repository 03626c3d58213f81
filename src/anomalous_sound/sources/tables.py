"""Small tables that lie beside recordings, such as ``labels.csv``, read as text."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from anomalous_sound.errors import InputError
from anomalous_sound.storage.remote import RemotePath


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        columns: their names.
        rows: the text in each column, one mapping a row; empty where a row ends early.
    """

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]


def read_table(path: Path | RemotePath) -> Table:
    """Read a table: UTF-8, values between commas, their names in the first line.

    Blanks before a value and empty lines are left out.

    Raises:
        InputError: it is no such table.
    """
    try:
        with path.open("r", encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, skipinitialspace=True, strict=True)
            columns = tuple(next(lines, ()))
            if not columns:
                raise ValueError("it has no columns")
            rows = tuple(_row(columns, values, lines.line_num) for values in lines if values)
    except (csv.Error, ValueError) as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from error
    return Table(columns, rows)


def _row(columns: tuple[str, ...], values: list[str], line: int) -> dict[str, str]:
    if len(values) > len(columns):
        raise ValueError(f"line {line} has {len(values)} values for {len(columns)} columns")
    missing = [""] * (len(columns) - len(values))
    return dict(zip(columns, [*values, *missing], strict=True))
