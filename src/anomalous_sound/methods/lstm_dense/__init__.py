"""Dense LSTM frame prediction: one pass over a clip, and a prediction at every frame.

"Dense" as in dense prediction, an output at every place of the input; there are no dense (fully
connected) layers beyond those of ``lstm``. The windowed predictor reads each frame ten times over
and forgets what lies before its window; this one carries its state along from the beginning of the
clip. It is another method: its errors are not the windowed ones.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anomalous_sound.configuration.base import PositiveInt
from anomalous_sound.configuration.training import SegmentTrainingSettings
from anomalous_sound.methods.base import Method, MethodSettings, NetworkSettings


class LstmDenseNetworkSettings(NetworkSettings):
    """The LSTM that predicts every next frame."""

    architecture: Literal["lstm_dense_predictor"]
    hidden_size: PositiveInt = Field(description="units of each LSTM layer")
    num_layers: PositiveInt = Field(description="stacked LSTM layers")

    def target_frames(self, length: int) -> tuple[int, int]:
        """The frame after the window."""
        return length, length


class LstmDenseSettings(MethodSettings):
    """Parameters of dense LSTM frame prediction."""

    network: LstmDenseNetworkSettings
    training: SegmentTrainingSettings


METHOD = Method(
    name="lstm_dense",
    title="dense LSTM frame prediction",
    summary="predicts every next frame in one pass over the clip",
    settings=LstmDenseSettings,
    network="anomalous_sound.methods.lstm_dense.network:LstmDensePredictor",
    next_frame=True,
)
