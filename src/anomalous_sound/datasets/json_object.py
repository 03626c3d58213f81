"""``JSONObjectDataset`` keeps one object of this project as a JSON file."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview
from pydantic import BaseModel

from anomalous_sound.errors import InputError
from anomalous_sound.storage.seal import check_seal, sealed_path


class JSONObjectDataset(AbstractDataset[Any, Any]):
    """``JSONObjectDataset`` saves an object as JSON, and loads it as the same type.

    The type is a pydantic model, or has ``to_json`` and a class method ``from_json``. The file is
    written whole or not at all, and its checksum beside it.

    Example usage for the YAML API:

    ```yaml
    scaling:
      type: anomalous_sound.datasets.JSONObjectDataset
      object: anomalous_sound.features.scaling.Scaling
      filepath: data/04_feature/press_3/scaling.json
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import JSONObjectDataset
    >>> from anomalous_sound.configuration.features import WindowSettings
    >>> dataset = JSONObjectDataset(
    ...     object="anomalous_sound.configuration.features.WindowSettings",
    ...     filepath=tmp_path / "windows.json",
    ... )
    >>> dataset.save(WindowSettings(length=10, next_frame=True))
    >>> dataset.load().length
    10

    ```
    """

    def __init__(
        self, *, object: str, filepath: str, metadata: dict[str, Any] | None = None
    ) -> None:
        """Create the dataset.

        Args:
            object: the type, with its module.
            filepath: the JSON file.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._object = object
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Any:
        """Read the object.

        Raises:
            InputError: the file was written by another version, changed since, or is damaged.
        """
        check_seal(self._filepath)
        values = json.loads(self._filepath.read_text(encoding="utf-8"))
        module, _, name = self._object.rpartition(".")
        kind = getattr(import_module(module), name)
        try:
            if issubclass(kind, BaseModel):
                return kind.model_validate(values)
            return kind.from_json(values)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self._filepath} cannot be read as a {name}: {str(error).splitlines()[0]}; it "
                "was written by another version or is damaged. Run the pipeline that makes it."
            ) from error

    def save(self, data: Any) -> None:
        """Write the object."""
        with sealed_path(self._filepath) as incomplete:
            incomplete.write_bytes((json.dumps(self._values(data), indent=2) + "\n").encode())

    def preview(self) -> JSONPreview:
        """Return the file's text for kedro-viz."""
        return JSONPreview(self._filepath.read_text(encoding="utf-8"))

    @staticmethod
    def _values(data: Any) -> Any:
        return data.model_dump(mode="json") if isinstance(data, BaseModel) else data.to_json()

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "object": self._object}
