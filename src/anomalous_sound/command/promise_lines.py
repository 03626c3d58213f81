"""What a detector promises, when that holds, what it rests on, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping

from anomalous_sound.decision.calibration import CalibrationScores, in_words
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.strategies import STRATEGIES
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.vocabulary import DrawUnit

FROM_FEEDBACK = "feedback:"  # begins the names of calibration clips that were alarms
_WHAT_WAS_LEFT_OUT: Mapping[DrawUnit, str] = {
    "clips": "",
    "recordings": "; whole recordings were left out, so it rests on how many these are",
    "blocks": "; blocks of recordings were left out, so it holds for the days of these",
}


def promise_lines(detector: Detector) -> list[tuple[str, str]]:
    """Say which false-alarm rate a detector promises, when, from what, and what came of it.

    Returns:
        A label and a text for each line.
    """
    thresholds = detector.thresholds
    lines = [
        ("Promises", _promise(detector)),
        ("Why not", thresholds.note if thresholds.false_alarm_rate is None else ""),
        ("Holds", _when(thresholds, detector.calibration)),
        ("Rests on", _source(detector)),
        ("Other IDs", thresholds.unseen_note),
        ("Delivered", _delivered(thresholds, detector.calibration)),
    ]
    return [(label, text) for label, text in lines if text]


def promise_in_short(detector: Detector) -> str:
    """Say which false-alarm rate a detector promises, and what that rests on."""
    return f"{_promise(detector)}; rests on {_source(detector)}"


def _promise(detector: Detector) -> str:
    thresholds = detector.thresholds
    rate = thresholds.false_alarm_rate
    if rate is None:
        return "no false-alarm rate"
    whose = " of each machine ID" if thresholds.per == "machine_id" else ""
    clips = f"on at most {in_words(rate)} normal clips{whose}"
    if thresholds.with_foreign:
        return f"a false alarm {clips}, foreign sound included"
    return (
        f"a score at or above the threshold {clips}; foreign sound adds "
        f"{100 * detector.sound.added_rate:.2g} in 100 at most"
    )


def _when(thresholds: Thresholds, calibration: CalibrationScores) -> str:
    """Say when the promise holds, as :meth:`.Strategy.holds_when` does for tables."""
    if thresholds.false_alarm_rate is None:
        return ""
    holds = [STRATEGIES[thresholds.strategy].holds]
    if thresholds.strategy == "conformal":
        holds = [
            ""
            if calibration.in_folds
            else "always, if new clips are recorded like those it rests on"
        ]
    if calibration.in_folds:
        holds.append("measured, not proven, since all networks score a new clip together")
    if thresholds.per != "machine_id" and len(set(calibration.machine_ids)) > 1:
        holds.append("for all machine IDs together, not for each")
    return "; ".join(filter(None, holds))


def _source(detector: Detector) -> str:
    calibration = detector.calibration
    clips = len(calibration.scores)
    said = f"{clips} normal clip{'s' * (clips != 1)}" + (
        ", each scored by networks that have not heard it"
        if calibration.in_folds
        else " that it was not trained on"
    )
    if chosen := sum(name.startswith(FROM_FEEDBACK) for name in calibration.clip_ids):
        said += f", {chosen} of them chosen because they were alarms"
    foreign = sum(calibration.foreign or ())
    if foreign and detector.thresholds.with_foreign:
        said += f", {foreign} of them foreign among the others, which count as above any score"
    if detector.identity.recalibrated_at is None:
        said += _WHAT_WAS_LEFT_OUT[detector.description.corpus.held_out_by]
    return said


def _delivered(thresholds: Thresholds, calibration: CalibrationScores) -> str:
    """Say how many of the normal clips that the thresholds come from are alarms."""
    clips = len(calibration.scores)
    foreign = calibration.foreign or (False,) * clips
    alarms = sum(
        is_foreign or score >= thresholds.of(machine_id)
        for score, machine_id, is_foreign in zip(
            *(calibration.scores, calibration.machine_ids, foreign), strict=True
        )
    )
    return (
        f"a false alarm on {alarms} of these {clips}; they set the threshold: new ones may differ"
    )
