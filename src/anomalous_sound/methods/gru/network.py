"""The network of the GRU autoencoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anomalous_sound.methods.gru import GruNetworkSettings, centre, clipwise
from anomalous_sound.methods.network import ClipInput, FrameOutput, FramePredictor, InputShape


class GruAutoencoder(FramePredictor):
    """Stacked GRU encoder, a GRU decoder of the same shape, and a linear layer to mel bands."""

    def __init__(self, settings: GruNetworkSettings, shape: InputShape) -> None:
        """Build the network."""
        super().__init__(settings, shape)
        self._length = shape.window.length
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

    def errors(self, clip: ClipInput) -> Tensor:
        """Return the squared errors, averaged over target frames: windows × mel bands."""
        if not clipwise.is_quicker(clip.frames):
            return super().errors(clip)
        return torch.cat(
            [
                self._errors_clipwise(clip.frames, first)
                for first in torch.split(clip.first_frames, clip.batch_size)
            ]
        )

    def _errors_clipwise(self, frames: Tensor, first_frames: Tensor) -> Tensor:
        """Return what :meth:`errors_at_once` returns, by :mod:`.clipwise`."""
        targets = range(self._length)
        masked = None
        if self.masked_frames == "centre":
            masked = centre(self._length)
            targets = range(masked, masked + 1)
        windows = clipwise.ClipOfWindows(frames, first_frames, self._length, masked)
        states = clipwise.encode(self.encoder, windows)
        if self.decoder_input == "latent":
            states = states[-1:] * self._length
        decoded = clipwise.decode(self.decoder, states[: targets.stop])
        total = torch.zeros(len(first_frames), frames.shape[1])
        for frame in targets:
            expected = clipwise.product(decoded[frame], self.output.weight, self.output.bias)
            total += (expected - frames[first_frames + frame]).square_()
        return total / len(targets)
