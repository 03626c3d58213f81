"""``CheckpointDataset`` gives a training the place of its checkpoint."""

from __future__ import annotations

from typing import Any

from kedro.io import AbstractDataset, DatasetError

from anomalous_sound.training.checkpoint import Checkpoint, checkpoint_at


class CheckpointDataset(AbstractDataset[Any, Checkpoint]):
    """``CheckpointDataset`` loads as a ``Checkpoint``, which the training reads and writes itself.

    A checkpoint is written many times while one node runs, and a Kedro dataset once after it; this
    keeps the path in the catalog all the same.

    Example usage for the YAML API:

    ```yaml
    "{model}.checkpoint":
      type: anomalous_sound.datasets.CheckpointDataset
      filepath: data/06_models/press_3/{model}/checkpoint.ckpt
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import CheckpointDataset
    >>> CheckpointDataset(filepath=tmp_path / "checkpoint.ckpt").load().exists()
    False

    ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Create the dataset.

        Args:
            filepath: the checkpoint file: a path, or a URL that fsspec understands.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._filepath = str(filepath)
        self.metadata = metadata

    def load(self) -> Checkpoint:
        """Return the handle; there need not be a checkpoint yet."""
        return checkpoint_at(self._filepath)

    def save(self, data: Any) -> None:
        """Refuse: the training writes through the handle."""
        raise DatasetError("a checkpoint is written by the training itself")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
