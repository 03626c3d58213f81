"""The network of LSTM frame prediction."""

from __future__ import annotations

from torch import Tensor, nn

from anomalous_sound.methods.lstm import LstmNetworkSettings
from anomalous_sound.methods.network import FrameOutput, FramePredictor, InputShape


class LstmPredictor(FramePredictor):
    """Stacked LSTM over the window; a linear layer turns its last state into the next frame."""

    def __init__(self, settings: LstmNetworkSettings, shape: InputShape) -> None:
        """Build the network."""
        super().__init__(settings, shape)
        self.lstm = nn.LSTM(
            shape.n_mels, settings.hidden_size, settings.num_layers, batch_first=True
        )
        self.output = FrameOutput(settings.hidden_size, shape.n_mels)

    def expected(self, frames: Tensor) -> Tensor:
        """Predict the frame after the window: windows × 1 × mel bands."""
        states, _ = self.lstm(frames[:, :-1])
        predicted: Tensor = self.output(states[:, -1:])
        return predicted

    def target(self, frames: Tensor) -> Tensor:
        """Return the frame after the window: windows × 1 × mel bands."""
        return frames[:, -1:]
