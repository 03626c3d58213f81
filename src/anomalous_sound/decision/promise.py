"""At most one false alarm in N days: which rule keeps that, and from how many normal clips.

A **look** is a segment that may vote; looks are at least ``spacing`` apart. It votes if its score
is at or above the conformal threshold of rate r (see :func:`.calibration.conformal_threshold`). An
alarm begins at a look that votes, if with it at least k of the last n looks have voted. Votes are
used up by an alarm, and do not count while it lasts.

How often does an alarm begin when all is well, on average per look? Two bounds:

- **Under any dependence** of looks: r/k. Each alarm uses up k votes, so there are at most 1/k as
  many alarms as votes, and the expected number of votes is at most r a look, whatever looks have to
  do with each other (linearity of the expectation). n plays no part.
- **If the looks of a window are independent of each other**, more exactly: if the calibration
  clips and any n looks in a row are exchangeable. With C calibration clips and m = r·(C + 1), the
  number S of votes among n looks is then at most beta-binomial(n; m, C + 1 − m) (the law of ranks;
  ties make it smaller). An alarm at a look needs that look's vote and k − 1 others of its window,
  so its probability is at most E[S; S ≥ k] / n. With m = 1 and k = n it is 1 / binomial(C + n, n).
  The bound is over calibration clips and looks together: the uncertainty of a threshold from few
  clips is in it. Windows may have to do with each other: expectations add up.

Both bound an expected number over the calibration clips that might have been recorded. One set of
clips can do worse, another better.

Sources:
    Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005 (ranks of exchangeable
    scores). Johnson, Kemp & Kotz, Univariate Discrete Distributions, 2005, 6.2.2 (their law).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from anomalous_sound.decision.calibration import allowed_above, clips_needed
from anomalous_sound.errors import InputError

_FOUND = 0.9  # how often the fault is to be found by which rules are compared
_THRESHOLDS = 60  # that are tried, at most


@dataclass(frozen=True)
class Wish:
    """What is asked for.

    Attributes:
        every_s: at most one false alarm in so long, s of sound.
        within_s: how long a lasting fault may sound before the alarm, s.
        spacing_s: from one look to the next, at least, s.
        independent: whether looks so far apart are taken to be independent; otherwise any
            dependence is allowed for.
        rate: of the votes among normal looks; None: as suits best.
    """

    every_s: float
    within_s: float
    spacing_s: float
    independent: bool
    rate: float | None = None

    @property
    def looks(self) -> float:
        """How many looks there are for one false alarm."""
        return self.every_s / self.spacing_s

    @property
    def window(self) -> int:
        """Looks of a window, n."""
        return max(1, int(self.within_s / self.spacing_s + 1e-9))


@dataclass(frozen=True)
class AlarmRule:
    """A rule that keeps a promise.

    Attributes:
        needed: votes that make an alarm, k.
        window: among so many looks in a row, n.
        rate: of the votes among normal looks, r: the threshold is conformal for it.
        spacing_s: from one look to the next, at least, s.
        per_look: the bound on how many false alarms begin per look, the worst of all machine IDs.
        share_found: of the looks of a window that must vote, on average, for an alarm in 9 of 10
            windows, if they are independent.
    """

    needed: int
    window: int
    rate: float
    spacing_s: float
    per_look: float
    share_found: float


def false_alarms_per_look(
    clips: int, allowed: int, needed: np.ndarray | int, window: int, *, independent: bool
) -> np.ndarray:
    """Return the bound on how many false alarms begin per look.

    Args:
        clips: that calibrate, C.
        allowed: m, from 1 to C: the threshold is just above the m-th highest of their scores.
        needed: votes, k, from 1 to ``window``; any shape.
        window: looks, n.
        independent: which bound; see the module.
    """
    needed = np.asarray(needed)
    under_any = allowed / (clips + 1) / needed
    if not independent:
        return under_any
    from scipy.stats import betabinom  # takes half a second

    votes = np.arange(window + 1)
    expected = votes * betabinom.pmf(votes, window, allowed, clips + 1 - allowed) / window
    at_least = np.cumsum(expected[::-1])[::-1]
    bound: np.ndarray = np.minimum(under_any, at_least[needed])
    return bound


def longest_promise(clips: int, window: int, *, independent: bool, allowed: int = 1) -> float:
    """Return for how many looks one false alarm can be promised at best: with k = n.

    Args:
        clips: that calibrate.
        window: looks, n.
        independent: which bound; see the module.
        allowed: m; the rarest votes are those of m = 1.
    """
    found = false_alarms_per_look(clips, allowed, window, window, independent=independent)
    return 1 / float(found)


def clips_for(looks: float, window: int, *, independent: bool) -> int:
    """Return the least number of calibration clips that one false alarm in ``looks`` needs."""
    too_few, enough = 0, 1
    while not _carries(enough, looks, window, independent):
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if _carries(middle, looks, window, independent):
            enough = middle
        else:
            too_few = middle
    return enough


def find_rule(clips: Mapping[str, int], wish: Wish) -> AlarmRule:
    """Find the rule that keeps a promise for each machine ID, and hears the weakest faults.

    Of the thresholds that can keep it, each with the fewest votes that do, it is the one for which
    the weakest fault is found in 9 of 10 windows. "Weak" is a number for which no faulty clip is
    needed: the p-values u of a fault are taken to be below u with probability u^strength, 1 for
    none (Lehmann's alternatives, Annals of Mathematical Statistics 24, 1953).

    Args:
        clips: how many calibrate each machine ID.
        wish: what is asked for.

    Raises:
        InputError: so few clips cannot carry it; it says what they can, and how many would do.
    """
    fewest = min(clips.values())
    best, strength = None, 0.0
    for rate in _rates(fewest, wish):
        needed = _fewest_votes(clips, rate, wish)
        if needed is None:
            continue
        found = _rule(clips, rate, needed, wish)
        # a strength of 0.5 is a stronger fault than one of 0.8
        if (weakest := math.log(found.share_found) / math.log(rate)) > strength:
            best, strength = found, weakest
    if best is None:
        raise InputError(_refusal(clips, wish))
    return best


def in_time(seconds: float) -> str:
    """Write a length of time in its largest fitting unit, rounded down to three digits.

    >>> in_time(86400 * 30), in_time(5400), in_time(90)
    ('30 days', '1.5 h', '1.5 min')
    """
    units = ((2 * 86400.0, 86400.0, "days"), (3600.0, 3600.0, "h"), (60.0, 60.0, "min"))
    found = next((one for one in units if seconds >= one[0]), (0.0, 1.0, "s"))
    _, unit, name = found
    value = seconds / unit
    digits = max(0, 2 - math.floor(math.log10(max(value, 1.0))))
    rounded = math.floor(value * 10**digits + 1e-9) / 10**digits
    number = f"{rounded:,.{digits}f}"
    return f"{number.rstrip('0').rstrip('.') if digits else number} {name}"


def _carries(clips: int, looks: float, window: int, independent: bool) -> bool:
    return longest_promise(clips, window, independent=independent) >= looks * (1 - 1e-12)


def _rates(fewest: int, wish: Wish) -> Iterator[float]:
    """Yield the rates to try: the user's, or those that so many clips tell apart, up to a half."""
    if wish.rate is not None:
        if wish.rate >= 1 / (fewest + 1):
            yield wish.rate
        return
    most = max(1, (fewest + 1) // 2)
    for allowed in np.unique(np.geomspace(1, most, _THRESHOLDS).round().astype(int)).tolist():
        yield allowed / (fewest + 1)


def _bounds(clips: Mapping[str, int], rate: float, needed: np.ndarray, wish: Wish) -> np.ndarray:
    """Return the worst bound of all machine IDs for each number of votes."""
    bounds = [
        false_alarms_per_look(
            *(count, allowed_above(count, rate), needed, wish.window), independent=wish.independent
        )
        for count in set(clips.values())
    ]
    worst: np.ndarray = np.max(bounds, axis=0)
    return worst


def _fewest_votes(clips: Mapping[str, int], rate: float, wish: Wish) -> int | None:
    needed = np.arange(1, wish.window + 1)
    kept = _bounds(clips, rate, needed, wish) * wish.looks <= 1 + 1e-12
    return int(needed[kept][0]) if kept.any() else None


def _rule(clips: Mapping[str, int], rate: float, needed: int, wish: Wish) -> AlarmRule:
    from scipy.stats import beta

    per_look = float(_bounds(clips, rate, np.array([needed]), wish)[0])
    # P(binomial(n, share) >= k) is a beta distribution's, in share
    share = float(beta.ppf(_FOUND, needed, wish.window - needed + 1))
    return AlarmRule(needed, wish.window, rate, wish.spacing_s, per_look, share)


def _refusal(clips: Mapping[str, int], wish: Wish) -> str:
    name, fewest = min(clips.items(), key=lambda item: item[1])
    whose = f" of machine ID {name}" if name else ""
    if wish.rate is not None and wish.rate < 1 / (fewest + 1):
        return (
            f"the rate {wish.rate:g} needs {clips_needed(wish.rate)} normal clips, and there are "
            f"{fewest}{whose}; leave --false-alarm-rate out, or calibrate with more normal clips "
            "(anomalous-sound recalibrate)."
        )
    allowed = 1 if wish.rate is None else allowed_above(fewest, wish.rate)
    carried_s = wish.spacing_s * longest_promise(
        fewest, wish.window, independent=wish.independent, allowed=allowed
    )
    at_rate = "" if wish.rate is None else f" and votes at the rate {wish.rate:g}"
    assumed = (
        f"if segments {in_time(wish.spacing_s)} apart are independent"
        if wish.independent
        else "whatever neighbouring segments have to do with each other"
    )
    needed = clips_for(wish.looks, wish.window, independent=wish.independent)
    remedies = [
        "accept false alarms more often",
        f"calibrate with {needed:,} normal clips (anomalous-sound recalibrate)",
        "let an alarm take longer (--alarm-within)",
    ]
    if wish.rate is not None:
        remedies.append("leave --false-alarm-rate out")
    if not wish.independent:
        remedies.append(
            "if it is so, say from which distance on segments are independent of each other "
            "(--independent-after, such as 1min)"
        )
    return (
        f"one false alarm in {in_time(wish.every_s)} cannot be promised from {fewest} normal "
        f"clips{whose}: with {wish.window} looks within {in_time(wish.within_s)}{at_rate}, they "
        f"carry one in {in_time(carried_s)}, {assumed}; "
        f"{', '.join(remedies[:-1])}, or {remedies[-1]}."
    )
