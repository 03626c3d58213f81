"""Nodes from raw audio to windows."""

from __future__ import annotations

import logging
from functools import cache, partial
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.corpus import clips as clip_table
from anomalous_sound.corpus.checks import ClipChecks, decoding_version
from anomalous_sound.corpus.clips import AudioCorpus
from anomalous_sound.features import frames as framing
from anomalous_sound.features import log_mel as log_mel_module
from anomalous_sound.features.frames import Frames, PromisedFrames
from anomalous_sound.features.log_mel import log_mel_spectrogram
from anomalous_sound.storage.identity import code_version, reuse_key
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)


def check_clips(
    raw_audio: AudioCorpus,
    earlier_checks: pd.DataFrame,
    corpus: dict[str, Any],
    audio: dict[str, Any],
    log_mel: dict[str, Any],
    seed: int,
    jobs: int = 1,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Decode and check every clip, read its identity, and hold out the validation clips.

    A file that an earlier run has checked under the same settings is not decoded again.

    Returns:
        ``clips``, ``rejected_clips``, ``corpus_summary`` and ``clip_checks``.
    """
    checks = ClipChecks(earlier_checks)
    # which parts of a data set were loaded is the catalog's affair
    settings = {name: value for name, value in corpus.items() if name != "parts"}
    clips, rejected = clip_table.list_clips(
        raw_audio,
        **settings,
        **audio,
        seed=seed,
        hop_length=log_mel["hop_length"],
        checks=checks,
        jobs=jobs,
    )
    logger.info("Clips: %d checked, %d known from before.", checks.computed, checks.reused)
    summary = clip_table.summarise(raw_audio, clips, rejected)
    return clips, rejected, summary, checks.table()


def extract_log_mel(
    raw_audio: AudioCorpus, clips: pd.DataFrame, audio: dict[str, Any], log_mel: dict[str, Any]
) -> dict[str, PromisedFrames]:
    """Promise the log-mel spectrogram of each clip; the dataset computes those that it lacks.

    Returns:
        For each clip ID the promise of float32 frames × mel bands, dB.
    """
    depends_on = {"audio": audio, "log_mel": log_mel, "version": feature_version()}
    return {
        clip_id: PromisedFrames(
            reuse_key(sha256=sha256, **depends_on),
            partial(_log_mel_of_clip, raw_audio, clip_id, sha256, audio=audio, log_mel=log_mel),
        )
        for clip_id, sha256 in zip(clips.clip_id, clips.sha256, strict=True)
    }


@cache
def feature_version() -> str:
    """Return the version of the code that turns a file into log-mel frames."""
    return decoding_version() + code_version([log_mel_module], ["numpy", "torch"])


def _log_mel_of_clip(
    raw_audio: AudioCorpus,
    clip_id: str,
    sha256: str,
    *,
    audio: dict[str, Any],
    log_mel: dict[str, Any],
) -> np.ndarray:
    samples = raw_audio.mono_clip(clip_id, **audio, sha256=sha256)
    return log_mel_spectrogram(samples, sample_rate=audio["sample_rate"], **log_mel)


def fit_scaling(log_mel: Frames, clips: pd.DataFrame, scaling: dict[str, Any]) -> dict[str, Any]:
    """Fit the scaling of decibels on the normal training clips."""
    training = set(clips.clip_id[clips.split == Split.TRAIN])
    return framing.fit_scaling(log_mel, training, method=scaling["method"])


def index_windows(
    log_mel: Frames,
    audio: dict[str, Any],
    log_mel_settings: dict[str, Any],
    windows: dict[str, Any],
) -> pd.DataFrame:
    """List the windows of every clip as rows of their first frames."""
    return framing.index_windows(
        log_mel.index,
        **windows,
        hop_length=log_mel_settings["hop_length"],
        sample_rate=audio["sample_rate"],
    )
