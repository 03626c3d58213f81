"""The network of the dense autoencoder."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from anomalous_sound.methods.autoencoder import AutoencoderNetworkSettings
from anomalous_sound.methods.network import FrameOutput, FramePredictor, InputShape


class DenseAutoencoder(FramePredictor):
    """Stacked frames through dense layers and a bottleneck, with batch normalisation and ReLU."""

    def __init__(self, settings: AutoencoderNetworkSettings, shape: InputShape) -> None:
        """Build the network."""
        super().__init__(settings, shape)
        half = [settings.hidden_size] * settings.depth
        widths = [shape.window.length * shape.n_mels, *half, settings.bottleneck, *half]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU()]
        self.layers = nn.Sequential(*layers, FrameOutput(settings.hidden_size, widths[0]))

    def expected(self, frames: Tensor) -> Tensor:
        """Reconstruct the stacked frames: windows × window length × mel bands."""
        reconstructed: Tensor = self.layers(frames.flatten(1))
        return reconstructed.view_as(frames)

    def target(self, frames: Tensor) -> Tensor:
        """Return the stacked frames: windows × window length × mel bands."""
        return frames
