"""A table of results that was made again, beside the one that was published: figure by figure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from anomalous_sound.evaluation.campaign import MEASURED

KEYS = ["system", "machine_type", "machine_id", "figure"]
VALUES = ["mean", "std", "low", "high"]
APART_COLUMNS = [*KEYS, "value", "published", "reproduced", "difference"]


def figures_apart(published: pd.DataFrame, reproduced: pd.DataFrame) -> pd.DataFrame:
    """Compare two tables of results.

    Args:
        published: RESULT_COLUMNS of :mod:`.campaign`; what others have published is left out.
        reproduced: the same of what was run again.

    Returns:
        APART_COLUMNS: a row for each value that the published table has: of each figure the
        ``mean`` over seeds, the standard deviation, and the ends of the interval. ``difference`` is
        reproduced − published, NaN where the figure was not reproduced.
    """
    there, here = (_values(table, name) for table, name in _named(published, reproduced))
    joined = there.merge(here, on=[*KEYS, "value"], how="left", validate="one_to_one")
    return joined.assign(difference=joined.reproduced - joined.published)[APART_COLUMNS]


def beyond(apart: pd.DataFrame, tolerance: float) -> pd.DataFrame:
    """Return the values that were not reproduced to within a tolerance.

    Args:
        apart: as :func:`figures_apart` returns it.
        tolerance: largest difference that is accepted; 0: the values are the same.
    """
    outside: pd.DataFrame = apart[~(apart.difference.abs() <= tolerance)]  # NaN is in none
    return outside


def _named(published: pd.DataFrame, reproduced: pd.DataFrame) -> list[tuple[pd.DataFrame, str]]:
    return [(published, "published"), (reproduced, "reproduced")]


def _values(table: pd.DataFrame, name: str) -> pd.DataFrame:
    own = table[table.origin == MEASURED].fillna({"machine_id": ""})
    long = own.melt(KEYS, VALUES, var_name="value", value_name=name)
    long[name] = long[name].astype(float)
    order = {value: place for place, value in enumerate(VALUES)}
    known: pd.DataFrame = long[np.isfinite(long[name])]
    return known.sort_values("value", key=lambda value: value.map(order), kind="stable")
