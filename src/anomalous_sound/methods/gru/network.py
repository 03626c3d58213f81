"""The network of the GRU autoencoder."""

from __future__ import annotations

from torch import Tensor, nn

from anomalous_sound.methods.gru import GruNetworkSettings, centre
from anomalous_sound.methods.network import FrameOutput, FramePredictor, InputShape


class GruAutoencoder(FramePredictor):
    """Stacked GRU encoder, a GRU decoder of the same shape, and a linear layer to mel bands."""

    def __init__(self, settings: GruNetworkSettings, shape: InputShape) -> None:
        """Build the network."""
        super().__init__(settings, shape)
        hidden_size, num_layers = settings.hidden_size, settings.num_layers
        self.masked_frames = settings.masked_frames
        self.decoder_input = settings.decoder_input
        self.encoder = nn.GRU(shape.n_mels, hidden_size, num_layers, batch_first=True)
        self.decoder = nn.GRU(hidden_size, hidden_size, num_layers, batch_first=True)
        self.output = FrameOutput(hidden_size, shape.n_mels)

    def expected(self, frames: Tensor) -> Tensor:
        """Reconstruct the window or its centre: windows × target frames × mel bands."""
        window = frames[:, :-1]
        wanted = slice(None)
        if self.masked_frames == "centre":
            middle = centre(window.shape[1])
            window = window.clone()
            window[:, middle] = 0
            wanted = slice(middle, middle + 1)
        states, _ = self.encoder(window)
        if self.decoder_input == "latent":
            states = states[:, -1:].expand_as(states)
        # frames after the last one wanted cannot change it, so they are not decoded
        decoded, _ = self.decoder(states[:, : wanted.stop])
        reconstructed: Tensor = self.output(decoded[:, wanted])
        return reconstructed

    def target(self, frames: Tensor) -> Tensor:
        """Return the window without its next frame, or its centre: as ``expected``."""
        window = frames[:, :-1]
        if self.masked_frames == "centre":
            middle = centre(window.shape[1])
            return window[:, middle : middle + 1]
        return window
