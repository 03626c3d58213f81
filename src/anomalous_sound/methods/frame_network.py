"""What every method has in common: frames in, squared errors out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class FrameModel(nn.Module, ABC):
    """A network that says, from a window of frames, what frames it expects.

    The squared difference between the frames it expects and the frames that are there is at once
    the training loss (its mean) and the anomaly score (the mean of a window).
    """

    # whether a clip is scored in one pass over it, and not window by window
    whole_clips = False

    @abstractmethod
    def expected(self, frames: Tensor) -> Tensor:
        """Return the expected frames, batch × target frames × mel bands.

        Args:
            frames: batch × frames × mel bands: a window and, where the windows are so, its next
                frame.
        """

    @abstractmethod
    def target(self, frames: Tensor) -> Tensor:
        """Return the frames that ``expected`` tries to meet, of the same shape."""

    @staticmethod
    @abstractmethod
    def target_frames(length: int, network: Mapping[str, Any]) -> tuple[int, int]:
        """Return first and last target frame, counted from the start of a window of ``length``.

        Args:
            length: frames of the window.
            network: the network's settings.
        """

    def frame_errors(self, frames: Tensor) -> Tensor:
        """Return the squared error of each target frame, batch × target frames × mel bands."""
        return (self.expected(frames) - self.target(frames)).square()

    def forward(self, frames: Tensor) -> Tensor:
        """Return the squared error of each window and mel band, batch × mel bands.

        It is averaged over the target frames; its mean over the bands is the window's error.
        """
        return self.frame_errors(frames).mean(dim=1)


class FrameOutput(nn.Linear):
    """The last layer, from states to mel bands: in float32 whatever precision the others have.

    A frame rounded to bfloat16 would be as far from the true one as a good prediction is.
    """

    def forward(self, states: Tensor) -> Tensor:
        """Return … × mel bands, float32."""
        with torch.autocast(states.device.type, enabled=False):
            return super().forward(states.float())


def count_parameters(network: nn.Module) -> int:
    """Return the number of trained values of a network."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
