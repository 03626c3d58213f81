"""Is it the machine that sounds different, or the sensor? What a judged clip says of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from anomalous_sound.decision.evidence import LEVEL, foreign_note
from anomalous_sound.decision.verdict import Verdict

CLIPPED_SHARE = 0.001  # of the samples at full scale
STUCK_S = 0.25  # of equal samples; machines are never so quiet, gates and broken links are


class Sensor(StrEnum):
    """What is wrong with the sensor; what it delivers is never counted as normal."""

    SILENCE = "silence"
    UNREADABLE = "unreadable"
    STALL = "stall"
    GONE = "gone"
    CLIPPING = "clipping"
    STUCK = "stuck"
    LEVEL = "level"
    FOREIGN = "foreign"
    GAP = "gap"

    @property
    def forbids_votes(self) -> bool:
        """Whether a clip with it says nothing of the machine.

        A level that is off does not forbid: a fault may be loud, and the score knows no gain.
        """
        return self in (Sensor.CLIPPING, Sensor.STUCK, Sensor.GAP)


@dataclass(frozen=True)
class Doubt:
    """A doubt about the sensor.

    Attributes:
        kind: what is wrong.
        reason: in words.
    """

    kind: Sensor
    reason: str


def doubts(verdict: Verdict, *, level_before_db: float | None = None) -> list[Doubt]:
    """Return what a judged clip says of the sensor.

    Args:
        verdict: of the clip.
        level_before_db: level of the clip before it, to tell a jump from a slow change; None: not
            known.
    """
    found, signal = [], verdict.signal
    if signal is not None and signal.full_scale_share >= CLIPPED_SHARE:
        found.append(
            Doubt(
                Sensor.CLIPPING,
                f"{100 * signal.full_scale_share:.2g} % of the samples are at full scale: too "
                "loud for this gain; if the gain is as it was, see what became so loud",
            )
        )
    if signal is not None and signal.constant_s >= STUCK_S:
        found.append(Doubt(Sensor.STUCK, f"all samples are the same for {signal.constant_s:.2f} s"))
    for one in verdict.evidence:
        if one.name == LEVEL and one.strange:
            jump = ""
            if level_before_db is not None:
                change = one.value_db - level_before_db
                how = "louder" if change > 0 else "softer"
                jump = f" ({abs(change):.0f} dB {how} than just before)"
            found.append(Doubt(Sensor.LEVEL, one.finding + jump))
    if foreign := foreign_note(verdict.evidence, by_score=verdict.is_above):
        found.append(Doubt(Sensor.FOREIGN, foreign))
    return found


def level_db(verdict: Verdict) -> float | None:
    """Return the level of a judged clip, dB relative to full scale; None: not known."""
    return next((one.value_db for one in verdict.evidence if one.name == LEVEL), None)
