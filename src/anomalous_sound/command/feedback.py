"""What people have said of anomalous clips, and what follows for the thresholds.

Clips that were marked normal were chosen because they were alarms, so they are not exchangeable
with the normal clips to come, and no conformal promise can be made from them. Two things can be
done:

- Joined to the stored calibration clips, they raise the threshold and never lower it: m of n + k
  scores are allowed above it instead of m₀ of n, k of them lie above the old threshold, and
  m - m₀ ≤ k. So the promise that was made of clips like those stored still holds. What is lost is
  faults that are as quiet.
- With a whole period of normal recordings, these alone calibrate, and feedback is the check: which
  alarms would there still be, and which faults would be missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from anomalous_sound.command.promise_lines import FROM_FEEDBACK
from anomalous_sound.command.recalibration import Recalibration, changes, promised_rate
from anomalous_sound.command.watch.kept import Feedback, KeptClip, KeptClips
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.verdict import Verdict
from anomalous_sound.errors import InputError, UnreadableClipError

_NAMED = 3  # clips, in a message


@dataclass(frozen=True)
class Heard:
    """A clip that somebody has judged, and what a detector says of it."""

    clip: KeptClip
    verdict: Verdict


@dataclass(frozen=True)
class Check:
    """What two detectors say of the clips with feedback.

    Attributes:
        now: what the old one says, of the clips marked normal and those marked a fault.
        then: what the new one says.
        unreadable: how many clips cannot be judged.
    """

    now: dict[Feedback, list[Heard]]
    then: dict[Feedback, list[Heard]]
    unreadable: int

    def in_lines(self) -> list[str]:
        """Say how many of them are alarms, now and then."""
        lines = []
        for feedback in (Feedback.NORMAL, Feedback.FAULT):
            now, then = self.now[feedback], self.then[feedback]
            lines.append(
                f"feedback       marked {feedback}: {len(now)}; alarms now: {len(_alarms(now))}, "
                f"then: {len(_alarms(then))}"
            )
        was = {one.clip.folder.name for one in _alarms(self.now[Feedback.FAULT])}
        still = {one.clip.folder.name for one in _alarms(self.then[Feedback.FAULT])}
        if missed := sorted(was - still):
            some = ", ".join(missed[:_NAMED]) + ", …" * (len(missed) > _NAMED)
            lines.append(f"WARNING        faults that would be missed: {len(missed)} ({some})")
        foreign = [one for one in self.then[Feedback.NORMAL] if one.verdict.is_foreign]
        if foreign:
            lines.append(
                f"note           marked normal and foreign sound, an alarm whatever the threshold: "
                f"{len(foreign)}"
            )
        if self.unreadable:
            lines.append(
                f"left out       clips with feedback that cannot be read: {self.unreadable}"
            )
        return lines


def check(before: Detector, after: Detector, kept: KeptClips) -> Check:
    """Judge the clips with feedback by two detectors.

    Raises:
        InputError: there are none.
    """
    clips = _with_feedback(kept)
    now, unreadable = _judged(before, clips)
    then, _ = _judged(after, clips)
    return Check(now, then, unreadable)


@dataclass(frozen=True)
class Joined(Recalibration):
    """What changes if clips marked normal are joined to the calibration clips.

    Attributes:
        joined: how many are.
        checked: what it does to the clips with feedback.
    """

    joined: int
    checked: Check

    def in_lines(self) -> list[str]:
        """Say what changes, and what that is worth."""
        return [
            *changes(self.before, self.after),
            *self.checked.in_lines(),
            f"note           joined to the calibration: {self.joined}. These clips were chosen "
            "because they were alarms: the threshold rises, so quieter faults may be missed, and "
            "nothing is promised of how often today's normal sound is an alarm. For a new promise "
            "record normal sound for a while, all of it: recalibrate DIR --feedback",
        ]


def join(detector: Detector, kept: KeptClips, *, rate: float | None) -> Joined:
    """Join the clips that were marked normal to the calibration clips; nothing is written.

    Only those are joined that are alarms by their score; so no threshold falls.

    Args:
        detector: the detector.
        kept: the clips.
        rate: the false-alarm rate to promise; None: the one that the detector promises.

    Raises:
        InputError: the detector promises no rate and none is given, or no clip is to be joined.
    """
    rate = promised_rate(detector, rate)
    base, stored = detector.at_rate(rate), detector.calibration
    clips = _with_feedback(kept)
    now, unreadable = _judged(base, clips)
    known = {*stored.clip_ids}
    normal, alarms = now[Feedback.NORMAL], _alarms(now[Feedback.NORMAL])
    by_score = {
        f"{FROM_FEEDBACK}{one.clip.folder.name}": one.verdict
        for one in alarms
        if not one.verdict.is_foreign
    }
    new = {name: verdict for name, verdict in by_score.items() if name not in known}
    if not new:
        raise InputError(
            f"recalibrate --feedback: there is nothing to change at a rate of {rate:g}. Of the "
            f"clips marked normal ({len(normal)}), no alarm: {len(normal) - len(alarms)}; foreign "
            f"sound, an alarm whatever the threshold: {len(alarms) - len(by_score)}; joined "
            f"before: {len(by_score)}. If normal clips sound foreign, record normal sound that "
            "has it, and recalibrate DIR."
        )
    calibration = CalibrationScores(
        (*stored.clip_ids, *new),
        (*stored.machine_ids, *(one.machine_id for one in new.values())),
        (*stored.scores, *(one.score for one in new.values())),
        stored.in_folds,
        # what is joined is not foreign
        None if stored.foreign is None else (*stored.foreign, *(False for _ in new)),
    )
    at = datetime.now(UTC).isoformat(timespec="seconds")
    unseen = detector.thresholds.for_unseen
    after = detector.recalibrated(
        calibration, detector.sound, rate, recalibrated_at=at, for_unseen=unseen
    )
    then, _ = _judged(after, clips)
    return Joined(detector, after, (), len(new), Check(now, then, unreadable))


def _with_feedback(kept: KeptClips) -> dict[Feedback, list[KeptClip]]:
    found = {one: kept.clips(one) for one in (Feedback.NORMAL, Feedback.FAULT)}
    if not any(found.values()):
        raise InputError(
            f"--feedback: no clip in {kept.folder} is marked; mark some: anomalous-sound feedback "
            "ID --normal; or say where they are: --kept DIR."
        )
    return found


def _judged(
    detector: Detector, clips: dict[Feedback, list[KeptClip]]
) -> tuple[dict[Feedback, list[Heard]], int]:
    heard: dict[Feedback, list[Heard]] = {feedback: [] for feedback in clips}
    unreadable = 0
    for feedback, some in clips.items():
        for clip in some:
            try:
                machine_id = str(clip.event.get("machine_id", ""))
                verdict = detector.judge_file(clip.audio, machine_id=machine_id)
            except UnreadableClipError:
                unreadable += 1
            else:
                heard[feedback].append(Heard(clip, verdict))
    return heard, unreadable


def _alarms(heard: Sequence[Heard]) -> list[Heard]:
    return [one for one in heard if one.verdict.is_anomalous]
