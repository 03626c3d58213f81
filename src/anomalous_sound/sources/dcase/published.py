"""Labels of the evaluation sets, attributes beside the clips, and published figures."""

from __future__ import annotations

import io
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from anomalous_sound.errors import InputError
from anomalous_sound.sources.layout import ClipFacts
from anomalous_sound.sources.tables import Table

if TYPE_CHECKING:
    import pandas as pd

NAME_COLUMN = "file_name"


@cache
def evaluation_labels(year: int, machine_type: str) -> dict[str, ClipFacts]:
    """Return what the organisers have published of the test clips of an evaluation set.

    Args:
        year: of the challenge.
        machine_type: whose clips.

    Returns:
        The facts by the clip's file name; empty where none have been published.
    """
    file = resources.files(__package__) / "labels" / f"dcase{year}.csv.gz"
    if not file.is_file():
        return {}
    import pandas as pd

    table = pd.read_csv(io.BytesIO(file.read_bytes()), compression="gzip", dtype=str).fillna("")
    own = table[table.machine_type == machine_type]
    columns = own[["file", "label", "domain", "attributes"]]
    return {file: ClipFacts(*facts) for file, *facts in columns.itertuples(index=False)}


@cache
def published_figures(year: int) -> pd.DataFrame:
    """Return what has been published of a year's test clips; where, says ``source``.

    Args:
        year: of the challenge.

    Returns:
        ``part, system, machine_type, machine_id, figure, value, over, source``; ``mean`` as machine
        ID is a mean, and ``over`` has what it is over (``fan/00 fan/02``). Empty where nothing has
        been published that could be read from a public repository.
    """
    import pandas as pd

    file = resources.files(__package__) / "figures" / "published.csv"
    table = pd.read_csv(io.BytesIO(file.read_bytes()), dtype=str).fillna({"over": ""})
    table = table.astype({"value": float})
    return table[table.year == str(year)].drop(columns="year").reset_index(drop=True)


def attributes_of(table: Table, name: str) -> dict[str, str]:
    """Read a table of attributes, as it lies beside the clips since 2022: ``attributes_00.csv``.

    Args:
        table: ``file_name``, and for each attribute its name and its value (``d1p, d1v, …``).
        name: of the file, for the message.

    Returns:
        The attributes by the clip's file name without folders, as file names write them:
        ``vel_21``, ``car_A1_spd_28V``.

    Raises:
        InputError: there is no column ``file_name``.
    """
    if NAME_COLUMN not in table.columns:
        raise InputError(
            f"{name} has no column '{NAME_COLUMN}' (it has {', '.join(table.columns)}); "
            "the layout of the archive has changed. Remove the file to go on without attributes."
        )
    # 2022 repeats whole names in a last column
    values = [name for name in table.columns if name.startswith("d")]
    return {
        row[NAME_COLUMN].rpartition("/")[2]: "_".join(row[name] for name in values if row[name])
        for row in table.rows
    }
