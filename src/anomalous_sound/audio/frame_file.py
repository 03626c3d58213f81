"""Frames in a file, read where they are asked for: memory does not grow with the corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np


class FrameFile:
    """A float32 npy file of frames × mel bands of which nothing is held in memory.

    What is read often stays in the operating system's cache, which any program may claim back.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            ValueError: it is no such file, or shorter than its header says.
        """
        mapped = np.lib.format.open_memmap(path, mode="r")
        if mapped.dtype != np.float32 or mapped.ndim != 2:
            raise ValueError(f"{path} does not hold frames × mel bands of float32")
        self.shape: tuple[int, int] = mapped.shape
        self.dtype = mapped.dtype
        self._offset = mapped.offset
        self._file = path.open("rb", buffering=0)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Read a stretch of frames."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError("frames are read in stretches without gaps")
        return self.stretches(np.array([start]), max(stop - start, 0))[0]

    def stretches(self, first_rows: np.ndarray, length: int) -> np.ndarray:
        """Read stretches of ``length`` frames: stretches × length × mel bands."""
        found = np.empty((len(first_rows), length, self.shape[1]), dtype=self.dtype)
        row_bytes = self.shape[1] * self.dtype.itemsize
        wanted = found.reshape(len(first_rows), length * self.shape[1])
        for place, row in enumerate(first_rows.tolist()):
            self._file.seek(self._offset + row * row_bytes)
            if self._file.readinto(wanted[place]) != length * row_bytes:
                raise ValueError(f"{self._file.name} ends before frame {row + length}")
        return found
