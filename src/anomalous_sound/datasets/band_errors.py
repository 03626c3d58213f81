"""``BandErrorsDataset`` keeps the error of every window and mel band."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset

from anomalous_sound.scoring.band_errors import BandErrors, ClipErrors, CollectedErrors, roots
from anomalous_sound.storage.array_store import ArrayStore
from anomalous_sound.storage.atomic import replaced_folder

ROOTS_FOLDER, WINDOW_ERRORS_FILE, INDEX_FILE = "roots", "window_errors.npy", "index.parquet"


class BandErrorsDataset(AbstractDataset[Iterable[ClipErrors], BandErrors]):
    """``BandErrorsDataset`` saves errors clip by clip, as they are computed, and loads them lazily.

    The folder holds ``roots/<key>.npy`` (float16 square roots of squared errors, members ×
    windows × mel bands, one file per clip), ``window_errors.npy`` (float32, one per window and
    member) and ``index.parquet`` (``clip_id, key, members, first_window, windows, seconds``). It is
    replaced whole or not at all.

    Example usage for the YAML API:

    ```yaml
    "{model}.band_errors":
      type: anomalous_sound.datasets.BandErrorsDataset
      filepath: data/07_model_output/press_3/{model}/band_errors
    ```

    Example usage for the Python API:

    ```pycon
    >>> import numpy as np
    >>> from anomalous_sound.datasets import BandErrorsDataset
    >>> from anomalous_sound.scoring.band_errors import ClipErrors
    >>> dataset = BandErrorsDataset(filepath=tmp_path / "band_errors")
    >>> errors = np.full((2, 303, 128), 0.25, np.float32)
    >>> dataset.save([ClipErrors.kept("a.wav", ["fold_0", "fold_1"], errors, seconds=0.1)])
    >>> dataset.load().clip("a.wav").shape
    (2, 303, 128)

    ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Create the dataset.

        Args:
            filepath: the folder, on a local disk.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> BandErrors:
        """Open the errors; they are read from disk where they are used."""
        return BandErrors(
            pd.read_parquet(self._filepath / INDEX_FILE),
            ArrayStore(self._filepath / ROOTS_FOLDER),
            np.load(self._filepath / WINDOW_ERRORS_FILE),
        )

    def save(self, data: Iterable[ClipErrors]) -> None:
        """Write the errors of one clip after the other."""
        collected = CollectedErrors()
        with replaced_folder(self._filepath) as folder:
            store = ArrayStore(folder / ROOTS_FOLDER)
            for clip in data:
                store.write(collected.add(clip), roots(clip.band_errors))
            np.save(folder / WINDOW_ERRORS_FILE, collected.window_errors())
            collected.index().to_parquet(folder / INDEX_FILE)

    def _exists(self) -> bool:
        return (self._filepath / INDEX_FILE).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
