"""Dense LSTM frame prediction: one pass over a clip, a prediction of every next frame.

The windowed predictor runs ten times over each frame, and forgets what lies before its window; this
one carries its state along from the beginning of the clip. It is another method: its errors are not
the windowed ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from anomalous_sound.methods.frame_network import FrameModel, FrameOutput


class LstmDensePredictor(FrameModel):
    """Stacked LSTM over a stretch of frames; a linear layer makes each state the next frame."""

    whole_clips = True

    def __init__(
        self, *, n_mels: int, hidden_size: int, num_layers: int, window_length: int
    ) -> None:
        """Build the network.

        Args:
            n_mels: mel bands of a frame.
            hidden_size: units of each LSTM layer.
            num_layers: stacked LSTM layers.
            window_length: frames that are heard before the first prediction counts.
        """
        super().__init__()
        self.window_length = window_length
        self.lstm = nn.LSTM(n_mels, hidden_size, num_layers, batch_first=True)
        self.output = FrameOutput(hidden_size, n_mels)

    def expected(self, frames: Tensor) -> Tensor:
        """Predict every frame after the first ``window_length``: batch × frames × mel bands."""
        states, _ = self.lstm(frames[:, :-1])
        return self.output(states[:, self.window_length - 1 :])

    def target(self, frames: Tensor) -> Tensor:
        """Return every frame after the first ``window_length``: batch × frames × mel bands."""
        return frames[:, self.window_length :]

    @staticmethod
    def target_frames(length: int, network: Mapping[str, Any]) -> tuple[int, int]:
        """The frame after the window."""
        return length, length
