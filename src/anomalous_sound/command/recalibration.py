"""New thresholds from other normal recordings, without training."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pandas as pd

from anomalous_sound.command.description import labelled, named
from anomalous_sound.command.promise_lines import promise_in_short
from anomalous_sound.command.recordings import Wanted, judge, select
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.folder import open_corpus
from anomalous_sound.corpus.names import shown
from anomalous_sound.corpus.segments import piece_id
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.evidence import CREST, LEVEL
from anomalous_sound.decision.sound_reference import SoundReference, foreign_among
from anomalous_sound.decision.spectra import Spectra
from anomalous_sound.decision.verdict import Rejection
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.sources.layout import identify_clips
from anomalous_sound.storage.atomic import replaced_folder
from anomalous_sound.vocabulary import Label

_INDENT = 15  # characters before a text
_NAMED = 3  # recordings that are left out, in a message


@dataclass(frozen=True)
class Recalibration:
    """What a recalibration changes.

    Attributes:
        before: the detector as it is.
        after: the detector with the new thresholds.
        left_out: recordings and clips that are not used, and why.
    """

    before: Detector
    after: Detector
    left_out: tuple[Rejection, ...]

    def in_lines(self) -> list[str]:
        """Say what changes."""
        lines = changes(self.before, self.after)
        lines += _of_lengths(self.before.sound, self.after.sound)
        lines += _too_low(self.before.calibration.scores, self.after.calibration.scores)
        if heard := {*self.before.calibration.clip_ids} & {*self.after.calibration.clip_ids}:
            lines.append(
                f"WARNING        {len(heard)} clips are called as clips that it was trained or "
                f"calibrated with ({min(heard)}, …); if it was trained on them, they score too low "
                "and the promise is worth nothing"
            )
        if self.left_out:
            reasons = "; ".join(
                f"{shown(one.source)}: {one.reason}" for one in self.left_out[:_NAMED]
            )
            more = "; …" if len(self.left_out) > _NAMED else ""
            lines.append(f"left out       {len(self.left_out)}: {reasons}{more}")
        return lines


def changes(before: Detector, after: Detector) -> list[str]:
    """Say how promise and thresholds change."""
    old, new = before.thresholds.by_machine_id, after.thresholds.by_machine_id
    lines = [
        *labelled("promises now", promise_in_short(before), indent=_INDENT),
        *labelled("promises then", promise_in_short(after), indent=_INDENT),
    ]
    for name in sorted({*old, *new}):
        values = [f"{one[name]:.5g}" if name in one else "none" for one in (old, new)]
        lines.append(f"threshold      machine ID {named(name)}: {values[0]} -> {values[1]}")
    if lost := sorted({*old} - {*new}):
        lines.append(
            f"WARNING        no recording is of machine ID {', '.join(map(named, lost))}: its "
            "clips will be undecided"
        )
    return lines


def _of_lengths(before: SoundReference, after: SoundReference) -> list[str]:
    """Say which lengths of clips are decided then, and what is wrong with these recordings."""
    lines, (old, new) = [], (before.comparable_s, after.comparable_s)
    if old is not None and new is not None and old != new:
        decided = [f"{from_s:.1f} to {to_s:.1f} s" for from_s, to_s in (old, new)]
        lines.append(f"clip length    decides clips of {decided[0]} -> {decided[1]}")
    if after.are_mixed and after.durations_s is not None:
        shortest_s, longest_s = after.durations_s
        lines.append(
            f"WARNING        the clips last from {shortest_s:.1f} to {longest_s:.1f} s; a longer "
            "one usually scores higher, so the promise holds for such a mixture alone, and faults "
            "in short clips are missed more often; better recordings of one length"
        )
    return lines


def _too_low(before: Sequence[float], after: Sequence[float]) -> list[str]:
    """Warn if the new clips look like clips that were trained on, whatever they are called.

    Of clips like the *n* before, 1 in *n* + 1 is expected to score below all of these; that half
    of them do has by Markov's inequality a probability of at most 2 / (*n* + 1).
    """
    lower = sum(score < min(before) for score in after)
    if 2 * lower <= len(after):
        return []
    return [
        f"WARNING        {lower} of {len(after)} clips score lower than each of the {len(before)} "
        "that calibrated it before; if it was trained on them, the promise is worth nothing"
    ]


def promised_rate(detector: Detector, rate: float | None) -> float:
    """Return the false-alarm rate to promise: the one that is given, or else the detector's.

    Raises:
        InputError: neither is there.
    """
    if rate is None:
        rate = detector.thresholds.false_alarm_rate
    if rate is None:
        raise InputError(
            f"the detector promises no false-alarm rate ({detector.thresholds.strategy}); say "
            "which one it shall promise: --false-alarm-rate R."
        )
    return rate


def recalibrate(
    detector: Detector, place: Path, *, rate: float | None, machine_id: str | None
) -> Recalibration:
    """Compute new thresholds from normal recordings; nothing is written.

    Args:
        detector: the detector; it must not have been trained on the recordings.
        place: a folder of normal recordings. Those whose name or ``labels.csv`` says that they are
            not normal are left out.
        rate: the false-alarm rate to promise; None: the one that the detector promises.
        machine_id: of recordings whose files name none.

    Raises:
        InputError: the detector promises no rate and none is given, there are too few recordings
            for the rate, or a name speaks of a fault where no layout or label says more.
    """
    rate = promised_rate(detector, rate)
    wanted, left_out = _normal(open_corpus(place, "recalibrate"), detector, machine_id)
    clip_ids, machine_ids, scores, sounds, spectra, durations_s = [], [], [], [], [], []
    for one in wanted:
        results = list(judge(detector, [one]))
        for result in results:
            if isinstance(result, Rejection):
                left_out.append(result)
                continue
            is_part = len(results) > 1
            clip_ids.append(piece_id(one.name, result.start_s) if is_part else one.name)
            machine_ids.append(one.machine_id)
            scores.append(result.score)
            sounds.append({one.name: one.value_db for one in result.evidence})
            assert result.spectra is not None  # a verdict of a detector has one
            spectra.append(result.spectra)
            durations_s.append(result.duration_s)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    if not scores:
        raise InputError(
            f"recalibrate: no recording in {place} can be used; the first: "
            f"{shown(left_out[0].source)}: {left_out[0].reason}."
        )
    heard = pd.DataFrame(
        {
            "machine_id": machine_ids,
            "level_dbfs": [one[LEVEL] for one in sounds],
            "crest_db": [one[CREST] for one in sounds],
            "duration_s": durations_s,
        }
    )
    known = Spectra.stacked(spectra)
    sound = detector.sound.refit(heard, known)
    foreign = foreign_among(heard, known, sound.settings)
    calibration = CalibrationScores(
        *(tuple(clip_ids), tuple(machine_ids), tuple(scores)),
        foreign=tuple(foreign.tolist()),
    )
    after = detector.recalibrated(calibration, sound, rate, recalibrated_at=now)
    return Recalibration(detector, after, tuple(left_out))


def replace_detector(after: Detector, folder: Path) -> Path:
    """Write a detector in the place of another, which is kept.

    Returns:
        Where the other one is now.

    Raises:
        InputError: the disk is full or cannot be written to.
    """
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S")
    backup = folder.with_name(f"{folder.name}-until-{stamp}")
    for number in count(2):  # twice within a second
        if not backup.exists():
            break
        backup = folder.with_name(f"{folder.name}-until-{stamp}-{number}")
    with replaced_folder(backup) as incomplete:
        shutil.copytree(folder, incomplete, dirs_exist_ok=True)
    after.save(folder)
    return backup


def _normal(
    corpus: AudioCorpus, detector: Detector, machine_id: str | None
) -> tuple[list[Wanted], list[Rejection]]:
    """Choose the recordings that are normal and of which the detector can judge the machine ID."""
    identities, _ = identify_clips(
        sorted(corpus.recordings), corpus.folder_name, corpus.labels, corpus.published
    )
    wanted, left_out, digests = [], [], dict[str, str]()
    for one in select(corpus, detector, machine_id):
        if isinstance(one, Rejection):
            left_out.append(one)
            continue
        identity = identities.get(one.name)
        if identity is None or identity.label != Label.NORMAL:
            left_out.append(Rejection(one.path, "it is not known to be normal"))
            continue
        try:
            digest = corpus.recordings[one.name].sha256()
        except UnreadableClipError as error:
            left_out.append(Rejection(one.path, str(error)))
            continue
        if digest in digests:
            left_out.append(Rejection(one.path, f"the same audio as {digests[digest]}"))
            continue
        digests[digest] = one.name
        wanted.append(one)
    return wanted, left_out
