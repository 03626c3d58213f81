"""Log-mel frames of many clips, read where they are used."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from anomalous_sound.features.log_mel import mean_over_channels
from anomalous_sound.storage.array_store import ArrayReader, ArraysInMemory, ArrayStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class PromisedFrames:
    """The frames of one clip, computed only if they are not there yet.

    Attributes:
        key: identity of all that they depend on; frames of the same key are the same.
        compute: returns float32 frames × mel bands.
        n_bands: mel bands that they have, where it is known beforehand.
        channels: that stand side by side in a frame.
    """

    key: str
    compute: Callable[[], np.ndarray]
    n_bands: int | None = None
    channels: int = 1


class KeptFrames(NamedTuple):
    """What is known of the frames of a clip that are in a store.

    Attributes:
        frames: their number.
        crc32: their checksum.
        computed: whether they were computed just now.
        damaged: whether what was there before was not what had been written.
    """

    frames: int
    crc32: int
    computed: bool
    damaged: bool = False


def keep_frames(
    store: ArrayStore, wanted: tuple[PromisedFrames, tuple[int, int] | None]
) -> KeptFrames:
    """Compute and write the frames of a clip, unless they are there and undamaged.

    Args:
        store: where they are kept, by key.
        wanted: the promise; and number and checksum of the frames of its key, where known.
    """
    promised, known = wanted
    damaged = False
    try:
        there = store.read(promised.key)
    except FileNotFoundError:
        pass
    except (OSError, ValueError):
        damaged = True
    else:
        found = len(there), zlib.crc32(there.data)
        damaged = there.ndim != 2 or known not in (None, found)
        if not damaged and there.shape[1] == (promised.n_bands or there.shape[1]):
            return KeptFrames(*found, computed=False)
    frames = np.ascontiguousarray(promised.compute(), dtype=np.float32)
    store.write(promised.key, frames)
    return KeptFrames(len(frames), zlib.crc32(frames.data), computed=True, damaged=damaged)


@dataclass(frozen=True)
class Frames:
    """Log-mel frames of all clips; only those that are asked for are in memory.

    Attributes:
        index: one row per clip: ``clip_id, key, frames``.
        store: float32 frames × mel bands, dB, by key.
        channels: that are judged each by itself. A frame holds the bands of all of them, those of
            one after those of the other, and "mel bands" of clips means all of these.
    """

    index: pd.DataFrame
    store: ArrayReader
    channels: int = 1

    @classmethod
    def in_memory(cls, clips: Mapping[str, np.ndarray], channels: int = 1) -> Frames:
        """Take the frames of clips, by clip ID: float32, frames × mel bands each."""
        import pandas as pd

        index = pd.DataFrame(
            {
                "clip_id": list(clips),
                "key": list(clips),
                "frames": [len(values) for values in clips.values()],
            }
        )
        return cls(index, ArraysInMemory(clips), channels)

    @property
    def n_bands(self) -> int:
        """Mel bands of a frame, those of all channels."""
        return self.store.shape(self._keys[0])[1]

    def mean_clip(self, clip_id: str) -> np.ndarray:
        """Return frames × mel bands of one clip, the mean power of its channels."""
        return mean_over_channels(self.clip(clip_id), self.channels)

    def clips(self) -> Iterator[tuple[str, np.ndarray]]:
        """Iterate over clip IDs and frames × mel bands."""
        for clip_id in self.index.clip_id:
            yield clip_id, self.clip(clip_id)

    def clip(self, clip_id: str) -> np.ndarray:
        """Return frames × mel bands of one clip."""
        return self.store.read(self._keys[self._rows[clip_id]])

    def frame_counts(self, clip_ids: Iterable[str]) -> np.ndarray:
        """Return the number of frames of each clip."""
        counts: np.ndarray = self.index.frames.to_numpy()[self.rows(clip_ids)]
        return counts

    def rows(self, clip_ids: Iterable[str]) -> np.ndarray:
        """Return the row of each clip in the index."""
        return np.array([self._rows[clip_id] for clip_id in clip_ids], dtype=np.intp)

    def segments(self, rows: np.ndarray, first_frames: np.ndarray, length: int) -> np.ndarray:
        """Gather segments of clips.

        Args:
            rows: the row in the index of the clip of each segment; see :meth:`rows`.
            first_frames: the first frame of each segment, in its own clip.
            length: frames of a segment.

        Returns:
            float32, segments × length × mel bands.

        Raises:
            ValueError: a segment goes beyond its clip.
        """
        gathered = np.empty((len(rows), length, self.n_bands), dtype=np.float32)
        if not len(rows):
            return gathered
        order = np.lexsort((first_frames, rows))
        row, first = rows[order], first_frames[order]
        # segments that overlap or touch are read at once
        apart = (np.diff(row) != 0) | (np.diff(first) > length)
        begins = np.flatnonzero(np.concatenate([[True], apart]))
        for begin, end in zip(begins, [*begins[1:], len(order)], strict=True):
            low, high = int(first[begin]), int(first[end - 1]) + length
            values = self.store.read_rows(self._keys[row[begin]], low, high)
            if end - begin == 1:
                gathered[order[begin]] = values
            else:
                within = first[begin:end] - low
                gathered[order[begin:end]] = values[within[:, None] + np.arange(length)]
        return gathered

    @cached_property
    def _keys(self) -> list[str]:
        return self.index.key.tolist()

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {clip_id: row for row, clip_id in enumerate(self.index.clip_id)}
