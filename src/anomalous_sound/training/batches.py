"""The batches of windows that a network is trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from anomalous_sound.features.windows import WindowedFrames
from anomalous_sound.methods.network import Batch

WindowNumbers = NDArray[np.int64] | list[int]


class DeviceWindows:
    """The windows of a :class:`WindowedFrames`, scaled and gathered on a device.

    Frames are copied there once, so that batches never travel. It needs as much memory there as the
    frames have bytes; on the host one clip at a time.
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

    def __getitem__(self, numbers: WindowNumbers) -> Tensor:
        """Return windows × frames × mel bands, on the device."""
        chosen = torch.as_tensor(np.asarray(numbers), device=self._first_frames.device)
        return self._frames[self._first_frames[chosen][:, None] + self._steps]


def on_device(windows: WindowedFrames, device: torch.device) -> WindowedFrames | DeviceWindows:
    """Return windows that are gathered on an accelerator, or on the CPU as they were."""
    return windows if device.type == "cpu" else DeviceWindows(windows, device)


class WindowBatches(Dataset[Batch]):
    """Windows with their machine IDs, gathered a batch at a time by lists of window numbers."""

    def __init__(
        self,
        windows: WindowedFrames,
        machines: Sequence[int],
        targets: Sequence[bool],
        device: torch.device,
    ) -> None:
        """Copy the windows to an accelerator.

        Args:
            windows: the windows.
            machines: the place of the machine ID of each clip of ``windows.clip_ids``.
            targets: whether each of these clips is of the target domain.
            device: where batches are wanted.
        """
        self._rank, self._ranks = 0, 1
        self._windows = on_device(windows, device)
        clips = torch.as_tensor(windows.clip_codes)
        self._machines = torch.tensor(machines)[clips].to(device)
        self._targets = torch.tensor(targets)[clips].to(device)

    def shared_by(self, ranks: int, rank: int) -> WindowBatches:
        """Return the same batches, of each of which one of several processes has its share.

        The shares are as equal as they can be; together they are the batch that one process has.
        """
        shared = copy(self)
        shared._rank, shared._ranks = rank, ranks
        return shared

    def __len__(self) -> int:
        return len(self._windows)

    def __getitem__(self, numbers: WindowNumbers) -> Batch:
        """Return the windows of one batch, or of this process's share of it."""
        own = numbers[self._rank :: self._ranks]
        frames = torch.as_tensor(self._windows[own])
        chosen = torch.as_tensor(np.asarray(own))
        weight = len(own) * self._ranks / len(numbers)
        return Batch(frames, self._machines[chosen], self._targets[chosen], weight)


class BatchSampler(Sampler[NDArray[np.int64]]):
    """The windows of each batch; as arrays, since millions of Python numbers need much memory."""

    def __init__(
        self, windows: int, batch_size: int, order: torch.Generator | None, ranks: int = 1
    ) -> None:
        """Remember how to draw.

        Args:
            windows: how many there are.
            batch_size: windows a batch.
            order: draws the order; None: windows come as they are.
            ranks: processes that share a batch.
        """
        self._windows, self._batch_size, self._order = windows, batch_size, order
        # one window has no variance: batch normalisation cannot train on it
        self._least = min(max(2, ranks), batch_size, windows)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        if self._order is None:
            numbers = np.arange(self._windows)
        else:
            numbers = torch.randperm(self._windows, generator=self._order).numpy()
        for start in range(0, self._windows, self._batch_size):
            batch = numbers[start : start + self._batch_size]
            if self._order is None or len(batch) >= self._least:
                yield batch

    def __len__(self) -> int:
        return -(-self._windows // self._batch_size)
