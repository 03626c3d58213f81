"""``NetworkDataset`` keeps a trained network as a folder that runs no code when it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from anomalous_sound.errors import InputError
from anomalous_sound.methods.trained_network import TrainedNetwork
from anomalous_sound.storage.atomic import replaced_folder


class NetworkDataset(AbstractDataset[TrainedNetwork, TrainedNetwork]):
    """``NetworkDataset`` saves and loads a ``TrainedNetwork``.

    The folder holds ``weights.safetensors`` and ``settings.json``, and is written whole or not at
    all.

    Example usage for the YAML API:

    ```yaml
    "{model}.network":
      type: anomalous_sound.datasets.NetworkDataset
      path: data/06_models/{model}/network
    ```

    Example usage for the Python API:

    ```pycon
    >>> import torch
    >>> from anomalous_sound.datasets import NetworkDataset
    >>> from anomalous_sound.methods.trained_network import TrainedNetwork
    >>> dataset = NetworkDataset(path=tmp_path / "network")
    >>> dataset.save(TrainedNetwork({"bias": torch.ones(2)}, {"windows": {"length": 10}}))
    >>> dataset.load().settings
    {'windows': {'length': 10}}

    ```
    """

    def __init__(self, *, path: str, metadata: dict[str, Any] | None = None) -> None:
        """Create the dataset.

        Args:
            path: the folder.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> TrainedNetwork:
        """Read weights and settings.

        Raises:
            InputError: there are none.
        """
        if not self._exists():
            raise InputError(
                f"{self._path} holds no network; train one first: kedro run --pipeline METHOD."
            )
        from safetensors.torch import load_file

        settings = json.loads((self._path / "settings.json").read_text(encoding="utf-8"))
        return TrainedNetwork(load_file(self._path / "weights.safetensors"), settings)

    def save(self, data: TrainedNetwork) -> None:
        """Write weights and settings."""
        from safetensors.torch import save_file

        weights = {name: tensor.contiguous() for name, tensor in data.weights.items()}
        with replaced_folder(self._path) as folder:
            save_file(weights, folder / "weights.safetensors")
            text = json.dumps(data.settings, indent=2)
            (folder / "settings.json").write_text(text + "\n", encoding="utf-8")

    def _exists(self) -> bool:
        return (self._path / "settings.json").is_file()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
