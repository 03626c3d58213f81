"""The table of clips: which recordings are used, for what, and why the others are not."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from anomalous_sound.configuration.compute import LOCAL, EngineSettings
from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.checks import ClipCheck, ClipChecks
from anomalous_sound.corpus.identities import identify_for_detector
from anomalous_sound.corpus.segments import SegmentSettings, piece_id
from anomalous_sound.corpus.split import LEFT_OUT, hold_out_validation, split_where_open
from anomalous_sound.errors import InputError
from anomalous_sound.features.log_mel import frame_count
from anomalous_sound.sources.layout import (
    ClipIdentity,
    choose_machine_type,
    identify_clips,
)
from anomalous_sound.vocabulary import Domain, Label, Split

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
    "level_dbfs",
    "crest_db",
    "sha256",
    "recording",
    "start_s",
    "domain",
    "attributes",
]


def list_clips(
    corpus: AudioCorpus,
    settings: CorpusSettings,
    features: FeatureSettings,
    *,
    seed: int,
    hold_out: bool = True,
    checks: ClipChecks | None = None,
    jobs: int = 1,
    engine: EngineSettings = LOCAL,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode, check and split every clip of a corpus.

    A recording of two segments and more is cut into clips, as
    :func:`anomalous_sound.corpus.segments.spans` says; the table names the recording of each clip
    and where in it the clip begins. Of a recording that cannot be used at all, and so was not cut,
    one clip is rejected.

    Args:
        corpus: the recordings.
        settings: which clips are used and how they are split. Its ``parts`` are not looked at:
            they say what was loaded.
        features: how clips are read and cut into frames.
        seed: of both draws.
        hold_out: whether validation clips are held out of the normal training clips.
        checks: what an earlier run has found of the same files; it learns what this one finds.
        jobs: threads that decode and check; -1: as many as there are cores.
        engine: where that is done.

    Returns:
        ``clips`` (one row a clip, see CLIP_COLUMNS, sorted by clip ID) and ``rejected_clips``
        (``clip_id, reason``). Together they hold every clip that was found.

    Raises:
        InputError: nothing is left to train and validate on, or the machine type is not clear.
    """
    identities, rejected = identify_clips(
        sorted(corpus.recordings), corpus.folder_name, corpus.labels, corpus.published
    )
    _say_what_is_what(identities)
    if identities:
        chosen = choose_machine_type(identities, settings.machine_type)
        rejected |= _unwanted(identities, chosen, settings.machine_ids)
    clips, contents = _check(
        *(corpus, identities, rejected, checks or ClipChecks()),
        features=features,
        segments=settings,
        min_frames=settings.min_frames,
        jobs=jobs,
        engine=engine,
    )
    clips["split"] = split_where_open(clips, settings.normal_test_fraction, seed)
    rejected |= _untrainable(clips) | _left_out(clips)
    clips = clips[~clips.clip_id.isin(rejected)]  # what is not used makes nothing else a repeat
    rejected |= _repeated(clips, contents)
    clips = clips[~clips.clip_id.isin(rejected)].reset_index(drop=True)
    if hold_out and len(clips):
        clips["split"] = hold_out_validation(clips, settings.validation_fraction, seed)
        rejected |= _left_out(clips)
        clips = clips[clips.split != LEFT_OUT].reset_index(drop=True)
    _report(clips, rejected, features.audio.sample_rate)
    _check_any(clips, rejected)
    _check_trainable(clips, hold_out=hold_out)
    return clips, _table_of(rejected)


