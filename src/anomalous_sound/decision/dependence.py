"""Do neighbouring looks hang together, where they were taken to be independent?

The promise of :mod:`.promise` under independence, and that of :mod:`.drift`, stand on it, so a
watch looks at it: the correlation of the scores of each look and the next. Of n pairs of
independent looks it is about normal with the standard deviation 1/√n (Bartlett, J. R. Stat. Soc.
Suppl. 8, 1946). It is told once it lies 4 of these above 0 and is 0.1 at least. This is a check and
no proof: what hangs together in another way is not seen, and no decision is changed by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_DEVIATIONS = 4.0
_LEAST = 0.1
_FEWEST = 50  # pairs


@dataclass(frozen=True)
class Dependence:
    """That neighbouring looks hang together.

    Attributes:
        correlation: of their scores.
        looks: that it was computed from.
    """

    correlation: float
    looks: int


class DependenceCheck:
    """Watches the scores of one machine's looks."""

    def __init__(self) -> None:
        """Begin with none."""
        self._before: float | None = None
        self._pairs = 0
        self._means = [0.0, 0.0]
        self._squares = [0.0, 0.0]
        self._products = 0.0
        self._is_told = False

    @property
    def correlation(self) -> float:
        """Of each look and the next; 0 where it cannot be computed."""
        spread = math.sqrt(self._squares[0] * self._squares[1])
        return self._products / spread if spread > 0 else 0.0

    def gap(self) -> None:
        """Take note that the next look does not follow the last one."""
        self._before = None

    def add(self, score: float) -> Dependence | None:
        """Take the score of a look; return what is to be told, once."""
        before, self._before = self._before, score
        if before is None:
            return None
        self._pairs += 1
        # Welford's sums, of both members of the pairs
        off = [value - mean for value, mean in zip((before, score), self._means, strict=True)]
        self._means = [mean + one / self._pairs for mean, one in zip(self._means, off, strict=True)]
        after = (before - self._means[0], score - self._means[1])
        self._squares = [
            total + one * other for total, one, other in zip(self._squares, off, after, strict=True)
        ]
        self._products += off[0] * after[1]
        found = self.correlation
        if (
            self._is_told
            or self._pairs < _FEWEST
            or found < max(_LEAST, _DEVIATIONS / math.sqrt(self._pairs))
        ):
            return None
        self._is_told = True
        return Dependence(found, self._pairs + 1)
