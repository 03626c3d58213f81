"""The field's reference: the dense autoencoder of the baselines of DCASE Task 2 since 2020.

Koizumi et al., Description and discussion on DCASE2020 challenge task 2, 2020. Harada et al.,
First-shot anomaly sound detection for machine condition monitoring: a domain generalization
baseline, EUSIPCO 2023.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anomalous_sound.configuration.base import PositiveFloat, PositiveInt, Rate
from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.methods.base import Method, MethodSettings, NetworkSettings


class AutoencoderNetworkSettings(NetworkSettings):
    """The dense autoencoder."""

    architecture: Literal["dense_autoencoder"]
    hidden_size: PositiveInt = Field(description="units of each dense layer")
    depth: PositiveInt = Field(description="dense layers before the bottleneck, and after it")
    bottleneck: PositiveInt = Field(description="units of the bottleneck")
    norm_momentum: Rate = Field(
        description="of batch normalisation: the share of a new batch in its running statistics"
    )
    norm_epsilon: PositiveFloat = Field(description="added to variances by batch normalisation")
    error: Literal["squared", "selective_mahalanobis"] = Field(
        description="of the windows of a clip: squared, or such that their mean is the smaller of "
        "the squared Mahalanobis distances by the covariances of source and target domain"
    )

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
    summary="the DCASE baseline since 2020: reconstructs 5 stacked frames through a bottleneck",
    settings=AutoencoderSettings,
    network="anomalous_sound.methods.autoencoder.network:DenseAutoencoder",
    next_frame=False,
)
