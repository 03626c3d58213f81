"""How far the mean spectrum of a clip is from those of the normal clips of its machine ID.

Spectral fluxes are compared in the same way: they, too, are dB of each mel band.

All of them, the judged clip included, are treated alike: the distance of a clip is that of its
spectrum from the mean of the *others*. For a normal clip that is exchangeable with the n normal
ones, to be the farthest of all n + 1 has therefore a probability of 1 in n + 1 at most, whatever
the distribution (full conformal prediction: Vovk, Gammerman & Shafer, Algorithmic Learning in a
Random World, 2005). No such promise holds if only the normal clips are left out of their mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from anomalous_sound.decision.calibration import conformal_p_value
from anomalous_sound.features.log_mel import mel_band_edges_hz
from anomalous_sound.scoring.band_levels import BandLevels
from anomalous_sound.scoring.event_words import frequency_range, in_hertz

FEWEST = 3  # normal clips of a machine ID; with fewer, those of all machine IDs are taken
_DECIMALS = 2  # of a dB: finer says nothing, and would triple what a detector stores
_NARROW = 3  # mel bands, at most, of a difference that is "around" a frequency


@dataclass(frozen=True)
class SpectrumDistance:
    """How far the spectrum of a clip is from usual.

    Attributes:
        value_db: root mean square over the mel bands of its difference from the mean spectrum of
            the normal clips, dB.
        lowest_db: the same of the normal clips, each against the mean of all others and the judged
            clip: the nearest.
        highest_db: the farthest.
        normal_clips: how many these are.
        p_value: the part of all clips, the judged one included, that are as far; None for a machine
            ID without normal clips.
        where: the frequencies of the largest difference, in words.
    """

    value_db: float
    lowest_db: float
    highest_db: float
    normal_clips: int
    p_value: float | None
    where: str


@dataclass(frozen=True)
class SpectrumReference:
    """The mean spectra of the normal clips.

    Attributes:
        spectra_db: by machine ID, that of each normal clip: dB of each mel band, rounded to
            hundredths.
        sample_rate: of the clips, Hz.
    """

    spectra_db: Mapping[str, tuple[tuple[float, ...], ...]]
    sample_rate: int

    @classmethod
    def fit(
        cls, machine_ids: list[str], spectra_db: np.ndarray, *, sample_rate: int
    ) -> SpectrumReference:
        """Take the spectra of normal clips.

        Args:
            machine_ids: of each clip.
            spectra_db: clips × mel bands; see :func:`.levels.mean_spectrum`.
            sample_rate: Hz.
        """
        rows = np.round(spectra_db, _DECIMALS).tolist()
        of_ids: dict[str, list[tuple[float, ...]]] = {name: [] for name in sorted(set(machine_ids))}
        for name, row in zip(machine_ids, rows, strict=True):
            of_ids[name].append(tuple(row))
        return cls({name: tuple(of_id) for name, of_id in of_ids.items()}, sample_rate)

    def distance(self, spectrum_db: np.ndarray, machine_id: str) -> SpectrumDistance:
        """Compare a clip with the normal clips of its machine ID, or with all if it has few.

        Args:
            spectrum_db: its mean spectrum, dB of each mel band.
            machine_id: of the clip.
        """
        own, normal = self._arrays.get(machine_id), self._compared(machine_id)
        spectrum = np.round(spectrum_db, _DECIMALS)
        distances = distances_from_others(np.concatenate([normal, spectrum[None]]))
        value, of_normal = float(distances[-1]), distances[:-1]
        return SpectrumDistance(
            value_db=value,
            lowest_db=float(of_normal.min()),
            highest_db=float(of_normal.max()),
            normal_clips=len(normal),
            p_value=None if own is None else float(conformal_p_value(of_normal, value)),
            where=_in_words(spectrum - normal.mean(axis=0), self.sample_rate),
        )

    def levels(self, spectrum_db: np.ndarray, machine_id: str) -> BandLevels:
        """Put a clip beside the normal clips of its machine ID, or all if it has few.

        Args:
            spectrum_db: its mean spectrum, dB of each mel band.
            machine_id: of the clip.
        """
        return BandLevels(np.round(spectrum_db, _DECIMALS), self._compared(machine_id))

    def _compared(self, machine_id: str) -> np.ndarray:
        normal = self._arrays.get(machine_id)
        if normal is None or len(normal) < FEWEST:
            return np.concatenate(list(self._arrays.values()))
        return normal

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values; no bit is lost."""
        spectra = {name: [list(row) for row in rows] for name, rows in self.spectra_db.items()}
        return {"spectra_db": spectra, "sample_rate": self.sample_rate}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SpectrumReference:
        """Take what :meth:`to_json` returned."""
        spectra = {name: tuple(map(tuple, rows)) for name, rows in values["spectra_db"].items()}
        return cls(spectra, values["sample_rate"])

    @cached_property
    def _arrays(self) -> dict[str, np.ndarray]:
        return {name: np.array(rows, dtype=float) for name, rows in self.spectra_db.items()}


def distances_in_company(spectra_db: np.ndarray) -> np.ndarray:
    """Return :func:`distances_from_others` of spectra as a reference keeps them."""
    return distances_from_others(np.round(spectra_db, _DECIMALS))


def distances_from_others(spectra_db: np.ndarray) -> np.ndarray:
    """Return how far each spectrum is from the mean of all others.

    With m spectra x and their mean c, x is m/(m − 1)·(x − c) away from the mean of the others.

    Args:
        spectra_db: clips × mel bands, two clips at least.

    Returns:
        The root mean square over the bands, dB, one for each clip.
    """
    clips = len(spectra_db)
    from_mean = spectra_db - spectra_db.mean(axis=0)
    distances: np.ndarray = clips / (clips - 1) * np.sqrt(np.mean(from_mean**2, axis=1))
    return distances


def _in_words(difference_db: np.ndarray, sample_rate: int) -> str:
    """Say at which frequencies a spectrum differs most, and by how much.

    These are the bands around the largest difference that differ at least half as much, the same
    way.
    """
    peak = int(np.abs(difference_db).argmax())
    sign = np.sign(difference_db[peak])
    alike = sign * difference_db >= np.abs(difference_db[peak]) / 2
    unlike = np.flatnonzero(~alike)
    first = int(max(unlike[unlike < peak], default=-1)) + 1
    last = int(min(unlike[unlike > peak], default=len(alike)))
    edges = mel_band_edges_hz(len(difference_db), sample_rate)
    narrow = last - first <= _NARROW
    where = (
        f"around {in_hertz((edges[peak] + edges[peak + 1]) / 2)}"
        if narrow
        else frequency_range(edges[first], edges[last], edges[0], edges[-1])
    )
    mean_db = float(np.abs(difference_db[first:last].mean()))
    return f"{where} ({mean_db:.0f} dB {'more' if sign > 0 else 'less'})"
