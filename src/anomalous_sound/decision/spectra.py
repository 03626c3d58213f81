"""What a clip sounds like as a whole: its mean spectrum and its spectral flux."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from anomalous_sound.features.frames import Frames
from anomalous_sound.features.levels import mean_spectrum, spectral_flux


@dataclass(frozen=True)
class Spectra:
    """The mean spectrum and the spectral flux of one clip or several.

    Attributes:
        spectrum_db: mean spectra (see :func:`.levels.mean_spectrum`), mel bands, or clips × mel
            bands.
        flux_db: spectral fluxes (see :func:`.levels.spectral_flux`), of the same shape.
    """

    spectrum_db: np.ndarray
    flux_db: np.ndarray

    @classmethod
    def stacked(cls, clips: Iterable[Spectra]) -> Spectra:
        """Put those of single clips, one at least, into clips × mel bands."""
        mean_spectra, fluxes = zip(*((one.spectrum_db, one.flux_db) for one in clips), strict=True)
        return cls(np.stack(mean_spectra), np.stack(fluxes))


def spectra_of_clip(frames: np.ndarray) -> Spectra:
    """Return the mean spectrum and the spectral flux of a clip.

    Args:
        frames: its log-mel frames, frames × mel bands, dB.
    """
    return Spectra(mean_spectrum(frames), spectral_flux(frames))


def spectra_of_clips(clip_ids: Iterable[str], log_mel: Frames) -> Spectra:
    """Return the mean spectra and the spectral fluxes of clips.

    Args:
        clip_ids: the clips, one at least.
        log_mel: their frames; those of one clip are in memory at a time.
    """
    return Spectra.stacked(spectra_of_clip(log_mel.mean_clip(clip_id)) for clip_id in clip_ids)
