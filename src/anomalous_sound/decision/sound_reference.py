"""What the evidence of a clip is compared with: level, crest factor and spectra of normal clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalous_sound.configuration.decision import EvidenceSettings
from anomalous_sound.decision.calibration import conformal_p_value
from anomalous_sound.decision.evidence import CREST, FLUX, LEVEL, SPECTRUM, Evidence
from anomalous_sound.decision.spectra import Spectra
from anomalous_sound.decision.spectrum_distance import (
    FEWEST,
    SpectrumReference,
    distances_in_company,
)

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {LEVEL: "level_dbfs", CREST: "crest_db"}
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class SoundReference:
    """Level, crest factor, spectrum and spectral flux of the normal clips.

    Attributes:
        values_db: by name of the evidence and machine ID, level or crest factor of each normal
            clip, sorted.
        mean_spectra: the mean spectra of the normal clips.
        settings: the margins. That of level and crest factor is the least: where a normal clip lies
            outside of the others of its machine ID, it is twice as far.
        durations_s: of the shortest and the longest normal clip, s; None: of an earlier version,
            which did not know them.
        fluxes: the spectral fluxes of the normal clips; None: of an earlier version.
    """

    values_db: Mapping[str, Mapping[str, tuple[float, ...]]]
    mean_spectra: SpectrumReference
    settings: EvidenceSettings
    durations_s: tuple[float, float] | None = None
    fluxes: SpectrumReference | None = None

    @classmethod
    def fit(
        cls,
        clips: pd.DataFrame,
        spectra: Spectra,
        settings: EvidenceSettings,
        *,
        sample_rate: int,
    ) -> SoundReference:
        """Take the numbers of normal clips.

        Args:
            clips: ``machine_id, level_dbfs, crest_db, duration_s`` of each normal clip.
            spectra: of the same clips.
            settings: the margins.
            sample_rate: of the clips, Hz.
        """
        values_db = {
            name: {
                str(machine_id): tuple(sorted(map(float, group)))
                for machine_id, group in clips.groupby("machine_id")[column]
            }
            for name, column in _COLUMNS.items()
        }
        machine_ids = clips.machine_id.astype(str).tolist()
        mean_spectra, fluxes = (
            SpectrumReference.fit(machine_ids, values, sample_rate=sample_rate)
            for values in (spectra.spectrum_db, spectra.flux_db)
        )
        durations_s = float(clips.duration_s.min()), float(clips.duration_s.max())
        compared = None if settings.flux_margin is None else fluxes
        return cls(values_db, mean_spectra, settings, durations_s, compared)

    def refit(self, clips: pd.DataFrame, spectra: Spectra) -> SoundReference:
        """Take the numbers of other normal clips, with the same margins; see :meth:`fit`."""
        return self.fit(clips, spectra, self.settings, sample_rate=self.mean_spectra.sample_rate)

    def weigh(
        self, level_dbfs: float, crest_db: float, spectra: Spectra, machine_id: str
    ) -> tuple[Evidence, ...]:
        """Compare a clip with the normal clips of its machine ID, or with all if it has few.

        Args:
            level_dbfs: of the clip.
            crest_db: its peak above that.
            spectra: of the clip.
            machine_id: of the clip.

        Returns:
            What level, crest factor, spectrum and, unless the reference is of an earlier version,
            spectral flux say, in this order.
        """
        found = (
            self._weigh_number(LEVEL, level_dbfs, machine_id),
            self._weigh_number(CREST, crest_db, machine_id),
            self._weigh_spectrum(SPECTRUM, self.mean_spectra, spectra.spectrum_db, machine_id),
        )
        if self.fluxes is None:
            return found
        return (*found, self._weigh_spectrum(FLUX, self.fluxes, spectra.flux_db, machine_id))

    @property
    def comparable_s(self) -> tuple[float, float] | None:
        """How long clips may be to be decided, s, from and to; None: as long as they like."""
        margin = self.settings.duration_margin
        if self.durations_s is None or margin is None:
            return None
        shortest_s, longest_s = self.durations_s
        return shortest_s / margin, longest_s * margin

    @property
    def are_mixed(self) -> bool:
        """Whether the longest normal clip would not be decided, were all like the shortest."""
        margin = self.settings.duration_margin
        if self.durations_s is None or margin is None:
            return False
        shortest_s, longest_s = self.durations_s
        return longest_s > shortest_s * margin

    def not_comparable(self, duration_s: float) -> str:
        """Say in a sentence why a clip of this length is not decided; nothing if it is.

        Args:
            duration_s: of the clip, s.
        """
        if self.durations_s is None or self.comparable_s is None:
            return ""
        (shortest_s, longest_s), (from_s, to_s) = self.durations_s, self.comparable_s
        if from_s - _ROUNDING_S <= duration_s <= to_s + _ROUNDING_S:
            return ""
        normal = f"{shortest_s:.1f}" + (
            f" to {longest_s:.1f}" if f"{shortest_s:.1f}" != f"{longest_s:.1f}" else ""
        )
        return (
            f"not decided: it lasts {duration_s:.1f} s and normal clips {normal} s, so the scores "
            "cannot be compared; record or cut clips as long, or recalibrate with normal clips of "
            "this length"
        )

    @property
    def added_rate(self) -> float:
        """What foreign sound may add to a rate of the score alone, at most: see the module."""
        clips = min(len(_compared(self.values_db[CREST], name)) for name in self.values_db[CREST])
        kinds = 2 if self.fluxes is None else 3
        return min(1.0, kinds / (clips + 1))

    def _weigh_number(self, name: str, value_db: float, machine_id: str) -> Evidence:
        normal = np.array(_compared(self.values_db[name], machine_id))
        lowest, highest = float(normal[0]), float(normal[-1])
        below, above = (
            float(conformal_p_value(sign * normal, sign * value_db)) for sign in (-1, 1)
        )
        outside, gap = lowest - value_db, _largest_gap(normal.tolist(), both=name == LEVEL)
        least_db = self.settings.crest_margin_db
        if name == LEVEL:
            outside, least_db = max(outside, value_db - highest), self.settings.level_margin_db
        p_value = min(1.0, 2 * min(below, above)) if name == LEVEL else below
        return Evidence(
            name=name,
            value_db=float(value_db),
            lowest_db=lowest,
            highest_db=highest,
            normal_clips=len(normal),
            p_value=p_value if machine_id in self.values_db[name] else None,
            strange=outside > max(least_db, 2 * gap),
        )

    def _weigh_spectrum(
        self, name: str, reference: SpectrumReference, values_db: np.ndarray, machine_id: str
    ) -> Evidence:
        found = reference.distance(values_db, machine_id)
        limit_db = _spectrum_limit(name, found.highest_db, self.settings)
        return Evidence(name=name, strange=found.value_db > limit_db, **vars(found))

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values; no bit is lost.

        What an earlier version did not know is left out, so that the digest of its detectors stays.
        """
        durations = {} if self.durations_s is None else {"durations_s": list(self.durations_s)}
        values = {
            name: {machine_id: list(values) for machine_id, values in of_ids.items()}
            for name, of_ids in self.values_db.items()
        }
        return {
            "values_db": values,
            "spectra": self.mean_spectra.to_json(),
            "settings": self.settings.model_dump(mode="json", exclude_none=True),
            **durations,
            **({} if self.fluxes is None else {"fluxes": self.fluxes.to_json()}),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SoundReference:
        """Take what :meth:`to_json` returned.

        Raises:
            KeyError: it is of an earlier version, which knew no spectra.
        """
        values_db = {
            name: {machine_id: tuple(values) for machine_id, values in of_ids.items()}
            for name, of_ids in values["values_db"].items()
        }
        mean_spectra = SpectrumReference.from_json(values["spectra"])
        settings = EvidenceSettings.model_validate(values["settings"])
        durations_s = values.get("durations_s")
        return cls(
            *(values_db, mean_spectra, settings),
            None if durations_s is None else (float(durations_s[0]), float(durations_s[1])),
            SpectrumReference.from_json(values["fluxes"]) if "fluxes" in values else None,
        )


def foreign_among(clips: pd.DataFrame, spectra: Spectra, settings: EvidenceSettings) -> np.ndarray:
    """Say which normal clips are foreign when each is compared with the others.

    These are the others of its machine ID, or of all if it has few, as a new clip is compared.
    Below the other crest factors, the least margin counts and not the gap between the lowest two:
    a further clip could close it.

    Args:
        clips: ``machine_id, crest_db`` of each normal clip.
        spectra: of the same clips.
        settings: the margins.

    Returns:
        A boolean for each clip.
    """
    machine_ids, crests = clips.machine_id.astype(str).to_numpy(), clips.crest_db.to_numpy()
    foreign = np.zeros(len(clips), dtype=bool)
    for machine_id in set(machine_ids):
        own = machine_ids == machine_id
        company = np.flatnonzero(own if own.sum() >= FEWEST else np.ones_like(own))
        if len(company) < 2:
            continue
        below = -_highest_of_others(-crests[company]) - crests[company]
        found = below > settings.crest_margin_db
        for name, values_db in ((SPECTRUM, spectra.spectrum_db), (FLUX, spectra.flux_db)):
            distances = distances_in_company(values_db[company])
            of_others = _highest_of_others(distances)
            limits = np.array([_spectrum_limit(name, highest, settings) for highest in of_others])
            found |= distances > limits
        foreign[company[found & own[company]]] = True
    return foreign


def _spectrum_limit(name: str, highest_db: float, settings: EvidenceSettings) -> float:
    """Return the distance beyond which a spectrum, or a spectral flux, is foreign."""
    if name == SPECTRUM:
        return max(settings.spectrum_margin * highest_db, settings.spectrum_least_db)
    return np.inf if settings.flux_margin is None else settings.flux_margin * highest_db


def _highest_of_others(values: np.ndarray) -> np.ndarray:
    """Return for each of two values and more the highest of the others."""
    second, first = np.sort(values)[-2:]
    found = np.full(len(values), first)
    found[values.argmax()] = second
    return found


def _compared(of_ids: Mapping[str, tuple[float, ...]], machine_id: str) -> tuple[float, ...]:
    own = of_ids.get(machine_id, ())
    if len(own) >= FEWEST:
        return own
    return tuple(sorted(value for values in of_ids.values() for value in values))


def _largest_gap(normal: Sequence[float], *, both: bool) -> float:
    """Return how far the lowest, or on both sides any, lies outside of the others."""
    if len(normal) < 2:
        return 0.0
    below, above = normal[1] - normal[0], normal[-1] - normal[-2]
    return max(below, above) if both else below