def list_new_clips(
    corpus: AudioCorpus,
    features: FeatureSettings,
    *,
    machine_type: str,
    machine_ids: Iterable[str] | None,
    nameless: str = "",
    min_frames: int,
    segments: SegmentSettings,
    jobs: int = 1,
    engine: EngineSettings = LOCAL,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decode and check every clip that a detector is to judge; none is needed for training.

    Args:
        corpus: the recordings.
        features: how the detector reads clips and cuts them into frames.
        machine_type: that of the detector; where clips of it are there, those of others are
            rejected, else the layout is taken not to know the machine type.
        machine_ids: those that the detector can judge; None: all.
        nameless: the machine ID of clips whose files name none; empty: not known.
        min_frames: clips of fewer frames are rejected.
        segments: how the detector cuts recordings into clips.
        jobs: threads that decode and check; -1: as many as there are cores.
        engine: where that is done.

    Returns:
        ``clips``, all of the test split, and ``rejected_clips``, as :func:`list_clips`.

    Raises:
        InputError: none of the clips can be judged.
    """
    identities, rejected = identify_for_detector(
        corpus, machine_type=machine_type, machine_ids=machine_ids, nameless=nameless
    )
    types = {identity.machine_type for identity in identities.values()}
    if machine_type not in types:
        # where no clip has a machine ID of its own, any folder of recordings may be called so
        says_nothing = types == {corpus.folder_name} and {
            identity.machine_id for identity in identities.values()
        } <= {"", nameless}
        logger.log(
            logging.INFO if says_nothing else logging.WARNING,
            "What folder or labels.csv call '%s' is judged as the detector's machine type, %s.",
            "', '".join(sorted(types)),
            machine_type,
        )
    clips, _ = _check(
        *(corpus, identities, rejected, ClipChecks()),
        features=features,
        segments=segments,
        min_frames=min_frames,
        jobs=jobs,
        engine=engine,
    )
    _report(clips, rejected, features.audio.sample_rate)
    _check_any(clips, rejected)
    return clips.assign(machine_type=machine_type), _table_of(rejected)


def _check(
    corpus: AudioCorpus,
    identities: Mapping[str, ClipIdentity],
    rejected: dict[str, str],
    checks: ClipChecks,
    *,
    features: FeatureSettings,
    segments: SegmentSettings,
    min_frames: int,
    jobs: int,
    engine: EngineSettings,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Decode and check the recordings that are not rejected; what fails is added to ``rejected``.

    Returns:
        The clips that can be used, CLIP_COLUMNS, and the digest of the mono samples of each.
    """
    wanted = [recording for recording in identities if recording not in rejected]
    files = [corpus.recordings[recording] for recording in wanted]
    found = checks.check_all(files, features.audio, segments, jobs=jobs, engine=engine)
    rows, contents = [], {}
    for recording, of_file in zip(wanted, found, strict=True):
        for check in of_file:
            clip_id = piece_id(recording, check.start_s) if check.is_part else recording
            if reason := check.reason or _too_short(check, features, min_frames):
                rejected[clip_id] = reason
                continue
            contents[clip_id] = check.mono_sha256
            rows.append(_clip_row(clip_id, recording, identities[recording], check))
    return pd.DataFrame(rows, columns=CLIP_COLUMNS), contents


def _table_of(rejected: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(sorted(rejected.items()), columns=["clip_id", "reason"])


def _clip_row(
    clip_id: str, recording: str, identity: ClipIdentity, check: ClipCheck
) -> dict[str, Any]:
    return {
        "clip_id": clip_id,
        "machine_type": identity.machine_type,
        "machine_id": identity.machine_id,
        "split": identity.split,
        "label": identity.label,
        "sample_rate": check.sample_rate,
        "channels": check.channels,
        "duration_s": check.duration_s,
        "level_dbfs": check.level_dbfs,
        "crest_db": check.crest_db,
        "sha256": check.sha256,
        "recording": recording,
        "start_s": check.start_s,
        "domain": identity.domain,
        "attributes": identity.attributes,
    }


def _say_what_is_what(identities: Mapping[str, ClipIdentity]) -> None:
    """Log what the recordings of each folder were taken for."""
    taken = Counter(
        (PurePosixPath(recording).parts[:-1][:1], identity.label, identity.split)
        for recording, identity in identities.items()
    )
    for (folder, label, split), count in sorted(taken.items(), key=str):
        purpose = _PURPOSES[split or (None if label == Label.NORMAL else Split.TEST)]
        logger.info("%s/: %d recordings -> %s, %s.", *folder or ".", count, label, purpose)


_PURPOSES: Mapping[str | None, str] = {
    Split.TRAIN: "for training",
    Split.TEST: "to test with",
    None: "for training and to test with",
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


def _too_short(check: ClipCheck, features: FeatureSettings, min_frames: int) -> str:
    frames = frame_count(check.mono_samples, features.log_mel.hop_length)
    if frames >= min_frames:
        return ""
    seconds = check.mono_samples / features.audio.sample_rate
    return (
        f"it is too short: {seconds:.2f} s is {frames} frames, and a window with its next frame "
        f"needs {min_frames}"
    )


def _untrainable(clips: pd.DataFrame) -> dict[str, str]:
    training = clips[(clips.split == Split.TRAIN) & (clips.label != Label.NORMAL)]
    return {
        clip_id: f"it is a training clip labelled {label}; training uses normal clips only"
        for clip_id, label in zip(training.clip_id, training.label, strict=True)
    }


def _left_out(clips: pd.DataFrame) -> dict[str, str]:
    reason = (
        "it lies next to clips of the same recording that are held out, and is too much like them "
        "to be trained on"
    )
    return dict.fromkeys(clips.clip_id[clips.split == LEFT_OUT], reason)


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
    for rate in sorted(set(clips.sample_rate) - {sample_rate}):
        logger.warning(
            "%d clips were recorded at %d Hz and are resampled to %d Hz%s.",
            (clips.sample_rate == rate).sum(),
            rate,
            sample_rate,
            " (they hold nothing above half their own rate)" if rate < sample_rate else "",
        )
    training = set(clips.domain[clips.split != Split.TEST]) & set(Domain)
    if len(training) == 1:
        (only,) = training
        logger.warning(
            "No training clip is of the %s domain: whatever tells the domains apart compares with "
            "the %s domain alone.",
            *(set(Domain) - training),
            only,
        )
    if rejected:
        logger.warning(
            "%d of %d clips are rejected, listed in rejected_clips; the first: %s: %s.",
            len(rejected),
            len(rejected) + len(clips),
            *_first_rejected(rejected),
        )


def _check_any(clips: pd.DataFrame, rejected: Mapping[str, str]) -> None:
    if clips.empty:
        raise InputError(
            f"none of the {len(rejected)} clips found can be used; "
            f"the first, {': '.join(_first_rejected(rejected))}."
        )


def _first_rejected(rejected: Mapping[str, str]) -> tuple[str, str]:
    """Return the first clip that is rejected for what most are, and the reason."""
    often = Counter(rejected.values()).most_common(1)[0][0]
    return next((clip_id, reason) for clip_id, reason in rejected.items() if reason == often)


def _check_trainable(clips: pd.DataFrame, *, hold_out: bool) -> None:
    training, validation = (
        (clips.split == split).sum() for split in (Split.TRAIN, Split.VALIDATION)
    )
    if training == 0 or (validation == 0 if hold_out else training == 1):
        raise InputError(
            f"too few normal training clips: {training + validation} usable; at least 2 of one "
            "machine are needed, one to train on and one to validate with (clips of one recording "
            "that lie next to each other do not serve for both)."
        )
