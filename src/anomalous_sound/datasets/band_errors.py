"""``BandErrorsDataset`` keeps the error of every window and mel band."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset

from anomalous_sound.scoring.band_errors import (
    BandErrors,
    ClipErrors,
    CollectedErrors,
    ErrorStores,
    WritesErrors,
    roots,
)
from anomalous_sound.storage.array_store import ArrayStore
from anomalous_sound.storage.atomic import replaced_folder

ROOTS_FOLDER, WINDOWS_FOLDER = "roots", "windows"
WINDOW_ERRORS_FILE, INDEX_FILE = "window_errors.npy", "index.parquet"


class BandErrorsDataset(AbstractDataset[Iterable[ClipErrors], BandErrors]):
    """``BandErrorsDataset`` saves errors clip by clip, as they are computed, and loads them lazily.

    The folder holds ``roots/<key>.npy`` (float16 square roots of squared errors, members ×
    windows × mel bands, one file per clip), ``window_errors.npy`` (float32, one per window and
    member) and ``index.parquet`` (``clip_id, key, members, first_window, windows, seconds``). It is
    replaced whole or not at all.

    On a cluster, or where the folder is a URL, each clip is written where it is scored, under the
    identity of all that its errors depend on, with ``windows/<key>.npy`` beside it; the index comes
    last. So a run goes on with what a killed one has scored.

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

    def __init__(
        self,
        *,
        filepath: str,
        engine: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Create the dataset.

        Args:
            filepath: the folder: a path, or a URL that fsspec understands.
            engine: where errors are computed; see :mod:`anomalous_sound.configuration.compute`.
                None: on this machine.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._filepath = str(filepath)
        self._in_place = "://" in self._filepath or (engine or {}).get("type", "local") != "local"
        self.metadata = metadata

    def load(self) -> BandErrors:
        """Open the errors; they are read from disk where they are used."""
        store = ArrayStore(self._filepath)
        index = pd.read_parquet(io.BytesIO(store.read_file(INDEX_FILE)))
        window_errors = np.load(io.BytesIO(store.read_file(WINDOW_ERRORS_FILE)))
        return BandErrors(index, ArrayStore(f"{self._filepath}/{ROOTS_FOLDER}"), window_errors)

    def save(self, data: Iterable[ClipErrors]) -> None:
        """Write the errors of one clip after the other."""
        if self._in_place and isinstance(data, WritesErrors):
            self._save_in_place(data)
            return
        collected = CollectedErrors()
        with replaced_folder(Path(self._filepath)) as folder:
            store = ArrayStore(folder / ROOTS_FOLDER)
            for clip in data:
                store.write(collected.add(clip), roots(clip.band_errors))
            _write_tables(ArrayStore(folder), collected)

    def _save_in_place(self, data: WritesErrors) -> None:
        stores = ErrorStores(
            *(ArrayStore(f"{self._filepath}/{name}") for name in (ROOTS_FOLDER, WINDOWS_FOLDER))
        )
        collected = CollectedErrors()
        keys = {collected.add(clip) for clip in data.write(stores)}
        _write_tables(ArrayStore(self._filepath), collected)
        for store in stores:
            store.keep_only(keys)

    def _exists(self) -> bool:
        return ArrayStore(self._filepath).has_file(INDEX_FILE)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


def _write_tables(store: ArrayStore, collected: CollectedErrors) -> None:
    window_errors = io.BytesIO()
    np.save(window_errors, collected.window_errors())
    store.write_file(WINDOW_ERRORS_FILE, window_errors.getvalue())
    store.write_file(INDEX_FILE, collected.index().to_parquet())
