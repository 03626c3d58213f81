"""What the networks of all methods have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.methods.base import NetworkSettings


class Batch(NamedTuple):
    """Windows to learn from.

    Attributes:
        frames: windows × frames × mel bands, scaled; where the windows come with a next frame, it
            is the last one.
        machine: int64, one per window: the place of its machine ID among those trained on, counted
            from 0; -1 for any other.
        target: bool, one per window: whether its clip is of the target domain; None: not told.
        weight: of the mean of its losses, where it is the share of one of several processes that
            train together: windows here ÷ windows in the average share.
    """

    frames: Tensor
    machine: Tensor
    target: Tensor | None = None
    weight: float = 1.0


class ClipInput(NamedTuple):
    """A clip to say something of.

    Attributes:
        frames: frames × mel bands, scaled: the whole clip.
        first_frames: int64, the first frame of each window in the clip.
        machine: the place of the clip's machine ID among those trained on; -1 for any other.
        batch_size: windows to compute at once, at most.
    """

    frames: Tensor
    first_frames: Tensor
    machine: int
    batch_size: int


@dataclass(frozen=True)
class InputShape:
    """What a network is given, as far as it bears on its size.

    Attributes:
        n_mels: mel bands of a frame.
        window: the form of the windows that are scored.
        machine_ids: those trained on.
    """

    n_mels: int
    window: WindowSettings
    machine_ids: tuple[str, ...] = ()


class Network(nn.Module, ABC):
    """What a method learns from windows, and what it says of a clip.

    A subclass takes its own settings and an :class:`InputShape`. It is free to use the machine ID
    or not, and to look at a clip window by window or as a whole.

    Attributes:
        windows_alone: whether the errors of a window come from its own frames alone, so that the
            windows of a clip can be computed some at a time.
    """

    windows_alone: bool = False

    @abstractmethod
    def __init__(self, settings: Any, shape: InputShape) -> None:
        """Build an untrained network.

        Args:
            settings: the method's :class:`~anomalous_sound.methods.base.NetworkSettings`.
            shape: what it is given.
        """
        super().__init__()

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Return the terms of the loss, windows × any number; training minimises their mean."""

    @abstractmethod
    def errors(self, clip: ClipInput) -> Tensor:
        """Return how unexpected each window of a clip is, windows × mel bands, at least 0."""

    def after_training(self, batches: Iterable[Batch]) -> None:
        """Learn what only a trained network can learn of the windows that it was trained on.

        It is called once, in evaluation mode and without gradients. What it finds goes into
        buffers, which are saved as weights are. Nothing by default.

        Args:
            batches: of all training windows, in an order of its own.
        """

    def errors_at_once(self, clip: ClipInput) -> Tensor:
        """Return :meth:`errors` in one step, whatever the batch size: this is what is exported."""
        return self.errors(clip)

    def forward(self, batch: Batch) -> Tensor:
        """Return :meth:`loss`; calling the module is what Fabric watches over."""
        return self.loss(batch)


class FramePredictor(Network):
    """A network that says, from a window of frames, which frames it expects.

    The squared difference between the frames that it expects and those that are there is both its
    loss and its error.
    """

    windows_alone = True

    def __init__(self, settings: NetworkSettings, shape: InputShape) -> None:
        """Build the layers in a subclass; this remembers how many frames a window reads."""
        super().__init__(settings, shape)
        self._window_frames = shape.window.frames

    @abstractmethod
    def expected(self, frames: Tensor) -> Tensor:
        """Return the expected frames, windows × target frames × mel bands.

        Args:
            frames: windows × frames × mel bands, as in :class:`Batch`.
        """

    @abstractmethod
    def target(self, frames: Tensor) -> Tensor:
        """Return the frames that ``expected`` tries to meet, of the same shape."""

    def frame_errors(self, frames: Tensor) -> Tensor:
        """Return the squared error of each target frame, windows × target frames × mel bands."""
        return (self.expected(frames) - self.target(frames)).square()

    def loss(self, batch: Batch) -> Tensor:
        """Return the squared errors, averaged over target frames: windows × mel bands."""
        return self.frame_errors(batch.frames).mean(dim=1)

    def errors(self, clip: ClipInput) -> Tensor:
        """Return the squared errors, averaged over target frames: windows × mel bands."""
        return torch.cat(
            [
                self.errors_at_once(clip._replace(first_frames=first))
                for first in torch.split(clip.first_frames, clip.batch_size)
            ]
        )

    def errors_at_once(self, clip: ClipInput) -> Tensor:
        """Return the squared errors of all windows in one step."""
        return self.frame_errors(self._windows(clip.frames, clip.first_frames)).mean(dim=1)

    def _windows(self, frames: Tensor, first_frames: Tensor) -> Tensor:
        """Gather the windows of a clip that begin with these frames."""
        steps = torch.arange(self._window_frames, device=frames.device)
        return frames[first_frames[:, None] + steps]


class FrameOutput(nn.Linear):
    """The last layer, from states to mel bands, in float32 whatever the precision of the others.

    A frame rounded to bfloat16 would be as far from the true one as a good prediction is.
    """

    def forward(self, states: Tensor) -> Tensor:
        """Return … × mel bands, float32."""
        with torch.autocast(states.device.type, enabled=False):
            return super().forward(states.float())


def count_parameters(network: nn.Module) -> int:
    """Return the number of trained values of a network."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
