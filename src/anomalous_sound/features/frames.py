"""Frames of many clips in one array, and the windows and scaling through which networks see them.

A window is never a copy: it is the row of its first frame. Scaling is applied to the few windows of
a batch when they are gathered, so the frames are never held twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.storage.row_file import RowFile


@dataclass(frozen=True)
class PromisedFrames:
    """The frames of one clip, computed only where they are not there already.

    Attributes:
        key: of all that they depend on; frames of the same key are the same.
        compute: returns float32 frames × mel bands.
    """

    key: str
    compute: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Frames:
    """Log-mel frames of all clips, one clip after the other.

    Attributes:
        values: float32, frames × mel bands; in memory, or in a file that is read piece by piece.
        index: one row a clip: ``clip_id, first_frame, frames``.
    """

    values: np.ndarray | RowFile
    index: pd.DataFrame

    def clips(self) -> Iterator[tuple[str, np.ndarray]]:
        """Iterate over (clip ID, frames × mel bands view)."""
        for clip_id in self.index.clip_id:
            yield clip_id, self.clip(clip_id)

    def clip(self, clip_id: str) -> np.ndarray:
        """Return the frames × mel bands view of one clip."""
        first_frame, frames = self.place(clip_id)
        return self.values[first_frame : first_frame + frames]

    def place(self, clip_id: str) -> tuple[int, int]:
        """Return first frame and number of frames of one clip."""
        return self._place[clip_id]

    def stretches(self, first_frames: np.ndarray, length: int) -> np.ndarray:
        """Return stretches of ``length`` frames: stretches × length × mel bands."""
        if isinstance(self.values, RowFile):
            return self.values.stretches(first_frames, length)
        return self.values[first_frames[:, None] + np.arange(length)]

    @cached_property
    def _place(self) -> dict[str, tuple[int, int]]:
        places = zip(self.index.first_frame, self.index.frames, strict=True)
        return dict(zip(self.index.clip_id, places, strict=True))


def index_windows(
    frame_index: pd.DataFrame,
    *,
    length: int,
    next_frame: bool,
    hop_length: int,
    sample_rate: int,
    stride: int = 1,
) -> pd.DataFrame:
    """List every window: of 10 frames and a next one, stride 1, 303 in a clip of 313 frames.

    Args:
        frame_index: ``clip_id, first_frame, frames`` a clip.
        length: frames of a window.
        next_frame: whether a window must have a next frame.
        hop_length: samples from one frame to the next.
        sample_rate: Hz.
        stride: frames from one window to the next.

    Returns:
        ``clip_id, first_frame`` (row in the frames of all clips), ``start_s`` (time of the window's
        first frame in its clip, s).
    """
    possible = (frame_index.frames - length + (not next_frame)).clip(lower=0).to_numpy()
    counts = -(-possible // stride)
    within = stride * np.concatenate([np.arange(count) for count in counts] or [np.empty(0, int)])
    return pd.DataFrame(
        {
            "clip_id": pd.Categorical.from_codes(
                np.repeat(np.arange(len(frame_index)), counts), categories=frame_index.clip_id
            ),
            "first_frame": np.repeat(frame_index.first_frame.to_numpy(), counts) + within,
            "start_s": within * (hop_length / sample_rate),
        }
    )


def fit_scaling(frames: Frames, training_clip_ids: set[str], *, method: str) -> dict[str, Any]:
    """Find how decibels are scaled before a network sees them.

    ``clip``: each clip's own minimum and maximum to [0, 1] (nothing to fit). ``corpus``: minimum
    and maximum over the normal training clips to [0, 1]. ``band``: each mel band to mean 0 and
    standard deviation 1 over the normal training clips.

    Args:
        frames: log-mel frames, dB.
        training_clip_ids: the clips to fit on.
        method: ``clip``, ``corpus`` or ``band``.

    Returns:
        ``method`` and, where something was fitted, ``offset`` and ``span``: a scaled value is
        (dB - offset) / span; lists of one number, or of one a mel band.
    """
    if method == "clip":
        return {"method": method}
    training = [values for clip_id, values in frames.clips() if clip_id in training_clip_ids]
    if method == "corpus":
        low = min(float(values.min()) for values in training)
        high = max(float(values.max()) for values in training)
        offset, span = np.array([low]), np.array([high - low])
    elif method == "band":
        # clip by clip, so that memory does not grow with the corpus
        count = sum(len(values) for values in training)
        offset = sum(values.sum(axis=0, dtype=np.float64) for values in training) / count
        squares = sum(((values - offset) ** 2).sum(axis=0, dtype=np.float64) for values in training)
        span = np.sqrt(squares / count)
    else:
        raise ValueError(f"unknown scaling method {method!r}")
    return {"method": method, "offset": offset.tolist(), "span": _non_zero(span).tolist()}


def clip_scaling(clip_frames: np.ndarray, scaling: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return offset and span of one clip, each float32 of one number or of one a mel band."""
    if scaling["method"] == "clip":
        offset = np.array([clip_frames.min()], dtype=np.float32)
        span = np.array([clip_frames.max()], dtype=np.float32) - offset
    else:
        offset = np.asarray(scaling["offset"], dtype=np.float32)
        span = np.asarray(scaling["span"], dtype=np.float32)
    return offset, _non_zero(span)


