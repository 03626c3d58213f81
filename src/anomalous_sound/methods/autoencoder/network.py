"""The network of the dense autoencoder."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from anomalous_sound.methods.autoencoder import AutoencoderNetworkSettings
from anomalous_sound.methods.network import (
    Batch,
    ClipInput,
    FrameOutput,
    FramePredictor,
    InputShape,
)

_SMALLEST_SQUARE = 1e-30  # of the residuals of a band; a quotient stays finite


class DenseAutoencoder(FramePredictor):
    """Stacked frames through dense layers and a bottleneck, with batch normalisation and ReLU.

    The errors of its windows are squared, or those of the selective Mahalanobis mode of the DCASE
    baseline since 2023: with r the mean residual of a clip over windows and their frames, and C the
    covariance of the residuals of the training clips of a domain, r C^(-1) r is the squared
    distance by that domain; the smaller one counts. The domain of the clip is not asked for.
    """

    def __init__(self, settings: AutoencoderNetworkSettings, shape: InputShape) -> None:
        """Build the network."""
        super().__init__(settings, shape)
        half = [settings.hidden_size] * settings.depth
        widths = [shape.window.length * shape.n_mels, *half, settings.bottleneck, *half]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            norm = nn.BatchNorm1d(
                outputs, momentum=settings.norm_momentum, eps=settings.norm_epsilon
            )
            layers += [nn.Linear(inputs, outputs), norm, nn.ReLU()]
        self.layers = nn.Sequential(*layers, FrameOutput(settings.hidden_size, widths[0]))
        self.windows_alone = settings.error == "squared"
        if not self.windows_alone:
            # C^(-1/2) of the source and of the target domain; found after the training
            self.register_buffer("whiteners", torch.zeros(2, shape.n_mels, shape.n_mels))

    def expected(self, frames: Tensor) -> Tensor:
        """Reconstruct the stacked frames: windows × window length × mel bands."""
        reconstructed: Tensor = self.layers(frames.flatten(1))
        return reconstructed.view_as(frames)

    def target(self, frames: Tensor) -> Tensor:
        """Return the stacked frames: windows × window length × mel bands."""
        return frames

    def after_training(self, batches: Iterable[Batch]) -> None:
        """Find the covariance of the residuals of each domain, where errors are Mahalanobis's.

        As the baseline's code does: residuals are centred in each batch and domain, and the sum of
        their products is divided by the number of windows less one. A domain without clips gets the
        covariance of the other; clips of no known domain are of the source domain.
        """
        if self.windows_alone:
            return
        whiteners = self.get_buffer("whiteners")
        products = torch.zeros(whiteners.shape, dtype=torch.float64)
        windows = torch.zeros(2)
        for batch in batches:
            residuals = self._residuals(batch.frames)
            of_target = torch.zeros_like(batch.machine, dtype=torch.bool)
            if batch.target is not None:
                of_target = batch.target
            for domain, chosen in enumerate((~of_target, of_target)):
                own = residuals[chosen].flatten(0, 1)
                if len(own):
                    centred = own - own.mean(dim=0)
                    products[domain] += (centred.T @ centred).cpu().double()
                    windows[domain] += chosen.sum().cpu()
        covariances = products / (windows - 1).clamp_min(1)[:, None, None]
        there = windows > 0
        if not there.all():
            covariances[~there] = covariances[there]
        whiteners.copy_(_inverse_roots(covariances))

    def errors(self, clip: ClipInput) -> Tensor:
        """Return the errors of all windows of a clip; see :meth:`.Network.errors`."""
        if self.windows_alone:
            return super().errors(clip)
        residuals = [
            self._residuals(self._windows(clip.frames, first))
            for first in torch.split(clip.first_frames, clip.batch_size)
        ]
        return self._of_nearer_domain(torch.cat(residuals))

    def errors_at_once(self, clip: ClipInput) -> Tensor:
        """Return :meth:`errors` in one step."""
        if self.windows_alone:
            return super().errors_at_once(clip)
        return self._of_nearer_domain(
            self._residuals(self._windows(clip.frames, clip.first_frames))
        )

    def _residuals(self, windows: Tensor) -> Tensor:
        return self.target(windows) - self.expected(windows)

    def _of_nearer_domain(self, residuals: Tensor) -> Tensor:
        """Return errors, windows × mel bands, whose mean is the squared distance over the bands.

        The distance is that of a clip as a whole. What a whitened band adds to it is spread over
        the windows as the squared residuals of that band are.

        Args:
            residuals: windows × window length × mel bands.
        """
        with torch.autocast(residuals.device.type, enabled=False):
            residuals = residuals.float()
            by_domain = (residuals.mean(dim=(0, 1)) @ self.get_buffer("whiteners")).square()
            nearer = by_domain[by_domain.sum(dim=1).argmin()]
            squares = residuals.square().mean(dim=1)
            errors: Tensor = nearer * squares / squares.mean(dim=0).clamp_min(_SMALLEST_SQUARE)
            return errors


def _inverse_roots(covariances: Tensor) -> Tensor:
    """Return the symmetric inverse square root of each covariance."""
    values, vectors = torch.linalg.eigh(covariances)
    # of fewer frames than bands some are 0; what residuals in float32 say of less is rounding
    least = torch.finfo(torch.float32).eps * values.amax(dim=-1, keepdim=True)
    scaled = vectors / torch.maximum(values, least)[:, None, :].sqrt()
    roots: Tensor = scaled @ vectors.mT
    return roots
