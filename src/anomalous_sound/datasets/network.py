"""``NetworkDataset`` keeps trained networks as a folder that runs no code when it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from anomalous_sound.errors import InputError
from anomalous_sound.methods.trained import NetworkDescription, TrainedNetworks
from anomalous_sound.storage.atomic import replaced_folder
from anomalous_sound.storage.seal import damaged_file, sealed

WEIGHTS_FILE, SETTINGS_FILE = "weights.safetensors", "settings.json"


class NetworkDataset(AbstractDataset[TrainedNetworks, TrainedNetworks]):
    """``NetworkDataset`` saves and loads ``TrainedNetworks``.

    The folder holds ``weights.safetensors`` and ``settings.json``, and is written whole or not at
    all.

    Example usage for the YAML API:

    ```yaml
    "{model}.network":
      type: anomalous_sound.datasets.NetworkDataset
      filepath: data/06_models/press_3/{model}/network
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import NetworkDataset
    >>> NetworkDataset(filepath=tmp_path / "network").exists()
    False

    ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Create the dataset.

        Args:
            filepath: the folder.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> TrainedNetworks:
        """Read weights and description.

        Raises:
            InputError: there are none, or they are damaged, of an earlier version or of an unknown
                method.
        """
        if not self._exists():
            raise InputError(
                f"{self._filepath} holds no network; train one first: kedro run --pipeline METHOD."
            )
        from safetensors.torch import load_file

        try:
            values = json.loads((self._filepath / SETTINGS_FILE).read_text(encoding="utf-8"))
            description = NetworkDescription.from_json(values)
            if damaged := damaged_file(values, self._filepath, SETTINGS_FILE):
                raise ValueError(f"{damaged.name} is not as it was written")
            return TrainedNetworks(load_file(self._filepath / WEIGHTS_FILE), description)
        except InputError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError, OSError) as error:
            raise InputError(
                f"the network in {self._filepath} is damaged ({str(error).splitlines()[0]}); "
                "train it again: kedro run --pipeline METHOD."
            ) from error

    def save(self, data: TrainedNetworks) -> None:
        """Write weights and description."""
        from safetensors.torch import save_file

        weights = {name: tensor.contiguous() for name, tensor in data.weights.items()}
        with replaced_folder(self._filepath) as folder:
            save_file(weights, folder / WEIGHTS_FILE)
            values = sealed(data.description.to_json(), folder, [WEIGHTS_FILE])
            text = json.dumps(values, indent=2)
            (folder / SETTINGS_FILE).write_text(text + "\n", encoding="utf-8")

    def _exists(self) -> bool:
        return (self._filepath / SETTINGS_FILE).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
