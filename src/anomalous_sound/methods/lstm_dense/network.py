"""The network of dense LSTM frame prediction."""

from __future__ import annotations

from torch import Tensor, nn

from anomalous_sound.methods.lstm_dense import LstmDenseNetworkSettings
from anomalous_sound.methods.network import ClipInput, FrameOutput, FramePredictor, InputShape


class LstmDensePredictor(FramePredictor):
    """Stacked LSTM over a segment or a clip; a linear layer makes each state the next frame.

    The frames of one window are heard before the first prediction counts.
    """

    windows_alone = False

    def __init__(self, settings: LstmDenseNetworkSettings, shape: InputShape) -> None:
        """Build the network."""
        super().__init__(settings, shape)
        self.window_length = shape.window.length
        self.lstm = nn.LSTM(
            shape.n_mels, settings.hidden_size, settings.num_layers, batch_first=True
        )
        self.output = FrameOutput(settings.hidden_size, shape.n_mels)

    def expected(self, frames: Tensor) -> Tensor:
        """Predict every frame after the first window: segments × frames × mel bands."""
        states, _ = self.lstm(frames[:, :-1])
        predicted: Tensor = self.output(states[:, self.window_length - 1 :])
        return predicted

    def target(self, frames: Tensor) -> Tensor:
        """Return every frame after the first window: segments × frames × mel bands."""
        return frames[:, self.window_length :]

    def errors(self, clip: ClipInput) -> Tensor:
        """Return the squared error of the frame after each window, from one pass over the clip."""
        return self.errors_at_once(clip)

    def errors_at_once(self, clip: ClipInput) -> Tensor:
        """Return :meth:`errors`, which come from one pass anyway."""
        return self.frame_errors(clip.frames[None])[0][clip.first_frames]
