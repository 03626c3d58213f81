"""LSTM frame prediction: a window of log-mel frames in, the next frame out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from anomalous_sound.methods.frame_network import FrameModel, FrameOutput


class LstmPredictor(FrameModel):
    """Stacked LSTM over the window; a linear layer turns its last state into the next frame."""

    def __init__(self, *, n_mels: int, hidden_size: int, num_layers: int) -> None:
        """Build the network.

        Args:
            n_mels: mel bands of a frame.
            hidden_size: units of each LSTM layer.
            num_layers: stacked LSTM layers.
        """
        super().__init__()
        self.lstm = nn.LSTM(n_mels, hidden_size, num_layers, batch_first=True)
        self.output = FrameOutput(hidden_size, n_mels)

    def expected(self, frames: Tensor) -> Tensor:
        """Predict the frame after the window: batch × 1 × mel bands."""
        states, _ = self.lstm(frames[:, :-1])
        return self.output(states[:, -1:])

    def target(self, frames: Tensor) -> Tensor:
        """Return the frame after the window: batch × 1 × mel bands."""
        return frames[:, -1:]

    @staticmethod
    def target_frames(length: int, network: Mapping[str, Any]) -> tuple[int, int]:
        """The frame after the window."""
        return length, length
