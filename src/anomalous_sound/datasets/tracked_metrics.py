"""``MlflowMetricsDataset`` records metrics with MLflow, and asks nothing of it where it is off."""

from __future__ import annotations

from typing import Any

from kedro_mlflow.io.metrics import MlflowMetricsHistoryDataset


class MlflowMetricsDataset(MlflowMetricsHistoryDataset):
    """``MlflowMetricsDataset`` is kedro-mlflow's, which opens the store even to record nothing.

    Example usage for the YAML API:

    ```yaml
    "{model}.tracked_metrics":
      type: anomalous_sound.datasets.MlflowMetricsDataset
      prefix: ""
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import MlflowMetricsDataset
    >>> dataset = MlflowMetricsDataset(prefix="")
    >>> dataset._logging_activated = False
    >>> dataset.save({"auc": {"value": 0.9, "step": 0}})

    ```
    """

    def _save(self, data: dict[str, Any]) -> None:
        if self._logging_activated:
            super()._save(data)
