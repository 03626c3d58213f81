"""Conformal calibration: what held-out normal clips say about the score of another clip.

The calibration clips must be normal, must not have been used for training (nor to choose an epoch
or a setting), and must be exchangeable with the clips to come: same machine, place, microphone and
operating states. No method can make up for clips that are not.

What is proven is split conformal: one network and one score, which have not seen the calibration
clips, judge these and the new clip alike. Where every normal clip serves training and calibration
(folds), its score comes from a network and a score that have not seen it, but a new clip's is the
mean over all networks by a score fitted on all: the rate is then observed, not proven. Barber et
al. prove twice the rate for jackknife+ and CV+ intervals, which are not these thresholds.

What is decided of a clip is more than its score: a foreign clip is anomalous whatever its score
(see :mod:`.evidence`). So that the whole verdict keeps the rate, a calibration clip that is foreign
when compared with the other normal clips counts as above any score. Why: let s' be above all where
a clip is foreign among calibration clips and judged clip together, and else the score. These s' are
exchangeable, so P(fewer than m of the n calibration clips have an s' as high as the judged one's)
is at most m/(n + 1), and that is an alarm, be it by score or as foreign. This is proven. But what a
calibration clip is among all can only be known with the judged clip: it is counted without it.

- By the crest factor none is missed that way: a further clip can only widen the range that a
  foreign one lies outside of, and the gap beside it, which may shrink, is not looked at.
- By the spectrum it is nearly so, not proven: a further clip moves the mean and the largest
  distance a little, to either side. ``tests/decision/test_joint.py`` draws how the rate is kept.

A threshold that cannot be given is none (as many foreign clips as the rate allows of alarms, or
more), so it is "given, and an alarm" that happens in at most m/(n + 1).

Sources:
    Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005 (conformal p-values).
    Lei, G'Sell, Rinaldo, Tibshirani & Wasserman, J. Am. Stat. Assoc. 113, 2018 (split conformal).
    Bates, Candès, Lei, Romano & Sesia, Annals of Statistics 51, 2023 (conformal outlier detection).
    Barber, Candès, Ramdas & Tibshirani, Annals of Statistics 49, 2021 (jackknife+, CV+).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalous_sound.configuration.decision import Per
from anomalous_sound.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CalibrationScores:
    """The scores of the held-out normal clips that thresholds and p-values come from.

    Attributes:
        clip_ids: the clips.
        machine_ids: the machine ID of each clip.
        scores: the anomaly score of each clip; finite.
        in_folds: whether each comes from a network and a score that have not seen this clip, but
            others for each; otherwise all come from the one network and score that judge new clips.
        foreign: whether each is foreign when compared with the other normal clips, and so counts as
            above any score; None: not known, as in detectors of earlier versions.

    Raises:
        InputError: the lengths differ, or a score is not finite.
    """

    clip_ids: tuple[str, ...]
    machine_ids: tuple[str, ...]
    scores: tuple[float, ...]
    in_folds: bool = False
    foreign: tuple[bool, ...] | None = None

    def __post_init__(self) -> None:
        """Check lengths and scores."""
        checked_scores(self.scores)
        for name, values in (("machine", self.machine_ids), ("clip", self.clip_ids)):
            if len(values) != len(self.scores):
                raise InputError(
                    f"there are {len(self.scores)} scores and {len(values)} {name} IDs."
                )
        if self.foreign is not None and len(self.foreign) != len(self.scores):
            raise InputError(
                f"there are {len(self.scores)} scores; of {len(self.foreign)} clips it is known "
                "whether they are foreign."
            )

    @classmethod
    def from_table(cls, table: pd.DataFrame, *, in_folds: bool = False) -> CalibrationScores:
        """Take the columns ``clip_id, machine_id, score`` of held-out normal clips.

        Where there is a column ``foreign``, it is taken too.
        """
        clip_ids, machine_ids, scores = (
            tuple(column.tolist())
            for column in (table.clip_id, table.machine_id, table.score.astype(float))
        )
        foreign = tuple(table.foreign.astype(bool).tolist()) if "foreign" in table else None
        return cls(clip_ids, machine_ids, scores, in_folds, foreign)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> CalibrationScores:
        """Take what :meth:`to_json` returned, bit by bit the same."""
        clip_ids, machine_ids, scores = (
            tuple(values[name]) for name in ("clip_id", "machine_id", "score")
        )
        foreign = tuple(values["foreign"]) if "foreign" in values else None
        return cls(clip_ids, machine_ids, scores, values.get("in_folds", False), foreign)

    def to_json(self) -> dict[str, Any]:
        """Return ``clip_id, machine_id, score``, ``foreign`` if known, and ``in_folds``."""
        return {**self._columns(), "in_folds": self.in_folds}

    def table(self) -> pd.DataFrame:
        """Return ``clip_id, machine_id, score``, and ``foreign`` if known, one row per clip."""
        import pandas as pd

        return pd.DataFrame(self._columns())

    def _columns(self) -> dict[str, list[Any]]:
        return {
            "clip_id": list(self.clip_ids),
            "machine_id": list(self.machine_ids),
            "score": list(self.scores),
            **({} if self.foreign is None else {"foreign": list(self.foreign)}),
        }

    def values(self, machine_id: str | None = None) -> np.ndarray:
        """Return the scores of all clips, or of one machine ID's."""
        pairs = zip(self.scores, self.machine_ids, strict=True)
        chosen = [score for score, name in pairs if machine_id in (None, name)]
        return np.array(chosen, dtype=float)

    def joint(self, machine_id: str | None = None) -> np.ndarray:
        """Return the scores as :meth:`values` does, infinite where a clip is foreign."""
        if self.foreign is None:
            return self.values(machine_id)
        scores = tuple(map(float, np.where(self.foreign, np.inf, self.scores)))
        pairs = zip(scores, self.machine_ids, strict=True)
        return np.array([score for score, name in pairs if machine_id in (None, name)], dtype=float)

    def foreign_clips(self, machine_id: str | None = None) -> list[str]:
        """Return the clips that are known to be foreign, of all clips or of one machine ID's."""
        rows = zip(self.clip_ids, self.machine_ids, self.foreign or (), strict=False)
        return [clip for clip, name, one in rows if one and machine_id in (None, name)]

    def only(self, machine_ids: Iterable[str]) -> CalibrationScores:
        """Return the scores of some machine IDs."""
        wanted = set(machine_ids)
        table = self.table()
        return self.from_table(table[table.machine_id.isin(wanted)], in_folds=self.in_folds)

    def p_values(
        self, scores: np.ndarray, machine_ids: Sequence[str | None], *, per: Per
    ) -> np.ndarray:
        """Return the conformal p-value of each new clip.

        Args:
            scores: one score per new clip.
            machine_ids: the machine ID of each new clip; only read if ``per`` is ``machine_id``.
            per: ``machine_type`` compares a clip with all calibration clips, ``machine_id`` with
                those of its own machine ID. A machine ID without any has no p-value: NaN.

        Returns:
            As :func:`conformal_p_value`.
        """
        if per == "machine_type":
            return conformal_p_value(self.joint(), scores)
        p_values = np.full(len(scores), np.nan)
        for machine_id in set(machine_ids):
            chosen = np.array([name == machine_id for name in machine_ids])
            own = self.joint(machine_id) if machine_id is not None else np.array([])
            if len(own):
                p_values[chosen] = conformal_p_value(own, scores[chosen])
        return p_values


