"""GRU autoencoder: a window of log-mel frames is encoded into latent states and reconstructed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anomalous_sound.configuration.base import PositiveInt
from anomalous_sound.methods.base import Method, MethodSettings, NetworkSettings


class GruNetworkSettings(NetworkSettings):
    """The GRU autoencoder."""

    architecture: Literal["gru_autoencoder"]
    hidden_size: PositiveInt = Field(description="units of each GRU layer, and of a latent state")
    num_layers: PositiveInt = Field(description="stacked layers of the encoder, and of the decoder")
    decoder_input: Literal["states", "latent"] = Field(
        description="what the decoder reads at each frame: the encoder's state at that frame, or "
        "its last state, the same at every frame"
    )
    masked_frames: Literal["none", "centre"] = Field(
        description="none: the whole window is seen and reconstructed; centre: the frame in its "
        "middle is hidden, and it alone is reconstructed"
    )

    def target_frames(self, length: int) -> tuple[int, int]:
        """All frames of the window, or its centre."""
        if self.masked_frames == "centre":
            return centre(length), centre(length)
        return 0, length - 1


def centre(length: int) -> int:
    """Return the frame in the middle of a window, counted from 0."""
    return length // 2


class GruSettings(MethodSettings):
    """Parameters of the GRU autoencoder."""

    network: GruNetworkSettings


METHOD = Method(
    name="gru",
    title="GRU autoencoder",
    summary="reconstructs a window of 10 frames, or its hidden middle frame",
    settings=GruSettings,
    network="anomalous_sound.methods.gru.network:GruAutoencoder",
    next_frame=True,
    core=True,
)
