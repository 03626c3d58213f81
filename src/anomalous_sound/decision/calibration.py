"""Thresholds that promise a false-alarm rate, from the scores of held-out normal clips alone.

"Alarm me on at most 1 clip in 50 when all is well" is a rate of 1/50. A clip raises an alarm if its
score is at or above the threshold. The calibration clips must be normal, must not have been used in
training (nor to choose an epoch or a setting), and must be exchangeable with the clips to come: the
same machine, place, microphone and working states. No method here can mend clips that are not.

Pure numpy, pandas and scipy.

Sources:
    Vovk, Gammerman & Shafer, Algorithmic Learning in a Random World, 2005 (conformal p-values).
    Lei, G'Sell, Rinaldo, Tibshirani & Wasserman, J. Am. Stat. Assoc. 113, 2018 (split conformal).
    Bates, Candès, Lei, Romano & Sesia, Annals of Statistics 51, 2023 (conformal outlier detection).
    Vovk, Annals of Mathematics and Artificial Intelligence 74, 2015 (cross-conformal).
    Barber, Candès, Ramdas & Tibshirani, Annals of Statistics 49, 2021 (jackknife+ and CV+).
    Vovk & Wang, Biometrika 107, 2020 (twice the mean of p-values is a p-value).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy  # its parts are imported when they are used

from anomalous_sound.errors import InputError

HOLDS = {
    "conformal": "always, if the clips are exchangeable",
    "student_t": "if scores are normally distributed",
    "normal": "if scores are normally distributed and there are many clips",
    "gamma": "if scores are gamma distributed and there are many clips",
    "percentile": "if there are many clips",
}
STRATEGIES = tuple(HOLDS)
CALIBRATION_COLUMNS = [
    "strategy",
    "rate",
    "holds",
    "threshold",
    "calibration_clips",
    "clips_needed",
    "test_clips",
    "alarms",
    "delivered",
    "delivered_low",
    "delivered_high",
    "note",
]

# below it, a spread is rounding error to the logarithms of the gamma fit
_LEAST_RELATIVE_SPREAD = 1e-6


@dataclass(frozen=True)
class Threshold:
    """A threshold, what it promises, or why it cannot be given.

    Attributes:
        strategy: one of STRATEGIES.
        rate: the false-alarm rate asked for, above 0 and below 1.
        value: the threshold, in the unit of the scores; NaN if it cannot be given. No score is at
            or above NaN, so look at ``given`` before a decision: silence is no good news.
        clips: calibration clips it was made from.
        clips_needed: calibration clips without which the strategy cannot give it.
        note: why it cannot be given, or what to mind; empty if nothing.
    """

    strategy: str
    rate: float
    value: float
    clips: int
    clips_needed: int
    note: str = ""

    @property
    def given(self) -> bool:
        """Whether there is a threshold."""
        return math.isfinite(self.value)


def clips_needed(rate: float) -> int:
    """Return how many calibration clips a promise of ``rate`` needs: the least n ≥ 1/rate − 1.

    With fewer, even a score above all n is no rarer than 1 in n + 1 when all is well.
    """
    _check_rate(rate)
    clips = max(math.ceil(1 / rate) - 2, 0)  # at or just below; the loop settles the rounding
    while 1 / (clips + 1) > rate:
        clips += 1
    return clips


def conformal_threshold(calibration_scores: np.ndarray, rate: float) -> Threshold:
    """Return the split-conformal threshold.

    With n calibration clips and m = floor(rate·(n + 1)), it is the next number above the m-th
    highest score, so that a clip is an alarm if and only if fewer than m calibration clips score as
    high. P(alarm) ≤ m/(n + 1) ≤ rate for a normal clip exchangeable with the calibration clips,
    whatever the distribution, ties included; it is m/(n + 1) if there are no ties. The probability
    is over calibration clips and new clip; :func:`conformal_rate_interval` says how far the rate of
    one set of calibration clips lies from it.

    The step is one of the scores' own type, so that float32 scores compare as they should. Where it
    is written to a text file and read back, a reader that rounds (pandas without
    ``float_precision="round_trip"``) can lose the step.

    Args:
        calibration_scores: scores of n held-out normal clips.
        rate: the false-alarm rate to promise.
    """
    scores = _check_scores(calibration_scores)
    clips, needed = len(scores), clips_needed(rate)
    allowed = _allowed(clips, rate)
    if allowed == 0:
        return Threshold("conformal", rate, np.nan, clips, needed, _too_few(clips, rate))
    highest = np.partition(scores, clips - allowed)[clips - allowed]
    value = float(np.nextafter(highest, scores.dtype.type(np.inf)))
    return Threshold("conformal", rate, value, clips, needed)


def conformal_p_value(calibration_scores: np.ndarray, scores: np.ndarray | float) -> np.ndarray:
    """Return the conformal p-value of each clip: (1 + #{calibration ≥ score}) / (n + 1).

    ``p <= rate`` is the decision of :func:`conformal_threshold`, clip by clip. For a normal clip,
    P(p ≤ rate) ≤ rate; a p-value is not the probability that the clip is normal.

    Args:
        calibration_scores: scores of n held-out normal clips.
        scores: scores of the new clips, any shape.

    Returns:
        p-values in the shape of ``scores``, 1/(n + 1) to 1; NaN where a score is NaN.
    """
    calibration = _check_scores(calibration_scores)
    scores = np.asarray(scores)
    p_values = (1 + _as_high(calibration, scores)) / (len(calibration) + 1)
    return np.where(np.isnan(scores), np.nan, p_values)


def conformal_rate_interval(clips: int, rate: float, confidence: float) -> tuple[float, float]:
    """Return where the false-alarm rate of one set of calibration clips lies.

    For scores without ties and independent clips the rate that a conformal threshold delivers in
    the long run is a Beta(m, n + 1 − m) draw, m = floor(rate·(n + 1)) (Vovk, Machine Learning 92,
    2013): on average m/(n + 1), for one set more or less.

    Returns:
        The central interval of that distribution; NaN if no threshold can be given.
    """
    allowed = _allowed(clips, rate)
    if allowed == 0:
        return np.nan, np.nan
    tail = (1 - confidence) / 2
    low, high = scipy.stats.beta.ppf([tail, 1 - tail], allowed, clips + 1 - allowed)
    return float(low), float(high)


def gamma_threshold(
    calibration_scores: np.ndarray, rate: float, *, location: float = 0.0
) -> Threshold:
    """Return the quantile 1 − rate of a gamma distribution fitted to the scores.

    The DCASE challenges' baselines since 2021 take a gamma quantile too (0.9), of training scores
    and with a fitted location. Here the location is given, not fitted: the likelihood has no
    maximum where location and shape are both free (it grows without end as the location nears the
    lowest score, for shapes below 1). Shape and scale are of maximum likelihood.

    Args:
        calibration_scores: scores of held-out normal clips, all above ``location``.
        rate: the false-alarm rate asked for.
        location: the least score there could be. 0 suits errors; standardised scores have no
            natural one, and if some lie at or below it the threshold cannot be given.
    """
    scores = _check_scores(calibration_scores).astype(float) - location
    refused = _why_no_spread(scores)
    if not refused and scores.min() <= 0:
        refused = (
            f"a gamma distribution needs scores above {location:g}; the lowest is "
            f"{scores.min() + location:.4g}"
        )
    if not refused and np.ptp(scores) < _LEAST_RELATIVE_SPREAD * scores.mean():
        refused = "the scores of the calibration clips hardly differ"
    if refused:
        return _not_given("gamma", rate, len(scores), refused)
    shape, _, scale = scipy.stats.gamma.fit(scores, floc=0)
    value = location + float(scipy.stats.gamma.isf(rate, shape, scale=scale))
    return Threshold("gamma", _check_rate(rate), value, len(scores), 2)


def percentile_threshold(calibration_scores: np.ndarray, rate: float) -> Threshold:
    """Return the percentile 100·(1 − rate) of the scores, numpy's (linear between two scores).

    It is never above the highest score, so it delivers no less than 1 in n + 1 whatever was asked
    for; of uniformly distributed scores (1 + rate·(n − 1)) / (n + 1), always above the rate.
    """
    scores, needed = _check_scores(calibration_scores), clips_needed(rate)
    if len(scores) == 0:
        return _not_given("percentile", rate, 0, "there is no calibration clip", needed=1)
    note = "" if len(scores) >= needed else f"more alarms than asked for: {_floor(len(scores))}"
    value = float(np.percentile(scores.astype(float), 100 * (1 - rate)))
    return Threshold("percentile", rate, value, len(scores), 1, note)


def normal_threshold(calibration_scores: np.ndarray, rate: float) -> Threshold:
    """Return mean + k·standard deviation, k the standard normal quantile of 1 − rate.

    The deviation is the sample's (n − 1). It takes mean and deviation for known; of few clips they
    are not, and there are more alarms than asked for even if scores are normally distributed.
    """
    return _mean_plus("normal", calibration_scores, rate, lambda _: scipy.stats.norm.isf(rate))


def student_t_threshold(calibration_scores: np.ndarray, rate: float) -> Threshold:
    """Return the upper prediction limit mean + t(1 − rate; n − 1)·deviation·√(1 + 1/n).

    Exact for one new clip if scores are independent and normally distributed, from two clips on
    (Hahn & Meeker, Statistical Intervals, 1991, chapter 4); a promise about nothing else.
    """
    return _mean_plus(
        "student_t",
        calibration_scores,
        rate,
        lambda n: scipy.stats.t.isf(rate, n - 1) * math.sqrt(1 + 1 / n),
    )


CALIBRATE: dict[str, Callable[[np.ndarray, float], Threshold]] = {
    "conformal": conformal_threshold,
    "student_t": student_t_threshold,
    "normal": normal_threshold,
    "gamma": gamma_threshold,
    "percentile": percentile_threshold,
}


def binomial_interval(alarms: int, clips: int, confidence: float) -> tuple[float, float]:
    """Return the exact interval of a rate of which ``alarms`` in ``clips`` were seen.

    Clopper & Pearson, Biometrika 26, 1934: covers the true rate with at least ``confidence`` if
    the clips are independent; NaN if there is no clip.
    """
    if clips == 0:
        return np.nan, np.nan
    interval = scipy.stats.binomtest(alarms, clips).proportion_ci(confidence, method="exact")
    return float(interval.low), float(interval.high)


def calibration_table(
    calibration_scores: np.ndarray,
    rate: float,
    *,
    normal_test_scores: np.ndarray | None = None,
    confidence: float = 0.95,
    strategies: Sequence[str] = STRATEGIES,
) -> pd.DataFrame:
    """Put the thresholds of one group of clips, and what they deliver, in one table.

    Args:
        calibration_scores: scores of held-out normal clips.
        rate: the false-alarm rate asked for.
        normal_test_scores: scores of other clips known to be normal, to count alarms on.
        confidence: of the exact interval of the delivered rate.
        strategies: of STRATEGIES, in the order of the rows.

    Returns:
        One row a strategy, CALIBRATION_COLUMNS; ``holds`` says when the rate is kept, ``delivered``
        is the part of the test clips at or above the threshold. NaN where something cannot be
        computed, and ``note`` says why.
    """
    test = _check_scores([] if normal_test_scores is None else normal_test_scores)
    rows = []
    for strategy in strategies:
        threshold = CALIBRATE[strategy](calibration_scores, rate)
        counted = threshold.given and len(test) > 0
        alarms = int((test >= np.float64(threshold.value)).sum())
        low, high = binomial_interval(alarms, len(test), confidence)
        rows.append(
            {
                "strategy": strategy,
                "rate": rate,
                "holds": HOLDS[strategy],
                "threshold": threshold.value,
                "calibration_clips": threshold.clips,
                "clips_needed": threshold.clips_needed,
                "test_clips": len(test),
                "alarms": alarms if counted else np.nan,
                "delivered": alarms / len(test) if counted else np.nan,
                "delivered_low": low if counted else np.nan,
                "delivered_high": high if counted else np.nan,
                "note": threshold.note,
            }
        )
    return pd.DataFrame(rows, columns=CALIBRATION_COLUMNS)


def calibrate_by_machine_id(
    calibration_scores: np.ndarray,
    machine_ids: np.ndarray,
    rate: float,
    *,
    strategy: str = "conformal",
) -> dict[str, Threshold]:
    """Calibrate every machine ID by its own clips, so that the promise holds for each of them.

    Args:
        calibration_scores: scores of held-out normal clips.
        machine_ids: their machine IDs.
        rate: the false-alarm rate to promise for each machine ID.
        strategy: one of STRATEGIES.

    Returns:
        The threshold of each machine ID, some of which may not be given.
    """
    scores, ids = _scores_and_ids(calibration_scores, machine_ids)
    return {name: CALIBRATE[strategy](scores[ids == name], rate) for name in sorted(set(ids))}


def calibrate_pooled(
    standardised_scores: np.ndarray,
    machine_ids: np.ndarray,
    rate: float,
    *,
    strategy: str = "conformal",
) -> dict[str, Threshold]:
    """Calibrate all machine IDs together, where each has too few clips for its own threshold.

    Two things are lost against :func:`calibrate_by_machine_id`. Standardised scores of different
    machines are only about alike, so that clips are exchangeable only approximately; the less so if
    mean and deviation come from the calibration clips themselves (of n clips none then lies more
    than (n − 1)/√n deviations off) instead of from other normal clips. And even at best the rate
    holds over all machine IDs together, in the mix of the calibration clips: one may get more.

    Args:
        standardised_scores: scores of held-out normal clips, standardised per machine ID.
        machine_ids: their machine IDs.
        rate: the false-alarm rate to promise over all machine IDs.
        strategy: one of STRATEGIES.

    Returns:
        One and the same threshold, of standardised scores, for each machine ID.
    """
    scores, ids = _scores_and_ids(standardised_scores, machine_ids)
    threshold, names = CALIBRATE[strategy](scores, rate), sorted(set(ids))
    if threshold.given and len(names) > 1:
        pooled = (
            f"pooled over {len(names)} machine IDs: holds over all of them together, and only about"
        )
        threshold = replace(threshold, note="; ".join(filter(None, [pooled, threshold.note])))
    return dict.fromkeys(names, threshold)


def cross_conformal_p_values(
    calibration: Sequence[np.ndarray], test: np.ndarray, *, guaranteed: bool = False
) -> np.ndarray:
    """Return p-values from K folds, where every normal clip serves both training and calibration.

    The clips are dealt into folds at random; the networks of fold k are trained without its clips,
    then score these and each new clip. Scores are compared within a fold only, so the folds need no
    common scale.

    With n clips in all and c the calibration scores at or above the new clip's, fold by fold,
    p = (1 + c) / (n + 1). It is no exact p-value: P(p ≤ rate) is about ``rate`` for normal clips in
    practice, but proven only to be at most :func:`cross_conformal_bound`, twice the rate and more.
    ``guaranteed`` gives 2·(K + c) / (n + K) instead, twice the mean of the folds' own p-values
    weighted by their size: P(p ≤ rate) ≤ rate for sure, and in practice half of it or less; no
    p-value is then below 2K/(n + K).

    There is no single threshold: a clip is an alarm if ``p <= rate``.

    Args:
        calibration: K arrays: scores of the clips of fold k by the networks trained without them.
        test: K × clips: scores of the new clips by the networks of each fold.
        guaranteed: whether to give p-values that hold in the worst case.

    Returns:
        One p-value a new clip; NaN where a score is NaN.
    """
    folds = [_check_scores(scores) for scores in calibration]
    _check_fold_sizes([len(scores) for scores in folds])
    test = np.asarray(test)
    if test.ndim != 2 or len(test) != len(folds):
        raise InputError(
            f"the new clips' scores have the shape {test.shape}; give one row for each of the "
            f"{len(folds)} folds."
        )
    clips = sum(map(len, folds))
    as_high = sum(_as_high(scores, new) for scores, new in zip(folds, test, strict=True))
    if guaranteed:
        p_values = np.minimum(2 * (len(folds) + as_high) / (clips + len(folds)), 1)
    else:
        p_values = (1 + as_high) / (clips + 1)
    return np.where(np.isnan(test).any(axis=0), np.nan, p_values)


def cross_conformal_bound(rate: float, fold_sizes: Sequence[int]) -> float:
    """Return what the false-alarm rate of cross-conformal p-values is proven not to exceed.

    With n clips, K folds and m = floor(rate·(n + 1)), the smaller of

    - 2·(m + K − 1) / (n + K), from p = (1 + c)/(n + 1) and twice the weighted mean of the folds'
      p-values being one (Vovk & Wang, 2020; as in Barber et al., 2021, from Vovk et al., 2018);
    - (2m + n/K − 2) / (n + n/K), for folds of one size and training that treats clips alike: the
      count of Barber et al. (2021, theorem 4), who round it up to 2·rate + (1 − K/n)/(K + 1).

    Args:
        rate: the rate that p-values are compared with.
        fold_sizes: clips of each fold.
    """
    sizes = _check_fold_sizes(fold_sizes)
    clips, folds = sum(sizes), len(sizes)
    allowed = _allowed(clips, rate)
    if allowed == 0:
        return 0.0
    bounds = [1.0, 2 * (allowed + folds - 1) / (clips + folds)]
    if len(set(sizes)) == 1:
        bounds.append((2 * allowed + sizes[0] - 2) / (clips + sizes[0]))
    return min(bounds)


def in_words(rate: float) -> str:
    """Return a rate as "1 in 50", or as "3 in 100" where it is no whole part."""
    clips = round(1 / rate)
    return f"1 in {clips}" if math.isclose(clips * rate, 1) else f"{100 * rate:g} in 100"


def _allowed(clips: int, rate: float) -> int:
    """Return the greatest m with m/(clips + 1) <= rate, compared as p-values are."""
    allowed = int(_check_rate(rate) * (clips + 1))
    while allowed / (clips + 1) > rate:
        allowed -= 1
    while (allowed + 1) / (clips + 1) <= rate:
        allowed += 1
    return allowed


def _as_high(calibration: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Count the calibration scores at or above each score."""
    return len(calibration) - np.searchsorted(np.sort(calibration), scores, side="left")


def _mean_plus(
    strategy: str, calibration_scores: np.ndarray, rate: float, factor: Callable[[int], float]
) -> Threshold:
    scores = _check_scores(calibration_scores).astype(float)
    if refused := _why_no_spread(scores):
        return _not_given(strategy, rate, len(scores), refused)
    deviation = float(scores.std(ddof=1))
    value = float(scores.mean()) + float(factor(len(scores))) * deviation
    return Threshold(strategy, _check_rate(rate), value, len(scores), 2)


def _not_given(strategy: str, rate: float, clips: int, why: str, needed: int = 2) -> Threshold:
    return Threshold(strategy, _check_rate(rate), np.nan, clips, needed, why)


def _why_no_spread(scores: np.ndarray) -> str:
    if len(scores) < 2:
        return "a spread needs two calibration clips or more"
    return "" if np.ptp(scores) > 0 else "the scores of the calibration clips do not differ"


def _too_few(clips: int, rate: float) -> str:
    return f"{_floor(clips)}; {clips_needed(rate)} are needed for {in_words(rate)}"


def _floor(clips: int) -> str:
    if clips == 0:
        return "there is no calibration clip"
    return f"{clips} normal clip{'s' * (clips > 1)} can promise no rate below 1 in {clips + 1}"


def _check_rate(rate: float) -> float:
    if not 0 < rate < 1:
        raise InputError(f"the false-alarm rate is {rate!r}; accepted: above 0 and below 1.")
    return rate


def _check_scores(scores: np.ndarray | Sequence[float]) -> np.ndarray:
    scores = np.asarray(scores)
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(float)
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise InputError("scores to calibrate with must be one finite number a clip.")
    return scores


def _scores_and_ids(scores: np.ndarray, machine_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, ids = _check_scores(scores), np.asarray(machine_ids, dtype=object)
    if scores.shape != ids.shape:
        raise InputError(f"there are {len(scores)} scores and {len(ids)} machine IDs.")
    return scores, ids


def _check_fold_sizes(fold_sizes: Sequence[int]) -> Sequence[int]:
    if len(fold_sizes) < 2 or min(fold_sizes) < 1:
        raise InputError(
            f"the folds hold {list(fold_sizes)} clips; give two folds or more, none of them empty."
        )
    return fold_sizes
