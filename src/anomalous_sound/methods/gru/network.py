"""GRU autoencoder: a window of log-mel frames is encoded into latent states and reconstructed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from anomalous_sound.methods.frame_network import FrameModel, FrameOutput


class GruAutoencoder(FrameModel):
    """Stacked GRU encoder, a GRU decoder of the same shape, and a linear layer to mel bands."""

    def __init__(
        self,
        *,
        n_mels: int,
        hidden_size: int,
        num_layers: int,
        decoder_input: str,
        masked_frames: str,
    ) -> None:
        """Build the network.

        Args:
            n_mels: mel bands of a frame.
            hidden_size: units of each GRU layer, and of a latent state.
            num_layers: stacked layers of the encoder, and of the decoder.
            decoder_input: what the decoder reads at each frame: ``states``, the encoder's state
                at that frame, or ``latent``, the encoder's last state, the same at every frame.
            masked_frames: ``none``: the whole window is seen and reconstructed; ``centre``: the
                frame in its middle is not seen, and it alone is reconstructed from those around it
                (as Suefusa et al., ICASSP 2020, do with dense layers), so that nothing can be
                copied.
        """
        super().__init__()
        self.masked_frames = masked_frames
        self.decoder_input = decoder_input
        self.encoder = nn.GRU(n_mels, hidden_size, num_layers, batch_first=True)
        self.decoder = nn.GRU(hidden_size, hidden_size, num_layers, batch_first=True)
        self.output = FrameOutput(hidden_size, n_mels)

    def expected(self, frames: Tensor) -> Tensor:
        """Reconstruct the window or its centre: batch × target frames × mel bands."""
        window = frames[:, :-1]
        wanted = slice(None)
        if self.masked_frames == "centre":
            centre = _centre(window.shape[1])
            window = window.clone()
            window[:, centre] = 0
            wanted = slice(centre, centre + 1)
        states, _ = self.encoder(window)
        if self.decoder_input == "latent":
            states = states[:, -1:].expand_as(states)
        # frames after the last one wanted cannot change it, so they are not decoded
        decoded, _ = self.decoder(states[:, : wanted.stop])
        return self.output(decoded[:, wanted])

    def target(self, frames: Tensor) -> Tensor:
        """Return the window without its next frame, or its centre: as ``expected``."""
        window = frames[:, :-1]
        if self.masked_frames == "centre":
            centre = _centre(window.shape[1])
            return window[:, centre : centre + 1]
        return window

    @staticmethod
    def target_frames(length: int, network: Mapping[str, Any]) -> tuple[int, int]:
        """All frames of the window, or its centre."""
        if network["masked_frames"] == "centre":
            return _centre(length), _centre(length)
        return 0, length - 1


def _centre(length: int) -> int:
    return length // 2
