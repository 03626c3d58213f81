"""Evidence beside the anomaly score: is this the sound of the machine that was recorded?

The networks hear each clip relative to its own loudest moment, so neither gain nor clipping is
theirs to notice. Two numbers of each clip are compared with those of the normal clips of its
machine ID: its level, and its crest factor, the peak above the level.

- A **level** outside of what normal clips have is a warning: another gain or microphone. It decides
  nothing.
- A **crest factor** far below is *foreign*: hard clipping, and where normal sound is full of peaks
  also a pure tone or hum. A foreign clip is anomalous, whatever its score. "Far" is a margin that
  no normal clip, compared with the others, comes near. A high crest factor is no evidence: knocks
  and clicks are what the score is for.

To be foreign, a normal clip would have to lie outside of all n normal clips of its machine ID, by
far. That alone happens to at most 1 in n + 1 exchangeable clips, so this is what foreign clips may
add, at the very most, to the rate that is promised for the score; with the margin, none was seen.

p-values are conformal (see :func:`.calibration.conformal_p_value`): the part of normal clips, and
of the clip itself, with so low a crest factor; for the level, which may be off to either side,
twice the smaller part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalous_sound.configuration.decision import EvidenceSettings
from anomalous_sound.decision.calibration import conformal_p_value

if TYPE_CHECKING:
    import pandas as pd

LEVEL, CREST = "level", "crest factor"
_COLUMNS = {LEVEL: "level_dbfs", CREST: "crest_db"}
_FEWEST = 3  # normal clips of a machine ID; with fewer, those of all machine IDs are taken


@dataclass(frozen=True)
class Evidence:
    """What one number of a clip says.

    Attributes:
        name: LEVEL or CREST.
        value_db: of the clip: dB relative to full scale, or dB above its level.
        lowest_db: of the normal clips compared with.
        highest_db: of the normal clips compared with.
        normal_clips: how many these are.
        p_value: how often a normal clip would lie as far out.
        strange: whether it lies further out than the margin.
    """

    name: str
    value_db: float
    lowest_db: float
    highest_db: float
    normal_clips: int
    p_value: float
    strange: bool

    @property
    def note(self) -> str:
        """What there is to say of it, in a sentence; empty if it is not strange."""
        if not self.strange:
            return ""
        above = self.value_db > self.highest_db
        beyond = self.value_db - self.highest_db if above else self.lowest_db - self.value_db
        if self.name == LEVEL:
            how, end = ("louder", "loudest") if above else ("softer", "softest")
            return (
                f"{beyond:.0f} dB {how} than the {end} of {self.normal_clips} normal clips: "
                "another gain, microphone or distance?"
            )
        return (
            f"foreign sound: a crest factor of {self.value_db:.0f} dB, normal clips have "
            f"{self.lowest_db:.0f} to {self.highest_db:.0f} dB (clipping, a tone or hum)"
        )


@dataclass(frozen=True)
class SoundReference:
    """Level and crest factor of the normal clips.

    Attributes:
        values_db: by name of the evidence and machine ID, those of each normal clip, sorted.
        margins_db: by name: how far outside of all normal clips is strange, at least; where a
            normal clip lies outside of the others of its machine ID, at least twice as far.
    """

    values_db: Mapping[str, Mapping[str, tuple[float, ...]]]
    margins_db: Mapping[str, float]

    @classmethod
    def fit(cls, clips: pd.DataFrame, settings: EvidenceSettings) -> SoundReference:
        """Take the numbers of normal clips.

        Args:
            clips: ``machine_id, level_dbfs, crest_db`` of each normal clip.
            settings: the least margins.
        """
        values_db = {
            name: {
                str(machine_id): tuple(sorted(map(float, group)))
                for machine_id, group in clips.groupby("machine_id")[column]
            }
            for name, column in _COLUMNS.items()
        }
        return cls(values_db, {LEVEL: settings.level_margin_db, CREST: settings.crest_margin_db})

    def refit(self, clips: pd.DataFrame) -> SoundReference:
        """Take the numbers of other normal clips, with the same least margins.

        Args:
            clips: as :meth:`fit`.
        """
        least = EvidenceSettings(
            level_margin_db=self.margins_db[LEVEL], crest_margin_db=self.margins_db[CREST]
        )
        return self.fit(clips, least)

    def weigh(self, level_dbfs: float, crest_db: float, machine_id: str) -> tuple[Evidence, ...]:
        """Compare a clip with the normal clips of its machine ID, or with all if it has few."""
        found = []
        for name, value in ((LEVEL, level_dbfs), (CREST, crest_db)):
            normal = np.array(_compared(self.values_db[name], machine_id))
            lowest, highest = float(normal[0]), float(normal[-1])
            below, above = (
                float(conformal_p_value(sign * normal, sign * value)) for sign in (-1, 1)
            )
            outside, gap = lowest - value, _largest_gap(normal.tolist(), both=name == LEVEL)
            if name == LEVEL:
                outside = max(outside, value - highest)
            found.append(
                Evidence(
                    name=name,
                    value_db=float(value),
                    lowest_db=lowest,
                    highest_db=highest,
                    normal_clips=len(normal),
                    p_value=min(1.0, 2 * min(below, above)) if name == LEVEL else below,
                    strange=outside > max(self.margins_db[name], 2 * gap),
                )
            )
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values; no bit is lost."""
        values = {
            name: {machine_id: list(values) for machine_id, values in of_ids.items()}
            for name, of_ids in self.values_db.items()
        }
        return {"values_db": values, "margins_db": dict(self.margins_db)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> SoundReference:
        """Take what :meth:`to_json` returned."""
        values_db = {
            name: {machine_id: tuple(values) for machine_id, values in of_ids.items()}
            for name, of_ids in values["values_db"].items()
        }
        return cls(values_db, values["margins_db"])


def weigh_clips(clips: pd.DataFrame, reference: SoundReference) -> pd.DataFrame:
    """Weigh the evidence of many clips.

    Args:
        clips: ``clip_id, machine_id, level_dbfs, crest_db``.
        reference: of the normal clips.

    Returns:
        ``clip_id, level_dbfs, level_p_value, crest_db, crest_p_value, foreign, note``, one row per
        clip.
    """
    import pandas as pd

    rows = []
    columns = (clips[name].tolist() for name in ("clip_id", "machine_id", *_COLUMNS.values()))
    for clip_id, machine_id, level_dbfs, crest_db in zip(*columns, strict=True):
        level, crest = reference.weigh(level_dbfs, crest_db, machine_id)
        rows.append(
            {
                "clip_id": clip_id,
                "level_dbfs": level.value_db,
                "level_p_value": level.p_value,
                "crest_db": crest.value_db,
                "crest_p_value": crest.p_value,
                "foreign": crest.strange,
                "note": "; ".join(notes_of((level, crest))),
            }
        )
    return pd.DataFrame(rows)


def notes_of(evidence: Sequence[Evidence]) -> tuple[str, ...]:
    """Return what there is to say of the evidence."""
    return tuple(one.note for one in evidence if one.note)


def is_foreign(evidence: Sequence[Evidence]) -> bool:
    """Say whether a clip is foreign."""
    return any(one.strange for one in evidence if one.name == CREST)


def _compared(of_ids: Mapping[str, tuple[float, ...]], machine_id: str) -> tuple[float, ...]:
    own = of_ids.get(machine_id, ())
    if len(own) >= _FEWEST:
        return own
    return tuple(sorted(value for values in of_ids.values() for value in values))


def _largest_gap(normal: Sequence[float], *, both: bool) -> float:
    """Return how far the lowest, or on both sides any, lies outside of the others."""
    if len(normal) < 2:
        return 0.0
    below, above = normal[1] - normal[0], normal[-1] - normal[-2]
    return max(below, above) if both else below