def scaled_clip(frames: Frames, clip_id: str, scaling: dict[str, Any]) -> np.ndarray:
    """Return all frames of a clip, scaled: float32, frames × mel bands."""
    clip_frames = frames.clip(clip_id)
    offset, span = clip_scaling(clip_frames, scaling)
    return (clip_frames - offset) / span


def _non_zero(span: np.ndarray) -> np.ndarray:
    return np.where(span > 0, span, np.ones_like(span))


class WindowedFrames:
    """Scaled windows, gathered a batch at a time; a map-style dataset over lists of windows.

    Indexing with an array of window numbers gives float32 of windows × frames × mel bands: the
    ``length`` frames of each window and, with ``next_frame``, the one after them.
    """

    def __init__(
        self,
        frames: Frames,
        windows: pd.DataFrame,
        scaling: dict[str, Any],
        *,
        length: int,
        next_frame: bool,
    ) -> None:
        self._frames = frames
        self._first_frame = windows.first_frame.to_numpy()
        self._length = length + next_frame
        codes, clip_ids = pd.factorize(windows.clip_id)
        self._clip_ids = list(clip_ids)
        scalings = [clip_scaling(frames.clip(clip_id), scaling) for clip_id in clip_ids]
        self._clip_of_window = codes
        self._offset = np.stack([offset for offset, _ in scalings])[:, None, :]
        self._span = np.stack([span for _, span in scalings])[:, None, :]

    def __len__(self) -> int:
        return len(self._first_frame)

    @property
    def frames_of_a_window(self) -> int:
        """Frames of a window, its next one included."""
        return self._length

    @property
    def n_bands(self) -> int:
        """Mel bands of a frame."""
        return self._frames.values.shape[1]

    def placed_clips(self) -> tuple[Iterator[tuple[int, np.ndarray]], np.ndarray, int]:
        """Lay the clips that have windows one after the other.

        Returns:
            The clips, scaled (where each begins, and its frames × mel bands), computed one at a
            time; the first frame of each window there; and the number of frames in all.
        """
        frames, first_of_clip = [], []
        for clip_id in self._clip_ids:
            first_frame, count = self._frames.place(clip_id)
            frames.append(count)
            first_of_clip.append(first_frame)
        starts = np.cumsum(frames) - frames
        moved = (starts - np.array(first_of_clip))[self._clip_of_window]
        clips = (
            (start, (self._frames.clip(clip_id) - offset) / span)
            for start, clip_id, offset, span in zip(
                starts, self._clip_ids, self._offset[:, 0], self._span[:, 0], strict=True
            )
        )
        return clips, self._first_frame + moved, sum(frames)

    def __getitem__(self, numbers: Any) -> np.ndarray:
        numbers = np.asarray(numbers)
        gathered = self._frames.stretches(self._first_frame[numbers], self._length)
        clips = self._clip_of_window[numbers]
        gathered -= self._offset[clips]
        gathered /= self._span[clips]
        return gathered
