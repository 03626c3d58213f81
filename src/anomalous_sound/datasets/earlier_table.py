"""``EarlierTableDataset`` is a table that an earlier run may have left."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from kedro.io import DatasetError
from kedro_datasets.pandas import ParquetDataset

from anomalous_sound.errors import InputError
from anomalous_sound.storage.seal import check_seal


class EarlierTableDataset(ParquetDataset):
    """``EarlierTableDataset`` is a ``ParquetDataset`` that loads empty if nothing can be read.

    A missing file, or one that was damaged or changed since it was written, loads as a table
    without rows or columns. It is never saved: the run that reads it writes the same file under
    another name in the catalog.

    Example usage for the YAML API:

    ```yaml
    earlier_clip_checks:
      type: anomalous_sound.datasets.EarlierTableDataset
      filepath: data/02_intermediate/press_3/clip_checks.parquet
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import EarlierTableDataset
    >>> EarlierTableDataset(filepath=str(tmp_path / "clip_checks.parquet")).load().empty
    True

    ```
    """

    def load(self) -> pd.DataFrame:
        """Return the table, or an empty one."""
        try:
            check_seal(Path(self._filepath))
            return super().load()
        except (DatasetError, InputError):
            return pd.DataFrame()

    def save(self, data: pd.DataFrame) -> None:
        """Refuse: what an earlier run has left is read only."""
        raise DatasetError("the table of an earlier run is read only")
