"""``DetectorDataset`` keeps a trained detector as a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from anomalous_sound.storage.remote import is_url, place_of

if TYPE_CHECKING:
    from anomalous_sound.decision.detector import Detector


class DetectorDataset(AbstractDataset["Detector", "Detector"]):
    """``DetectorDataset`` saves and loads a ``Detector``.

    The folder is written whole or not at all, and no code in it is run when it is loaded; see
    :meth:`anomalous_sound.decision.detector.Detector.load`.

    Example usage for the YAML API:

    ```yaml
    "{model}.detector":
      type: anomalous_sound.datasets.DetectorDataset
      filepath: data/06_models/press_3/{model}/detector
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import DetectorDataset
    >>> dataset = DetectorDataset(filepath=tmp_path / "detector")
    >>> dataset.exists()
    False

    ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Create the dataset.

        Args:
            filepath: the folder: a path, or a URL that fsspec understands.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._filepath = filepath if is_url(filepath) else Path(filepath)
        self.metadata = metadata

    def load(self) -> Detector:
        """Read the detector.

        Raises:
            InputError: there is none, or one of another version.
        """
        from anomalous_sound.decision.detector import Detector

        return Detector.load(self._filepath)

    def save(self, data: Detector) -> None:
        """Write the detector."""
        data.save(self._filepath)

    def _exists(self) -> bool:
        return place_of(str(self._filepath)).is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
