"""A table of numbers in a file, read where it is asked for, so memory stays small."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np


class RowFile:
    """A two-dimensional npy file of which nothing is held in memory.

    What is read often stays in the operating system's cache, which any program may claim back.
    """

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            ValueError: it is no such file, or shorter than its header says.
        """
        mapped = np.lib.format.open_memmap(path, mode="r")
        if mapped.ndim != 2:
            raise ValueError(f"{path} does not hold rows and columns")
        self.shape: tuple[int, int] = mapped.shape
        self.dtype = mapped.dtype
        self._offset = mapped.offset
        self._file = path.open("rb", buffering=0)
        self._reading = Lock()  # threads share the place in the file

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Read a stretch of rows."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError("rows are read in stretches without gaps")
        return self.stretches(np.array([start]), max(stop - start, 0))[0]

    def stretches(self, first_rows: np.ndarray, length: int) -> np.ndarray:
        """Read stretches of ``length`` rows: stretches × length × columns."""
        found = np.empty((len(first_rows), length, self.shape[1]), dtype=self.dtype)
        row_bytes = self.shape[1] * self.dtype.itemsize
        wanted = found.reshape(len(first_rows), length * self.shape[1])
        for place, row in enumerate(first_rows.tolist()):
            with self._reading:
                self._file.seek(self._offset + row * row_bytes)
                read = self._file.readinto(wanted[place])
            if read != length * row_bytes:
                raise ValueError(f"{self._file.name} ends before row {row + length}")
        return found


def write_header(file: BinaryIO, rows: int, columns: int, dtype: str) -> None:
    """Write the header of an npy file, at its start or over an earlier header.

    numpy pads it so that the number of rows can grow in place.
    """
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": False, "shape": (rows, columns)}
    )