def clips_needed(rate: float) -> int:
    """Return how many calibration clips a promise of ``rate`` needs: the least n ≥ 1/rate − 1.

    With fewer, even a score above all n is no rarer than 1 in n + 1 for a normal clip.
    """
    _check_rate(rate)
    clips = max(math.ceil(1 / rate) - 2, 0)  # at or just below; the loop settles the rounding
    while 1 / (clips + 1) > rate:
        clips += 1
    return clips


def conformal_threshold(calibration_scores: np.ndarray, rate: float) -> float:
    """Return the split-conformal threshold.

    With n calibration clips and m = floor(rate·(n + 1)), it is the next number above the m-th
    highest score, so that a clip is an alarm if and only if fewer than m calibration clips score as
    high. P(alarm) ≤ m/(n + 1) ≤ rate for a normal clip exchangeable with the calibration clips,
    whatever the distribution, ties included; it is m/(n + 1) if there are no ties. The probability
    is over calibration clips and new clip. For one set of calibration clips and no ties, the rate
    in the long run is a draw from Beta(m, n + 1 − m) (Vovk, Machine Learning 92, 2013).

    The next number is one of the scores' own type, so that float32 scores compare as they should.
    A text reader that rounds (pandas without ``float_precision="round_trip"``) can lose that step.

    Args:
        calibration_scores: scores of n held-out normal clips; infinite: above any score.
        rate: the false-alarm rate to promise, above 0 and below 1.

    Returns:
        The threshold; NaN if n is smaller than :func:`clips_needed`, or m are infinite.

    Raises:
        InputError: the rate is out of range, or a score is not finite.
    """
    scores = checked_scores(calibration_scores, infinite=True)
    clips, allowed = len(scores), allowed_above(len(scores), rate)
    if allowed == 0:
        return math.nan
    highest = np.partition(scores, clips - allowed)[clips - allowed]
    if np.isinf(highest):
        return math.nan
    return float(np.nextafter(highest, scores.dtype.type(np.inf)))


