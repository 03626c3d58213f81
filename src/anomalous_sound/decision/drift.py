"""Has normal sound changed? A conformal test martingale over scores that are called normal.

Each score that is below the threshold is ranked among those before it: the calibration clips below
the threshold and all earlier ones, which it then joins. Its p-value is the part that scores higher,
itself included, with ties broken by chance. If all these scores are exchangeable, such p-values are
independent and uniform, however few clips there are (Vovk, Gammerman & Shafer, Algorithmic Learning
in a Random World, 2005): that is why each new one joins. Compared with the same calibration clips
for ever, they would all share these clips' chance.

A bet on each p-value multiplies the capital by 1 + ε·(p − ½), ε of −1 (scores rise), 0 or 1 (scores
fall), with a little of it moved between the three each time: the simple jumper of Vovk, Petej,
Nouretdinov, Ahlberg, Carlsson & Gammerman, Retrain or not retrain: conformal test martingales for
change-point detection, COPA 2021 (PMLR 152). On average nothing is won while p-values are uniform.

A capital alone would be lost over the weeks before a drift. So there is a fresh bet of 1 at each
look, and what is watched is the sum of all: R ← (R + 1)·factor (Shiryaev & Roberts). R − looks is a
martingale, so that the mean number of looks until R ≥ c is at least c if nothing drifts: with c the
looks of N days, at most one false drift in N days, on average. (For one bet alone, Ville's
inequality says P(capital ever ≥ c) ≤ 1/c.)

What is not proven: that segments are exchangeable. Neighbours are alike, and slow states of a
machine are told as drift too; rightly so, if no calibration clip has them.

Calibration clips below a conformal threshold, without the one that the threshold is next to, are
exchangeable with new scores below it, given the threshold. Other thresholds have no such proof.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass

import numpy as np

_BETS = np.array([-1.0, 0.0, 1.0])  # ε
_JUMPS = 0.01  # of the capital that is moved at each look; as in the source
_REMEMBERED = 1_000_000  # scores, 8 MB; then each new one takes the place of any other


@dataclass(frozen=True)
class Drift:
    """A drift that was found.

    Attributes:
        higher: whether scores have risen; otherwise they have fallen.
        looks: since the last drift, or since the beginning.
        compared_with: how many scores the last one was ranked among.
    """

    higher: bool
    looks: int
    compared_with: int


class Jumper:
    """The simple jumper: what a bet of 1 on uniform p-values becomes, look by look."""

    def __init__(self) -> None:
        """Begin with a capital of 1, divided evenly."""
        self._shares = np.full(len(_BETS), 1 / len(_BETS))

    def factor(self, p_value: float) -> float:
        """Return by how much a p-value multiplies the capital; 1 on average if it is uniform."""
        shares = (1 - _JUMPS) * self._shares + _JUMPS / len(_BETS)
        won = shares * (1 + _BETS * (p_value - 0.5))
        total = float(won.sum())
        self._shares = won / total
        return total

    @property
    def favours_low(self) -> bool:
        """Whether more lies on low p-values than on high ones."""
        return bool(self._shares[0] > self._shares[-1])


class DriftMonitor:
    """Watches the normal scores of one machine."""

    def __init__(
        self,
        calibration_scores: np.ndarray,
        threshold: float,
        *,
        looks: float,
        rng: np.random.Generator,
    ) -> None:
        """Begin with the calibration clips.

        Args:
            calibration_scores: of this machine.
            threshold: conformal; scores below it are called normal.
            looks: without a drift, the mean number of looks until one is told is at least this.
            rng: breaks ties.
        """
        below = np.sort(calibration_scores[calibration_scores < threshold])
        if len(below) and np.nextafter(below[-1], np.inf) == threshold:
            below = below[:-1]  # it has set the threshold, and so is not like the others
        self._scores = array("d", below.tolist())
        self._limit, self._rng = looks, rng
        self._start()

    def _start(self) -> None:
        self._jumper, self._looks, self.statistic = Jumper(), 0, 0.0

    def add(self, score: float) -> Drift | None:
        """Take the score of a look that is called normal; return the drift that it completes."""
        factor = self._jumper.factor(self._p_value(score))
        self.statistic = (self.statistic + 1) * factor
        self._looks += 1
        if self.statistic < self._limit:
            return None
        found = Drift(self._jumper.favours_low, self._looks, len(self._scores))
        self._scores = array("d")  # what comes is compared with what comes, and told if it changes
        self._start()
        return found

    def _p_value(self, score: float) -> float:
        scores = self._scores
        if len(scores) >= _REMEMBERED:
            scores.pop(int(self._rng.integers(len(scores))))
        low, high = bisect_left(scores, score), bisect_right(scores, score)
        higher, alike = len(scores) - high, high - low + 1
        p_value = (higher + float(self._rng.random()) * alike) / (len(scores) + 1)
        insort(scores, score)
        return p_value
