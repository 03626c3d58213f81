"""Windows gathered on the device: frames are copied there once, and batches never travel."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from anomalous_sound.features.frames import WindowedFrames


class DeviceWindows:
    """The windows of a :class:`WindowedFrames`, scaled and gathered on a device.

    It needs as much memory there as the frames have bytes; on the host one clip at a time.
    """

    def __init__(self, windows: WindowedFrames, device: torch.device) -> None:
        """Copy the frames of all clips that have a window."""
        clips, first_frames, total = windows.placed_clips()
        self._frames = torch.empty((total, windows.n_bands), device=device)
        for start, clip in clips:
            self._frames[start : start + len(clip)] = torch.from_numpy(clip)
        self._first_frames = torch.from_numpy(first_frames).to(device)
        self._steps = torch.arange(windows.frames_of_a_window, device=device)

    def __len__(self) -> int:
        return len(self._first_frames)

    def __getitem__(self, numbers: np.ndarray | list[int]) -> Tensor:
        """Return windows × frames × mel bands, on the device."""
        chosen = torch.as_tensor(np.asarray(numbers), device=self._first_frames.device)
        return self._frames[self._first_frames[chosen][:, None] + self._steps]


def on_device(windows: WindowedFrames, device: torch.device) -> WindowedFrames | DeviceWindows:
    """Return windows that are gathered on an accelerator, or on the CPU as they were."""
    return windows if device.type == "cpu" else DeviceWindows(windows, device)
