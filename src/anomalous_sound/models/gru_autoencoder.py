"""GRU autoencoder: a window of log-mel frames is encoded into latent states and reconstructed."""

from __future__ import annotations

from torch import Tensor, nn

from anomalous_sound.models.frame_model import FrameModel


class GruAutoencoder(FrameModel):
    """Stacked GRU encoder, a GRU decoder of the same shape, and a linear layer to mel bands."""

    def __init__(
        self, *, n_mels: int, hidden_size: int, num_layers: int, decoder_input: str
    ) -> None:
        """Build the network.

        Args:
            n_mels: mel bands of a frame.
            hidden_size: units of each GRU layer, and of a latent state.
            num_layers: stacked layers of the encoder, and of the decoder.
            decoder_input: what the decoder reads at each frame: ``states``, the encoder's state
                at that frame, or ``latent``, the encoder's last state, the same at every frame.
        """
        super().__init__()
        self.decoder_input = decoder_input
        self.encoder = nn.GRU(n_mels, hidden_size, num_layers, batch_first=True)
        self.decoder = nn.GRU(hidden_size, hidden_size, num_layers, batch_first=True)
        self.output = nn.Linear(hidden_size, n_mels)

    def expected(self, frames: Tensor) -> Tensor:
        """Reconstruct the window: batch × window length × mel bands."""
        states, _ = self.encoder(self.target(frames))
        if self.decoder_input == "latent":
            states = states[:, -1:].expand_as(states)
        decoded, _ = self.decoder(states)
        return self.output(decoded)

    def target(self, frames: Tensor) -> Tensor:
        """Return the window without its next frame: batch × window length × mel bands."""
        return frames[:, :-1]

    @staticmethod
    def target_frames(length: int) -> tuple[int, int]:
        """All frames of the window."""
        return 0, length - 1
