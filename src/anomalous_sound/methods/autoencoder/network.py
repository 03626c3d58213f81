"""The field's reference: the dense autoencoder of the DCASE 2020 Challenge Task 2 baseline.

Koizumi et al., Description and discussion on DCASE2020 challenge task 2, 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from anomalous_sound.methods.frame_network import FrameModel, FrameOutput


class DenseAutoencoder(FrameModel):
    """Stacked frames through dense layers and a bottleneck, with batch normalisation and ReLU."""

    def __init__(
        self, *, n_mels: int, window_length: int, hidden_size: int, depth: int, bottleneck: int
    ) -> None:
        """Build the network.

        Args:
            n_mels: mel bands of a frame.
            window_length: frames that are stacked into one input.
            hidden_size: units of each dense layer.
            depth: dense layers before the bottleneck, and after it.
            bottleneck: units of the bottleneck.
        """
        super().__init__()
        widths = [
            window_length * n_mels,
            *[hidden_size] * depth,
            bottleneck,
            *[hidden_size] * depth,
        ]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, FrameOutput(hidden_size, widths[0]))

    def expected(self, frames: Tensor) -> Tensor:
        """Reconstruct the stacked frames: batch × window length × mel bands."""
        return self.layers(frames.flatten(1)).view_as(frames)

    def target(self, frames: Tensor) -> Tensor:
        """Return the stacked frames: batch × window length × mel bands."""
        return frames

    @staticmethod
    def target_frames(length: int, network: Mapping[str, Any]) -> tuple[int, int]:
        """All frames of the window."""
        return 0, length - 1
