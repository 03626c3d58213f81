"""LSTM frame prediction: a window of log-mel frames in, the next frame out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anomalous_sound.configuration.base import PositiveInt
from anomalous_sound.methods.base import Method, MethodSettings, NetworkSettings


class LstmNetworkSettings(NetworkSettings):
    """The LSTM that predicts the next frame."""

    architecture: Literal["lstm_predictor"]
    hidden_size: PositiveInt = Field(description="units of each LSTM layer")
    num_layers: PositiveInt = Field(description="stacked LSTM layers")

    def target_frames(self, length: int) -> tuple[int, int]:
        """The frame after the window."""
        return length, length


class LstmSettings(MethodSettings):
    """Parameters of LSTM frame prediction."""

    network: LstmNetworkSettings


METHOD = Method(
    name="lstm",
    title="LSTM frame prediction",
    summary="predicts the frame after a window of 10",
    settings=LstmSettings,
    network="anomalous_sound.methods.lstm.network:LstmPredictor",
    next_frame=True,
    core=True,
)
