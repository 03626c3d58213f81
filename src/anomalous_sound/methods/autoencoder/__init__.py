"""The field's reference: the dense autoencoder of the DCASE 2020 Challenge Task 2 baseline.

Koizumi et al., Description and discussion on DCASE2020 challenge task 2, 2020.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anomalous_sound.configuration.base import PositiveInt
from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.methods.base import Method, MethodSettings, NetworkSettings


class AutoencoderNetworkSettings(NetworkSettings):
    """The dense autoencoder."""

    architecture: Literal["dense_autoencoder"]
    hidden_size: PositiveInt = Field(description="units of each dense layer")
    depth: PositiveInt = Field(description="dense layers before the bottleneck, and after it")
    bottleneck: PositiveInt = Field(description="units of the bottleneck")

    def target_frames(self, length: int) -> tuple[int, int]:
        """All frames of the window."""
        return 0, length - 1


class AutoencoderSettings(MethodSettings):
    """Parameters of the dense autoencoder, with windows of its own."""

    network: AutoencoderNetworkSettings
    windows: WindowSettings


METHOD = Method(
    name="autoencoder",
    title="dense autoencoder",
    summary="the DCASE 2020 baseline: reconstructs 5 stacked frames through a bottleneck",
    settings=AutoencoderSettings,
    network="anomalous_sound.methods.autoencoder.network:DenseAutoencoder",
    next_frame=False,
)
