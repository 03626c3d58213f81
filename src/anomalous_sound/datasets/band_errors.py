"""``BandErrorsDataset`` keeps the error of every window and mel band."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset

from anomalous_sound.scoring.band_errors import BandErrors, ClipErrors
from anomalous_sound.storage.atomic import replaced_folder
from anomalous_sound.storage.row_file import RowFile, write_header

ROOTS_FILE, WINDOW_ERRORS_FILE, INDEX_FILE = "roots.npy", "window_errors.npy", "index.parquet"


class BandErrorsDataset(AbstractDataset[Iterable[ClipErrors], BandErrors]):
    """``BandErrorsDataset`` saves errors clip by clip, as they are computed, and loads them lazily.

    The folder holds ``roots.npy`` (float16 square roots of squared errors, windows × mel bands),
    ``window_errors.npy`` (float32, one a window) and ``index.parquet`` (``clip_id, first_window,
    windows, seconds``). It is written whole or not at all.

    Example usage for the YAML API:

    ```yaml
    "{model}.band_errors":
      type: anomalous_sound.datasets.BandErrorsDataset
      path: data/07_model_output/{model}/band_errors
    ```

    Example usage for the Python API:

    ```pycon
    >>> import numpy as np
    >>> from anomalous_sound.datasets import BandErrorsDataset
    >>> from anomalous_sound.scoring.band_errors import ClipErrors
    >>> dataset = BandErrorsDataset(path=tmp_path / "band_errors")
    >>> errors = np.full((303, 128), 0.25, np.float32)
    >>> dataset.save([ClipErrors("a.wav", errors, errors.mean(axis=1), seconds=0.1)])
    >>> dataset.load().clip("a.wav").shape
    (303, 128)

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

    def load(self) -> BandErrors:
        """Open the errors; they are read from disk where they are used."""
        return BandErrors(
            RowFile(self._path / ROOTS_FILE),
            np.load(self._path / WINDOW_ERRORS_FILE),
            pd.read_parquet(self._path / INDEX_FILE),
        )

    def save(self, data: Iterable[ClipErrors]) -> None:
        """Write the errors of one clip after the other."""
        rows, window_errors, total, n_bands = [], [], 0, 0
        with replaced_folder(self._path) as folder:
            with (folder / ROOTS_FILE).open("wb") as file:
                for clip in data:
                    if not rows:
                        n_bands = clip.band_errors.shape[1]
                        write_header(file, 0, n_bands, "<f2")
                    file.write(np.sqrt(clip.band_errors).astype("<f2").tobytes())
                    window_errors.append(clip.window_errors)
                    rows.append((clip.clip_id, total, len(clip.band_errors), clip.seconds))
                    total += len(clip.band_errors)
                file.seek(0)
                write_header(file, total, n_bands, "<f2")
            np.save(folder / WINDOW_ERRORS_FILE, np.concatenate(window_errors))
            index = pd.DataFrame(rows, columns=["clip_id", "first_window", "windows", "seconds"])
            index.to_parquet(folder / INDEX_FILE)

    def _exists(self) -> bool:
        return (self._path / INDEX_FILE).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
