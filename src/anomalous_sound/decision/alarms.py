"""When an alarm begins and when it ends, one machine at a time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from anomalous_sound.decision.promise import AlarmRule, in_time

_ROUNDING_S = 1e-6


class Change(StrEnum):
    """What a segment has changed."""

    NONE = "none"
    BEGINS = "begins"
    ENDS = "ends"


@dataclass(frozen=True)
class Step:
    """What a segment has done to the alarm of its machine.

    Attributes:
        change: whether an alarm begins or ends with it.
        suppressed: why a segment above the threshold makes no alarm; empty: it makes one, or is
            not above the threshold.
        votes: among the last looks, this one included; while an alarm lasts, segments above the
            threshold since it began.
        looks: how many looks that is out of; while an alarm lasts, segments since it began.
        normal_in_a_row: segments below the threshold, this one included.
    """

    change: Change
    suppressed: str
    votes: int
    looks: int
    normal_in_a_row: int


class Looks:
    """Picks the segments that are far enough apart to vote."""

    def __init__(self, spacing_s: float) -> None:
        """Begin with none.

        Args:
            spacing_s: from the beginning of one look to that of the next, at least, s.
        """
        self._spacing_s, self._last_s = spacing_s, -math.inf

    def take(self, at_s: float) -> bool:
        """Say whether a segment that begins at ``at_s`` is a look; times never fall."""
        if at_s - self._last_s < self._spacing_s - _ROUNDING_S:
            return False
        self._last_s = at_s
        return True


class AlarmState:
    """The alarm of one machine.

    A look votes, or it does not; what cannot be judged is a look that does not vote, and breaks a
    row of normal segments. So the bounds of :mod:`.promise` hold whatever cannot be judged.
    """

    def __init__(self, rule: AlarmRule, recover_after: int) -> None:
        """Begin without an alarm.

        Args:
            rule: when an alarm begins.
            recover_after: segments in a row below the threshold that end it.
        """
        self._rule, self._recover_after = rule, recover_after
        self._looks: deque[bool] = deque(maxlen=rule.window)
        self._above = self._segments = self._normal = 0
        self.is_on = False

    def step(self, above: bool, *, is_look: bool, doubt: str = "") -> Step:
        """Take a segment.

        Args:
            above: whether its score is at or above the threshold.
            is_look: whether it may vote; see :class:`Looks`.
            doubt: why it says nothing of the machine; empty: it does.
        """
        self._normal = 0 if above or doubt else self._normal + 1
        if self.is_on:
            return self._while_on(above)
        if not is_look:
            between = f"between two looks, which are {in_time(self._rule.spacing_s)} apart"
            return self._step(between if above else "")
        self._looks.append(above and not doubt)
        if not above:
            return self._step("")
        if doubt:
            return self._step(doubt)
        if sum(self._looks) < self._rule.needed:
            return self._step(
                f"{sum(self._looks)} of the last {len(self._looks)} looks; an alarm needs "
                f"{self._rule.needed} of {self._rule.window}"
            )
        step = self._step("", Change.BEGINS)
        self.is_on = True
        self._above = self._segments = 0
        self._looks.clear()
        return step

    def miss(self) -> None:
        """Take a segment that could not be judged."""
        self._normal = 0
        if not self.is_on:
            self._looks.append(False)

    def _while_on(self, above: bool) -> Step:
        self._segments += 1
        self._above += above
        if self._normal < self._recover_after:
            return self._step("the alarm is on already" if above else "")
        step = self._step("", Change.ENDS)
        self.is_on = False
        return step

    def _step(self, suppressed: str, change: Change = Change.NONE) -> Step:
        votes, looks = sum(self._looks), len(self._looks)
        if self.is_on:
            votes, looks = self._above, self._segments
        return Step(change, suppressed, votes, looks, self._normal)
