"""The table of clips: which recordings are used, for what, and why the others are not."""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.corpus.checks import ClipCheck, ClipChecks
from anomalous_sound.corpus.decode import AudioFile, decode_recording, to_mono
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.features.log_mel import frame_count
from anomalous_sound.sources.layout import (
    ClipIdentity,
    choose_machine_type,
    identify_clips,
    identify_new_clips,
)
from anomalous_sound.vocabulary import Label, Split

logger = logging.getLogger(__name__)

CLIP_COLUMNS = [
    "clip_id",
    "machine_type",
    "machine_id",
    "split",
    "label",
    "sample_rate",
    "channels",
    "duration_s",
    "sha256",
]


@dataclass(frozen=True)
class AudioCorpus:
    """A folder of recordings, decoded only when asked for.

    Attributes:
        name: what reports call it.
        folder_name: name of its folder; the machine type where no folder below it says one.
        simulated: whether the sound was made by a program; every report says so.
        recordings: for each clip ID (its path below the folder) its file.
        labels: contents of ``labels.csv``, where the folder holds one.
        faults: contents of ``faults.csv``: where each fault sounds, where the folder holds one.
    """

    name: str
    folder_name: str
    simulated: bool
    recordings: Mapping[str, AudioFile] = field(repr=False)
    labels: pd.DataFrame | None = None
    faults: pd.DataFrame | None = None

    def mono_clip(
        self, clip_id: str, *, sample_rate: int, channel: int | str, sha256: str | None = None
    ) -> np.ndarray:
        """Decode a clip of the table of clips to mono samples; see :func:`to_mono`.

        Raises:
            InputError: it could be read when the clips were listed, and can no longer, or it is
                not the file of that ``sha256`` any more.
        """
        try:
            content = self.recordings[clip_id].content()
            if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
                raise UnreadableClipError("it holds other audio than before")
            return to_mono(decode_recording(content), sample_rate=sample_rate, channel=channel)
        except UnreadableClipError as error:
            raise InputError(
                f"{clip_id} was changed while the run was reading it: {error}; run again."
            ) from error


