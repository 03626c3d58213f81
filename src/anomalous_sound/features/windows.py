"""Windows of frames: where they begin, and scaled batches of them.

A window is never copied: it is a clip and the number of its first frame there. The few windows of a
batch are scaled when they are gathered, so that frames are never held twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling


def index_windows(
    frame_index: pd.DataFrame, windows: WindowSettings, *, frame_s: float, stride: int = 1
) -> pd.DataFrame:
    """List every window: of 10 frames and a next one, stride 1, 303 in a clip of 313 frames.

    Args:
        frame_index: ``clip_id, frames`` a clip.
        windows: the form of a window.
        frame_s: seconds from one frame to the next.
        stride: frames from one window to the next.

    Returns:
        ``clip_id, first_frame`` (in its own clip), ``start_s`` (time of that frame, s), clip after
        clip.
    """
    possible = (frame_index.frames.to_numpy() - windows.frames + 1).clip(min=0)
    counts = -(-possible // stride)
    first_frame = stride * np.concatenate(
        [np.arange(count) for count in counts] or [np.empty(0, int)]
    )
    return pd.DataFrame(
        {
            "clip_id": pd.Categorical.from_codes(
                np.repeat(np.arange(len(frame_index)), counts),
                categories=pd.Index(frame_index.clip_id),
            ),
            "first_frame": first_frame,
            "start_s": first_frame * frame_s,
        }
    )


class WindowedFrames:
    """Scaled windows, gathered a batch at a time; a map-style dataset over lists of windows.

    Indexing with an array of window numbers gives float32 of windows × frames × mel bands: the
    frames of each window and, where it has one, its next frame. Where clips have several channels,
    all windows of the first one come first, then those of the next.

    Attributes:
        clip_ids: the clips that have windows.
        clip_codes: for each window the place of its clip in ``clip_ids``.
    """

    def __init__(
        self, frames: Frames, windows: pd.DataFrame, scaling: Scaling, form: WindowSettings
    ) -> None:
        """Find the scaling of each clip.

        Args:
            frames: log-mel frames, dB.
            windows: as :func:`index_windows` lists them; all of them or some.
            scaling: applied to each window when it is gathered.
            form: of a window.
        """
        self._frames = frames
        self._channels = frames.channels
        self._windows = len(windows)  # of one channel
        self._first_frame = np.tile(windows.first_frame.to_numpy(), self._channels)
        self._length = form.frames
        codes, clip_ids = pd.factorize(windows.clip_id)
        self.clip_codes: np.ndarray = np.tile(codes, self._channels)
        self.clip_ids: list[str] = list(clip_ids)
        self._rows = frames.rows(self.clip_ids)
        scalings = [scaling.offset_and_span(frames.clip(clip_id)) for clip_id in self.clip_ids]
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
        """Mel bands of a frame of one channel."""
        return self._frames.n_bands // self._channels

    def placed_clips(self) -> tuple[Iterator[tuple[int, np.ndarray]], np.ndarray, int]:
        """Lay the clips that have windows one after the other.

        Returns:
            The clips, scaled (where each begins, and its frames × mel bands), computed one at a
            time, of several channels those of one clip after the other; the first frame of each
            window there; and the number of frames in all.
        """
        counts = self._channels * self._frames.frame_counts(self.clip_ids)
        starts = np.cumsum(counts) - counts
        clips = (
            (int(start), self._one_after_the_other((self._frames.clip(clip_id) - offset) / span))
            for start, clip_id, offset, span in zip(
                starts, self.clip_ids, self._offset[:, 0], self._span[:, 0], strict=True
            )
        )
        channel = np.repeat(np.arange(self._channels), self._windows)
        of_channel = starts[self.clip_codes] + channel * (counts // self._channels)[self.clip_codes]
        return clips, self._first_frame + of_channel, int(counts.sum())

    def _one_after_the_other(self, frames: np.ndarray) -> np.ndarray:
        return np.concatenate(np.split(frames, self._channels, axis=1))

    def __getitem__(self, numbers: Any) -> np.ndarray:
        numbers = np.asarray(numbers)
        clips = self.clip_codes[numbers]
        gathered = self._frames.segments(
            self._rows[clips], self._first_frame[numbers], self._length
        )
        gathered -= self._offset[clips]
        gathered /= self._span[clips]
        if self._channels == 1:
            return gathered
        by_channel = gathered.reshape(*gathered.shape[:2], self._channels, -1)
        chosen: np.ndarray = by_channel[np.arange(len(numbers)), :, numbers // self._windows]
        return chosen
