"""Evidence beside the anomaly score: is this the sound of the machine that was recorded?

The networks hear each clip relative to its own loudest moment, so neither gain nor clipping is
theirs to notice, and what is like nothing they have heard may still be easy to predict. Four
things of each clip are compared with the normal clips of its machine ID: its level, its crest
factor, which is the peak above the level, its spectrum and its spectral flux.

- A **level** outside of what normal clips have is a warning: another gain or microphone. It decides
  nothing.
- A **crest factor** far below is *foreign*: hard clipping, and where normal sound is full of peaks
  also a pure tone or hum. A foreign clip is anomalous, whatever its score. "Far" is a margin that
  no normal clip, compared with the others, comes near. A high crest factor is no evidence: knocks
  and clicks are what the score is for.
- A **spectrum** farther from the mean of the normal clips than all of these, by a margin, is
  foreign too: noise, a tone, hum, another machine (see :mod:`.spectrum_distance`).
- So is a **spectral flux**, how much each band changes from frame to frame, that is so far from
  their mean: another machine in the same hall has another rhythm, if not another spectrum.

The **duration** is no evidence of either kind. A score looks for the worst moments of a clip, and a
longer clip has more moments, so scores of clips that last much longer or shorter than the normal
ones cannot be compared with theirs: such a clip has a score and a note, and is not decided.

To be foreign, a normal clip would have to lie outside of all n normal clips of its machine ID, by
a margin. That alone happens to at most 1 in n + 1 exchangeable clips: this is what each kind of
evidence may add, at the very most, to a rate that is promised for the score. The conformal
thresholds promise for both together: they count the normal clips that are foreign among the
others (:func:`.sound_reference.foreign_among`; why that keeps the rate is in
:mod:`.calibration`). What the margins leave of it is measured in ``experiments/foreign_sound.py``.

p-values are conformal (see :func:`.calibration.conformal_p_value`): the part of normal clips, and
of the clip itself, with so low a crest factor or so distant a spectrum; for the level, which may be
off to either side, twice the smaller part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LEVEL, CREST, SPECTRUM, FLUX = "level", "crest factor", "spectrum", "spectral flux"
_FOREIGN = "foreign sound"
_UNLIKE = (
    "unlike anything heard in training (another source, a new fault, or another recording set-up)"
)


@dataclass(frozen=True)
class Evidence:
    """What one number of a clip says.

    Attributes:
        name: LEVEL, CREST, SPECTRUM or FLUX.
        value_db: of the clip: dB relative to full scale, dB above its level, or dB from the usual
            spectrum or flux.
        lowest_db: of the normal clips compared with.
        highest_db: of the normal clips compared with.
        normal_clips: how many these are.
        p_value: how often a normal clip would lie as far out; None for a machine ID without normal
            clips: those of others say nothing of how often.
        strange: whether it lies further out than the margin.
        where: the frequencies at which spectrum or flux differ most, in words; else empty.
    """

    name: str
    value_db: float
    lowest_db: float
    highest_db: float
    normal_clips: int
    p_value: float | None
    strange: bool
    where: str = ""

    @property
    def finding(self) -> str:
        """What there is to say of it; empty if it is not strange."""
        if not self.strange:
            return ""
        if self.name == LEVEL:
            above = self.value_db > self.highest_db
            beyond = self.value_db - self.highest_db if above else self.lowest_db - self.value_db
            how, end = ("louder", "loudest") if above else ("softer", "softest")
            return (
                f"{beyond:.0f} dB {how} than the {end} of {self.normal_clips} normal clips: "
                "another gain, microphone or distance?"
            )
        if self.name == CREST:
            return (
                f"its crest factor is {self.value_db:.0f} dB (normal clips: {self.lowest_db:.0f} "
                f"to {self.highest_db:.0f} dB), as of clipping, a tone or hum"
            )
        what = f"{FLUX} (how it changes from moment to moment)" if self.name == FLUX else SPECTRUM
        whose = "this machine's usual one" if self.p_value else "the usual one of other machine IDs"
        return (
            f"its {what} is {self.value_db:.1f} dB from {whose} (normal clips: up to "
            f"{self.highest_db:.1f} dB), most {self.where}"
        )


def notes_of(evidence: Sequence[Evidence], *, by_score: bool = False) -> tuple[str, ...]:
    """Return what there is to say of a clip: of its level, and why it is foreign.

    Args:
        evidence: all of the clip.
        by_score: as of :func:`foreign_note`.
    """
    of_level = [one.finding for one in evidence if one.name == LEVEL]
    return tuple(filter(None, [*of_level, foreign_note(evidence, by_score=by_score)]))


def foreign_note(evidence: Sequence[Evidence], *, by_score: bool) -> str:
    """Say in one sentence in what a clip is foreign; nothing if it is not.

    Args:
        evidence: all of the clip.
        by_score: whether the score calls the clip anomalous, too. Then it may well be this
            machine, with a fault; see :func:`softened`.
    """
    findings = [one.finding for one in evidence if one.strange and one.name != LEVEL]
    if not findings:
        return ""
    said = f"{_FOREIGN}: {'; '.join(findings)}"
    return softened(said) if by_score else said


def softened(note: str) -> str:
    """Return a note on a foreign clip whose score is above the threshold, too.

    That it is not this machine is then one explanation among others: a fault that sounds like
    nothing before is just as foreign.

    >>> softened("foreign sound: its crest factor is 1 dB")[:34]
    'unlike anything heard in training '
    """
    return note.replace(_FOREIGN, _UNLIKE)


def is_foreign(evidence: Sequence[Evidence]) -> bool:
    """Say whether a clip is foreign."""
    return any(one.strange for one in evidence if one.name != LEVEL)