def list_clips(
    corpus: AudioCorpus,
    *,
    machine_type: str | None,
    machine_ids: Iterable[str] | None,
    validation_fraction: float,
    normal_test_fraction: float,
    seed: int,
    sample_rate: int,
    channel: int | str,
    hop_length: int,
    min_frames: int,
    checks: ClipChecks | None = None,
    jobs: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode, check and split every clip of a corpus.

    Args:
        corpus: the recordings.
        machine_type: the machine type to use; None where there is but one.
        machine_ids: the machine IDs to use; None for all.
        validation_fraction: part of the normal training clips of each machine ID that is held out.
        normal_test_fraction: part of the normal clips of each machine ID that goes to the test
            split where the layout gives no split.
        seed: seeds both draws.
        sample_rate: Hz, at which clips are read.
        channel: channel to read, or ``mean``.
        hop_length: samples from one frame to the next at ``sample_rate``.
        min_frames: clips of fewer frames are rejected.
        checks: what an earlier run has found of the same files; it learns what this one finds.
        jobs: threads that decode and check; -1: as many as there are cores.

    Returns:
        ``clips`` (one row a clip, see CLIP_COLUMNS, sorted by clip ID) and ``rejected_clips``
        (clip_id, reason). Together they hold every clip that was found.

    Raises:
        InputError: nothing is left to train and validate on, or the machine type is not clear.
    """
    identities, rejected = identify_clips(
        sorted(corpus.recordings), corpus.folder_name, corpus.labels
    )
    if identities:
        chosen = choose_machine_type(identities, machine_type)
        rejected |= _unwanted(identities, chosen, machine_ids)
    clips, contents = _check(
        *(corpus, identities, rejected, checks or ClipChecks()),
        sample_rate=sample_rate,
        channel=channel,
        hop_length=hop_length,
        min_frames=min_frames,
        jobs=jobs,
    )
    clips["split"] = _split_where_open(clips, normal_test_fraction, seed)
    rejected |= _untrainable(clips) | _repeated(clips, contents)
    clips = clips[~clips.clip_id.isin(rejected)].reset_index(drop=True)
    clips["split"] = _hold_out_validation(clips, validation_fraction, seed)
    _report(clips, rejected, sample_rate)
    _check_any(clips, rejected)
    _check_trainable(clips)
    return clips, _table_of(rejected)


def list_new_clips(
    corpus: AudioCorpus,
    *,
    machine_type: str,
    machine_ids: Iterable[str] | None,
    **reading: Any,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode and check every clip that a detector is to judge; none is needed for training.

    Args:
        corpus: the recordings.
        machine_type: that of the detector; where clips of it are there, those of others are
            rejected, else the layout is taken not to know the machine type.
        machine_ids: those that the detector can judge; None: all.
        reading: ``sample_rate, channel, hop_length, min_frames, jobs``, as for :func:`list_clips`.

    Returns:
        ``clips``, all of the test split, and ``rejected_clips``, as :func:`list_clips`.

    Raises:
        InputError: none of the clips can be judged.
    """
    identities, rejected = identify_new_clips(
        sorted(corpus.recordings), corpus.folder_name, corpus.labels
    )
    types = {identity.machine_type for identity in identities.values()}
    known = None if machine_ids is None else set(machine_ids)
    for clip_id, identity in identities.items():
        if machine_type in types and identity.machine_type != machine_type:
            rejected[clip_id] = (
                f"the detector judges machine type {machine_type}, not {identity.machine_type}"
            )
        elif known is not None and identity.machine_id not in known:
            rejected[clip_id] = (
                f"the detector has no network or threshold for machine ID "
                f"'{identity.machine_id}' (it has those of {', '.join(sorted(known))})"
            )
    if machine_type not in types:
        logger.warning(
            "The folder says machine type %s; its clips are judged as the detector's %s.",
            ", ".join(sorted(types)),
            machine_type,
        )
    clips, _ = _check(corpus, identities, rejected, ClipChecks(), **reading)
    _report(clips, rejected, reading["sample_rate"])
    _check_any(clips, rejected)
    return clips.assign(machine_type=machine_type), _table_of(rejected)


def fingerprint(clips: pd.DataFrame) -> str:
    """Return a digest of what is used and how: clip IDs, contents, splits and labels."""
    used = clips.sort_values("clip_id")[["clip_id", "sha256", "split", "label"]]
    return hashlib.sha256(used.to_csv(index=False).encode()).hexdigest()[:16]


def summarise(corpus: AudioCorpus, clips: pd.DataFrame, rejected: pd.DataFrame) -> dict[str, Any]:
    """Return the facts of a corpus that every report repeats."""
    counts = clips.groupby(["split", "label"]).size()
    return {
        "name": corpus.name,
        "simulated": corpus.simulated,
        "fingerprint": fingerprint(clips),
        "machine_type": clips.machine_type.iloc[0],
        "machine_ids": sorted(clips.machine_id.unique()),
        "clips_found": len(clips) + len(rejected),
        "clips_used": len(clips),
        "clips_rejected": len(rejected),
        "clips_by_split_and_label": {
            f"{split} {label}": int(count) for (split, label), count in counts.items()
        },
    }


def _check(
    corpus: AudioCorpus,
    identities: Mapping[str, ClipIdentity],
    rejected: dict[str, str],
    checks: ClipChecks,
    *,
    sample_rate: int,
    channel: int | str,
    hop_length: int,
    min_frames: int,
    jobs: int,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Decode and check the clips that are not rejected; what fails is added to ``rejected``.

    Returns:
        The others, CLIP_COLUMNS, and the digest of the mono samples of each.
    """
    wanted = [clip_id for clip_id in identities if clip_id not in rejected]
    found = checks.check_all(
        [corpus.recordings[clip_id] for clip_id in wanted],
        sample_rate=sample_rate,
        channel=channel,
        jobs=jobs,
    )
    rows, contents = [], {}
    for clip_id, check in zip(wanted, found, strict=True):
        if reason := check.reason or _too_short(check, hop_length, min_frames, sample_rate):
            rejected[clip_id] = reason
            continue
        contents[clip_id] = check.mono_sha256
        rows.append(_clip_row(clip_id, identities[clip_id], check))
    return pd.DataFrame(rows, columns=CLIP_COLUMNS), contents


def _table_of(rejected: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(sorted(rejected.items()), columns=["clip_id", "reason"])


def _clip_row(clip_id: str, identity: ClipIdentity, check: ClipCheck) -> dict[str, Any]:
    return {
        "clip_id": clip_id,
        "machine_type": identity.machine_type,
        "machine_id": identity.machine_id,
        "split": identity.split,
        "label": identity.label,
        "sample_rate": check.sample_rate,
        "channels": check.channels,
        "duration_s": check.duration_s,
        "sha256": check.sha256,
    }


def _unwanted(
    identities: Mapping[str, ClipIdentity], machine_type: str, machine_ids: Iterable[str] | None
) -> dict[str, str]:
    wanted_ids = None if machine_ids is None else set(machine_ids)
    if wanted_ids is not None:
        present = {i.machine_id for i in identities.values() if i.machine_type == machine_type}
        if absent := sorted(wanted_ids - present):
            raise InputError(
                f"corpus.machine_ids names {', '.join(absent)}, which the corpus does not hold; "
                f"it holds {', '.join(sorted(present))}."
            )
    unwanted = {}
    for clip_id, identity in identities.items():
        if identity.machine_type != machine_type:
            unwanted[clip_id] = (
                f"machine type {identity.machine_type} is not the chosen {machine_type}"
            )
        elif wanted_ids is not None and identity.machine_id not in wanted_ids:
            unwanted[clip_id] = f"machine ID {identity.machine_id} is not in corpus.machine_ids"
    return unwanted


def _too_short(check: ClipCheck, hop_length: int, min_frames: int, sample_rate: int) -> str:
    frames = frame_count(check.mono_samples, hop_length)
    if frames >= min_frames:
        return ""
    return (
        f"it is too short: {check.mono_samples / sample_rate:.2f} s is {frames} frames, and a "
        f"window with its next frame needs {min_frames}"
    )


def _split_where_open(clips: pd.DataFrame, normal_test_fraction: float, seed: int) -> pd.Series:
    """Anomalous and unknown clips are test clips; of the normal ones a part is drawn."""
    split = clips.split.copy()
    is_open = split.isna()
    split[is_open] = np.where(clips.label[is_open] == Label.NORMAL, Split.TRAIN, Split.TEST)
    drawn = _draw_by_machine_id(
        clips[is_open & (clips.label == Label.NORMAL)], normal_test_fraction, seed, Split.TEST
    )
    split[drawn] = Split.TEST
    return split


def _hold_out_validation(clips: pd.DataFrame, fraction: float, seed: int) -> pd.Series:
    """Hold out validation clips; two at least in all, since a spread of scores needs two."""
    split = clips.split.copy()
    training = clips[split == Split.TRAIN]
    at_least = 2 if len(set(training.machine_id)) == 1 else 1
    split[_draw_by_machine_id(training, fraction, seed, Split.VALIDATION, at_least)] = (
        Split.VALIDATION
    )
    return split


def _draw_by_machine_id(
    candidates: pd.DataFrame, fraction: float, seed: int, purpose: str, at_least: int = 1
) -> pd.Index:
    """Draw a part of each machine ID's clips, ``at_least`` so many, and never the last one."""
    drawn: list[int] = []
    for machine_id, group in candidates.groupby("machine_id"):
        count = min(max(round(fraction * len(group)), at_least), len(group) - 1)
        # each machine ID has a draw of its own, which the others' clips do not shift
        rng = np.random.default_rng([seed, zlib.crc32(f"{purpose} {machine_id}".encode())])
        drawn.extend(rng.permutation(group.index.to_numpy())[:count])
    return pd.Index(sorted(drawn), dtype="int64")


def _untrainable(clips: pd.DataFrame) -> dict[str, str]:
    training = clips[(clips.split == Split.TRAIN) & (clips.label != Label.NORMAL)]
    return {
        row.clip_id: f"it is a training clip labelled {row.label}; training uses normal clips only"
        for row in training.itertuples()
    }


def _repeated(clips: pd.DataFrame, contents: Mapping[str, str]) -> dict[str, str]:
    """Find training clips whose audio is heard again: they would leak into validation or test.

    Test clips stay, so that a published test set is scored file by file, unless the same audio
    is called normal once and anomalous once.
    """
    rejected = {}
    audio = clips.clip_id.map(contents)
    for _, group in clips.groupby(audio):
        if len(group) == 1:
            continue
        test = group[group.split == Split.TEST]
        if {Label.NORMAL, Label.ANOMALOUS} <= set(test.label):
            for clip_id in test.clip_id:
                others = ", ".join(sorted(set(test.clip_id) - {clip_id}))
                rejected[clip_id] = f"the same audio has the other label too: {others}"
        training = group[group.split == Split.TRAIN].clip_id.tolist()
        kept = test.clip_id.iloc[0] if len(test) else training.pop(0)
        for clip_id in training:
            rejected[clip_id] = f"the same audio as {kept}; training on it would leak"
    return rejected


def _report(clips: pd.DataFrame, rejected: Mapping[str, str], sample_rate: int) -> None:
    for rate, group in clips[clips.sample_rate != sample_rate].groupby("sample_rate"):
        logger.warning(
            "%d clips were recorded at %d Hz and are resampled to %d Hz%s.",
            len(group),
            rate,
            sample_rate,
            " (they hold nothing above half their own rate)" if rate < sample_rate else "",
        )
    if rejected:
        first_id, first_reason = next(iter(rejected.items()))
        logger.warning(
            "%d of %d clips are rejected, listed in rejected_clips; the first: %s: %s.",
            len(rejected),
            len(rejected) + len(clips),
            first_id,
            first_reason,
        )


def _check_any(clips: pd.DataFrame, rejected: Mapping[str, str]) -> None:
    if clips.empty:
        raise InputError(
            f"none of the {len(rejected)} clips found can be used; "
            f"the first, {next(iter(rejected))}: {next(iter(rejected.values()))}."
        )


def _check_trainable(clips: pd.DataFrame) -> None:
    training, validation = (
        (clips.split == split).sum() for split in (Split.TRAIN, Split.VALIDATION)
    )
    if training == 0 or validation == 0:
        raise InputError(
            f"too few normal training clips: {training + validation} usable; at least 2 of one "
            "machine are needed, one to train on and one to validate with."
        )
