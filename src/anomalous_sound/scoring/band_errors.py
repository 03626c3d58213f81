"""The error of every window and mel band of every clip, kept compactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from anomalous_sound.storage.row_file import RowFile


@dataclass(frozen=True)
class ClipErrors:
    """What scoring one clip gives.

    Attributes:
        clip_id: the clip.
        band_errors: float32, windows × mel bands: squared errors, averaged over target frames.
        window_errors: float32, one a window: their mean over the mel bands.
        seconds: time that it took.
    """

    clip_id: str
    band_errors: np.ndarray
    window_errors: np.ndarray
    seconds: float


@dataclass(frozen=True)
class BandErrors:
    """The errors of all clips, one clip after the other.

    The square root of an error is kept as float16: a relative precision of 0.1 % of each error, and
    far better of any mean. The window errors are kept as they were computed.

    Attributes:
        roots: float16, windows × mel bands; in a file that is read clip by clip.
        window_errors: float32, one a window.
        index: one row a clip: ``clip_id, first_window, windows, seconds``.
    """

    roots: np.ndarray | RowFile
    window_errors: np.ndarray
    index: pd.DataFrame

    def clip(self, clip_id: str) -> np.ndarray:
        """Return the squared errors of one clip: float32, windows × mel bands."""
        first, windows = self._place[clip_id]
        return np.square(self.roots[first : first + windows], dtype=np.float32)

    def __iter__(self) -> Iterator[ClipErrors]:
        """Yield the errors of one clip after the other."""
        for clip_id, seconds in zip(self.index.clip_id, self.index.seconds, strict=True):
            first, windows = self._place[clip_id]
            of_windows = self.window_errors[first : first + windows]
            yield ClipErrors(clip_id, self.clip(clip_id), of_windows, seconds)

    @cached_property
    def _place(self) -> dict[str, tuple[int, int]]:
        places = zip(self.index.first_window, self.index.windows, strict=True)
        return dict(zip(self.index.clip_id, places, strict=True))
