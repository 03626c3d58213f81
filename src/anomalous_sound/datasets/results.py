"""``ResultsDataset`` finds the results of the methods that have been run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro_datasets.partitions import PartitionedDataset


class ResultsDataset(PartitionedDataset):
    """``ResultsDataset`` is a ``PartitionedDataset`` that may be empty.

    Example usage for the YAML API:

    ```yaml
    compare.results:
      type: anomalous_sound.datasets.ResultsDataset
      path: data/07_model_output/press_3
      filename_suffix: /result.json
      dataset: json.JSONDataset
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import ResultsDataset
    >>> dataset = ResultsDataset(
    ...     path=str(tmp_path), filename_suffix="/result.json", dataset="json.JSONDataset"
    ... )
    >>> dataset.load()
    {}

    ```
    """

    def load(self) -> dict[str, Callable[[], Any]]:
        """Return a function that loads the result, for each method that has one."""
        return super().load() if self._list_partitions() else {}
