"""Every threshold that needs normal clips only, in one registry.

A clip raises an alarm if its score is at or above the threshold. "At most 1 false alarm in 50
normal clips" is a rate of 1/50.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from anomalous_sound.configuration.decision import StrategyName, ThresholdSettings
from anomalous_sound.decision.calibration import (
    CalibrationScores,
    allowed_above,
    checked_scores,
    clips_needed,
    conformal_threshold,
    in_words,
)

# below it, a spread is rounding error to the logarithms of the gamma fit
_LEAST_RELATIVE_SPREAD = 1e-6
_NO_CLIPS = "there are no normal clips to calibrate with"


@dataclass(frozen=True)
class Threshold:
    """A threshold, or why it cannot be given.

    Attributes:
        strategy: name of the strategy.
        value: the threshold, in the unit of the scores; NaN if it cannot be given. No score is at
            or above NaN, so check ``given`` before deciding: no alarm would not mean all is well.
        clips: number of calibration clips it was computed from.
        clips_needed: calibration clips without which the strategy cannot give it.
        note: why it cannot be given, or what to bear in mind; empty if nothing.
    """

    strategy: StrategyName
    value: float
    clips: int
    clips_needed: int
    note: str = ""

    @property
    def given(self) -> bool:
        """Whether there is a threshold."""
        return math.isfinite(self.value)


def conformal(scores: np.ndarray, rate: float) -> Threshold:
    """Return the split-conformal threshold; see :func:`.calibration.conformal_threshold`."""
    value, clips, needed = conformal_threshold(scores, rate), len(scores), clips_needed(rate)
    note = f"{_lowest_rate(clips)}; {needed} are needed for {in_words(rate)}"
    if clips >= needed:
        needed = clips
        foreign = int(np.isinf(scores).sum())
        while allowed_above(needed, rate) <= foreign:
            needed += 1
        note = _too_many_foreign(foreign, clips, rate) + f"; {needed} are needed for as many"
    return Threshold("conformal", value, clips, needed, note if math.isnan(value) else "")


def student_t(scores: np.ndarray, rate: float) -> Threshold:
    """Return the upper prediction limit mean + t(1 − rate; n − 1)·deviation·√(1 + 1/n).

    Exact for one new clip if scores are independent and normally distributed, from two clips on
    (Hahn & Meeker, Statistical Intervals, 1991, chapter 4); it promises nothing otherwise.
    """
    scores = checked_scores(scores).astype(float)
    if refused := _why_no_spread(scores):
        return Threshold("student_t", math.nan, len(scores), 2, refused)
    import scipy

    factor = float(scipy.stats.t.isf(rate, len(scores) - 1) * math.sqrt(1 + 1 / len(scores)))
    value = float(scores.mean()) + factor * float(scores.std(ddof=1))
    return Threshold("student_t", value, len(scores), 2)


def gamma(scores: np.ndarray, rate: float) -> Threshold:
    """Return the quantile 1 − rate of a gamma distribution fitted to the scores.

    The DCASE challenges' baselines since 2021 take a gamma quantile too (0.9), of training scores
    and with a fitted location. Here the location is 0: the likelihood has no maximum where location
    and shape are both free (it grows without bound as the location nears the lowest score, for
    shapes below 1). Shape and scale are of maximum likelihood. Scores at or below 0 allow no fit.
    """
    scores = checked_scores(scores).astype(float)
    refused = _why_no_spread(scores)
    if not refused and scores.min() <= 0:
        refused = f"a gamma distribution needs scores above 0; the lowest is {scores.min():.4g}"
    if not refused and np.ptp(scores) < _LEAST_RELATIVE_SPREAD * scores.mean():
        refused = "the scores of the calibration clips hardly differ"
    if refused:
        return Threshold("gamma", math.nan, len(scores), 2, refused)
    import scipy

    shape, _, scale = scipy.stats.gamma.fit(scores, floc=0)
    value = float(scipy.stats.gamma.isf(rate, shape, scale=scale))
    return Threshold("gamma", value, len(scores), 2)


def validation_mean(scores: np.ndarray) -> Threshold:
    """Return the mean of the scores."""
    return _of_moments("validation_mean", scores, lambda mean, _: mean, needed=1)


def validation_mean_plus_variance(scores: np.ndarray) -> Threshold:
    """Return mean + variance (sample, n − 1), literally.

    A variance has another unit than a mean, and the sum means little; published results use it, so
    it stands here under its own name.
    """
    return _of_moments(
        "validation_mean_plus_variance", scores, lambda mean, std: mean + std**2, needed=2
    )


def validation_mean_plus_k_std(scores: np.ndarray, k: float) -> Threshold:
    """Return mean + k·standard deviation (sample, n − 1).

    It takes mean and deviation for known. Computed from few clips they are not, and there are more
    false alarms than the normal distribution has beyond k, even if scores are normally distributed.
    """
    return _of_moments(
        "validation_mean_plus_k_std", scores, lambda mean, std: mean + k * std, needed=2
    )


def validation_percentile(scores: np.ndarray, percentile: float) -> Threshold:
    """Return a percentile of the scores, numpy's (linear between two scores).

    It is never above the highest score, so with n clips it delivers no less than 1 in n + 1. Of
    uniformly distributed scores and with r = 1 − percentile/100 it delivers (1 + r·(n − 1)) /
    (n + 1), always above r.
    """
    scores = checked_scores(scores)
    if len(scores) == 0:
        return Threshold("validation_percentile", math.nan, 0, 1, _NO_CLIPS)
    rate, note = _above(percentile), ""
    if 0 < rate < 1 and len(scores) < clips_needed(rate):
        note = f"more false alarms than {in_words(rate)}: {_lowest_rate(len(scores))}"
    value = float(np.percentile(scores.astype(float), percentile))
    return Threshold("validation_percentile", value, len(scores), 1, note)


@dataclass(frozen=True)
class Strategy:
    """A way to a threshold.

    Attributes:
        name: its name in the settings and in every table.
        threshold: computes it from the scores of held-out normal clips.
        rate: the false-alarm rate that it promises or implies under given settings, or None.
        promises: whether that rate is asked for, and not only a consequence of the settings.
        holds: when that rate is kept; empty if there is none.
        joint: whether it is the rate of the whole verdict, foreign sound included, and not of the
            score alone.
    """

    name: StrategyName
    threshold: Callable[[np.ndarray, ThresholdSettings], Threshold]
    rate: Callable[[ThresholdSettings], float | None] = lambda _: None
    promises: bool = False
    holds: str = ""
    joint: bool = False

    def of(
        self,
        calibration: CalibrationScores,
        settings: ThresholdSettings,
        machine_id: str | None = None,
    ) -> Threshold:
        """Compute the threshold from all calibration clips, or from those of one machine ID."""
        scores = calibration.joint(machine_id) if self.joint else calibration.values(machine_id)
        return self.threshold(scores, settings)

    def holds_when(self, *, in_folds: bool, mixed: bool) -> str:
        """Say when a rate is kept: what is proven, and what is only observed.

        Args:
            in_folds: whether each calibration clip was scored by another network and score; see
                :class:`.CalibrationScores`.
            mixed: whether the calibration clips are of several machine IDs.
        """
        holds = self.holds
        if in_folds:
            is_proven_otherwise = self.name == "conformal"
            observed = "observed, not proven, with folds"
            holds = observed if is_proven_otherwise else f"{holds}; {observed}"
        return f"{holds}; for the mixture of machine IDs, not for each" if mixed else holds


def _asked(settings: ThresholdSettings) -> float:
    return settings.false_alarm_rate


STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (
            Strategy(
                "conformal",
                lambda scores, settings: conformal(scores, settings.false_alarm_rate),
                rate=_asked,
                promises=True,
                holds="always, if the clips are exchangeable",
                joint=True,
            ),
            Strategy(
                "student_t",
                lambda scores, settings: student_t(scores, settings.false_alarm_rate),
                rate=_asked,
                promises=True,
                holds="if scores are normally distributed",
            ),
            Strategy(
                "gamma",
                lambda scores, settings: gamma(scores, settings.false_alarm_rate),
                rate=_asked,
                promises=True,
                holds="if scores are gamma distributed and there are many clips",
            ),
            Strategy("validation_mean", lambda scores, _: validation_mean(scores)),
            Strategy(
                "validation_mean_plus_variance",
                lambda scores, _: validation_mean_plus_variance(scores),
            ),
            Strategy(
                "validation_mean_plus_k_std",
                lambda scores, settings: validation_mean_plus_k_std(scores, settings.k),
                rate=lambda settings: _beyond(settings.k),
                holds="if scores are normally distributed and there are many clips",
            ),
            Strategy(
                "validation_percentile",
                lambda scores, settings: validation_percentile(scores, settings.percentile),
                rate=lambda settings: _above(settings.percentile),
                holds="if there are many clips",
            ),
        )
    }
)


def _of_moments(
    strategy: StrategyName,
    scores: np.ndarray,
    value: Callable[[float, float], float],
    *,
    needed: int,
) -> Threshold:
    """Return a function of mean and standard deviation (NaN for a single score)."""
    scores = checked_scores(scores).astype(float)
    clips = len(scores)
    if clips < needed:
        why = "a spread needs two validation clips or more" if clips else _NO_CLIPS
        return Threshold(strategy, math.nan, clips, needed, why)
    std = float(np.std(scores, ddof=1)) if clips > 1 else math.nan
    return Threshold(strategy, value(float(np.mean(scores)), std), clips, needed)


def _why_no_spread(scores: np.ndarray) -> str:
    if len(scores) < 2:
        return "a spread needs two calibration clips or more"
    return "" if np.ptp(scores) > 0 else "the scores of the calibration clips do not differ"


def _beyond(k: float) -> float:
    """Return how much of a normal distribution lies above k standard deviations."""
    import scipy

    return float(scipy.stats.norm.sf(k))


def _above(percentile: float) -> float:
    return (100 - percentile) / 100


def _too_many_foreign(foreign: int, clips: int, rate: float) -> str:
    allowed = allowed_above(clips, rate)
    are = "are" if foreign != 1 else "is"
    return (
        f"{foreign} of {clips} normal clips {are} foreign among the others, and so anomalous "
        f"whatever the threshold, where {in_words(rate)} leaves room for {allowed - 1}"
    )


def _lowest_rate(clips: int) -> str:
    if clips == 0:
        return "there is no calibration clip"
    return f"{clips} normal clip{'s' * (clips > 1)} can promise no rate below 1 in {clips + 1}"
