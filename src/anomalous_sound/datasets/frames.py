"""``FramesDataset`` keeps the log-mel frames of all clips in one memory-mapped array."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset

from anomalous_sound.atomic import replaced_folder
from anomalous_sound.audio.frames import Frames


class FramesDataset(AbstractDataset[Mapping[str, Callable[[], np.ndarray]], Frames]):
    """``FramesDataset`` saves frames clip by clip and loads them memory-mapped.

    It saves a mapping of clip ID to a function that returns the clip's frames (float32, frames ×
    mel bands); each is called in turn, so that only one clip is in memory at a time. The folder
    holds ``frames.npy`` (all frames, one clip after the other) and ``index.parquet`` (``clip_id,
    first_frame, frames``), so clips of any length fit. It is written whole or not at all.

    Example usage for the YAML API:

    ```yaml
    log_mel:
      type: anomalous_sound.datasets.FramesDataset
      path: data/03_primary/log_mel
    ```

    Example usage for the Python API:

    ```pycon
    >>> import numpy as np
    >>> from anomalous_sound.datasets import FramesDataset
    >>> dataset = FramesDataset(path=tmp_path / "log_mel")
    >>> dataset.save({"a.wav": lambda: np.zeros((313, 128), np.float32)})
    >>> dataset.load().clip("a.wav").shape
    (313, 128)

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

    def load(self) -> Frames:
        """Open the frames; they are read from disk where they are used."""
        values = np.load(self._path / "frames.npy", mmap_mode="r")
        return Frames(values, pd.read_parquet(self._path / "index.parquet"))

    def save(self, data: Mapping[str, Callable[[], np.ndarray]]) -> None:
        """Compute and write the frames of one clip after the other."""
        rows = []
        with replaced_folder(self._path) as folder:
            with (folder / "frames.npy").open("wb") as file:
                n_bands, total = 0, 0
                for clip_id, frames_of_clip in data.items():
                    frames = np.ascontiguousarray(frames_of_clip(), dtype=np.float32)
                    if not rows:
                        n_bands = frames.shape[1]
                        _write_header(file, 0, n_bands)
                    file.write(frames.tobytes())
                    rows.append((clip_id, total, len(frames)))
                    total += len(frames)
                file.seek(0)
                _write_header(file, total, n_bands)
            index = pd.DataFrame(rows, columns=["clip_id", "first_frame", "frames"])
            index.to_parquet(folder / "index.parquet")

    def _exists(self) -> bool:
        return (self._path / "index.parquet").is_file()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}


def _write_header(file: BinaryIO, frames: int, n_bands: int) -> None:
    # numpy pads the header so that the first axis can grow in place
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (frames, n_bands)}
    )
