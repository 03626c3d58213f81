"""kedro-datasets' tables, JSON and text, written whole or not at all.

Kedro's own types write in place: a run that is killed would leave half a file under its name. And
what a run takes up in the middle (``--from-nodes``) has to be what an earlier one has written: what
nodes read has its checksum beside it.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from kedro_datasets import json, pandas, partitions, text

from anomalous_sound.storage.atomic import replaced_folder, replaced_path
from anomalous_sound.storage.seal import check_seal, sealed_path


class _WholeFile:
    """Save to a file beside the own one, which takes its place when it is complete."""

    _replaced = staticmethod(replaced_path)

    def save(self, data: Any) -> None:
        """Write the file."""
        if not self._is_plain():
            super().save(data)
            return
        place = self._filepath
        with self._replaced(Path(place)) as incomplete:
            self._filepath = PurePosixPath(incomplete.as_posix())
            try:
                super().save(data)
            finally:
                self._filepath = place

    def _is_plain(self) -> bool:
        return self._protocol == "file" and self._version is None


class _SealedFile(_WholeFile):
    """Save the checksum of the file beside it, and load no file that is another."""

    _replaced = staticmethod(sealed_path)

    def load(self) -> Any:
        """Read the file.

        Raises:
            InputError: it is not as it was written.
        """
        if self._is_plain():
            check_seal(Path(self._filepath))
        return super().load()


class CSVDataset(_SealedFile, pandas.CSVDataset):
    """``CSVDataset`` is that of kedro-datasets, written whole or not at all, and sealed.

    Example usage for the YAML API:

    ```yaml
    rejected_clips:
      type: anomalous_sound.datasets.CSVDataset
      filepath: data/02_intermediate/press_3/rejected_clips.csv
    ```

    Example usage for the Python API:

    ```pycon
    >>> import pandas as pd
    >>> from anomalous_sound.datasets import CSVDataset
    >>> dataset = CSVDataset(filepath=str(tmp_path / "table.csv"))
    >>> dataset.save(pd.DataFrame({"a": [1]}))
    >>> len(dataset.load())
    1

    ```
    """


class SubmissionDataset(_WholeFile, pandas.CSVDataset):
    """``SubmissionDataset`` is a table that is given away: nothing lies beside it.

    Example usage for the YAML API:

    ```yaml
    "{model}.dcase_result":
      type: anomalous_sound.datasets.SubmissionDataset
      filepath: data/08_reporting/press_3/{model}/submission/result.csv
    ```

    Example usage for the Python API:

    ```pycon
    >>> import pandas as pd
    >>> from anomalous_sound.datasets import SubmissionDataset
    >>> place = tmp_path / "submission" / "result.csv"
    >>> SubmissionDataset(filepath=str(place)).save(pd.DataFrame({"a": [1]}))
    >>> [path.name for path in place.parent.iterdir()]
    ['result.csv']

    ```
    """


class ParquetDataset(_SealedFile, pandas.ParquetDataset):
    """``ParquetDataset`` is that of kedro-datasets, written whole or not at all, and sealed.

    Example usage for the YAML API:

    ```yaml
    clips:
      type: anomalous_sound.datasets.ParquetDataset
      filepath: data/02_intermediate/press_3/clips.parquet
    ```

    Example usage for the Python API:

    ```pycon
    >>> import pandas as pd
    >>> from anomalous_sound.datasets import ParquetDataset
    >>> dataset = ParquetDataset(filepath=str(tmp_path / "table.parquet"))
    >>> dataset.save(pd.DataFrame({"a": [1]}))
    >>> len(dataset.load())
    1

    ```
    """


class JSONDataset(_SealedFile, json.JSONDataset):
    """``JSONDataset`` is that of kedro-datasets, written whole or not at all, and sealed.

    Example usage for the YAML API:

    ```yaml
    "{model}.metrics":
      type: anomalous_sound.datasets.JSONDataset
      filepath: data/08_reporting/press_3/{model}/metrics.json
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import JSONDataset
    >>> dataset = JSONDataset(filepath=str(tmp_path / "metrics.json"))
    >>> dataset.save({"auc": 0.9})
    >>> dataset.load()
    {'auc': 0.9}

    ```
    """


class TextDataset(_WholeFile, text.TextDataset):
    """``TextDataset`` is that of kedro-datasets, written whole or not at all.

    Example usage for the YAML API:

    ```yaml
    "{model}.report":
      type: anomalous_sound.datasets.TextDataset
      filepath: data/08_reporting/press_3/{model}/report.md
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import TextDataset
    >>> dataset = TextDataset(filepath=str(tmp_path / "report.md"))
    >>> dataset.save("# Report")
    >>> dataset.load()
    '# Report'

    ```
    """


class FolderDataset(partitions.PartitionedDataset):
    """``FolderDataset`` is a ``PartitionedDataset`` whose folder is replaced whole or not at all.

    Example usage for the YAML API:

    ```yaml
    "{model}.submission":
      type: anomalous_sound.datasets.FolderDataset
      path: data/08_reporting/press_3/{model}/submission
      filename_suffix: .txt
      dataset: anomalous_sound.datasets.TextDataset
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import FolderDataset
    >>> dataset = FolderDataset(
    ...     path=str(tmp_path / "notes"),
    ...     filename_suffix=".txt",
    ...     dataset="anomalous_sound.datasets.TextDataset",
    ... )
    >>> dataset.save({"a": "first", "b": "second"})
    >>> sorted(dataset.load())
    ['a', 'b']

    ```
    """

    def save(self, data: dict[str, Any]) -> None:
        """Write all files anew; what was in the folder before is gone."""
        place = self._path
        with replaced_folder(Path(place)) as folder:
            self._path = folder.as_posix()
            try:
                super().save(data)
            finally:
                self._path = place
            folder.mkdir(exist_ok=True)  # where there was nothing to save
        self._invalidate_caches()