def conformal_p_value(calibration_scores: np.ndarray, scores: np.ndarray | float) -> np.ndarray:
    """Return the conformal p-value of each clip: (1 + #{calibration ≥ score}) / (n + 1).

    ``p <= rate`` is the decision of :func:`conformal_threshold`, clip by clip. For a normal clip,
    P(p ≤ rate) ≤ rate; a p-value is not the probability that the clip is normal.

    Args:
        calibration_scores: scores of n held-out normal clips; infinite: above any score.
        scores: scores of the new clips, any shape.

    Returns:
        p-values in the shape of ``scores``, 1/(n + 1) to 1; NaN where a score is NaN.
    """
    calibration = np.sort(checked_scores(calibration_scores, infinite=True))
    scores = np.asarray(scores)
    as_high = len(calibration) - np.searchsorted(calibration, scores, side="left")
    return np.where(np.isnan(scores), np.nan, (1 + as_high) / (len(calibration) + 1))


def in_words(rate: float) -> str:
    """Return a rate as "1 in 50", or as "3 in 100" where it is not one in a whole number."""
    clips = round(1 / rate)
    return f"1 in {clips}" if math.isclose(clips * rate, 1) else f"{100 * rate:g} in 100"


def checked_scores(scores: np.ndarray | Sequence[float], *, infinite: bool = False) -> np.ndarray:
    """Return calibration scores as a one-dimensional array of floating-point numbers.

    Args:
        scores: one a clip.
        infinite: whether some may be infinite, above any score.

    Raises:
        InputError: they have another shape, or one is not finite.
    """
    checked = np.asarray(scores)
    if not np.issubdtype(checked.dtype, np.floating):
        checked = checked.astype(float)
    accepted = np.isfinite(checked) | (infinite & (checked == np.inf))
    if checked.ndim != 1 or not accepted.all():
        raise InputError("scores to calibrate with must be one finite number a clip.")
    return checked


def allowed_above(clips: int, rate: float) -> int:
    """Return the greatest m with m/(clips + 1) <= rate, compared as p-values are.

    The threshold of so many clips is just above the m-th highest; 0: they cannot promise the rate.
    """
    _check_rate(rate)
    allowed = int(rate * (clips + 1))
    while allowed / (clips + 1) > rate:
        allowed -= 1
    while (allowed + 1) / (clips + 1) <= rate:
        allowed += 1
    return allowed


def _check_rate(rate: float) -> None:
    if not 0 < rate < 1:
        raise InputError(f"the false-alarm rate is {rate!r}; accepted: above 0 and below 1.")
