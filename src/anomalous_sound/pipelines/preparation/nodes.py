"""Nodes from raw audio to windows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.audio import clips as clip_table
from anomalous_sound.audio import frames as framing
from anomalous_sound.audio.clips import AudioCorpus
from anomalous_sound.audio.frames import Frames
from anomalous_sound.audio.layout import TRAIN
from anomalous_sound.audio.log_mel import log_mel_spectrogram


def check_clips(
    raw_audio: AudioCorpus,
    corpus: dict[str, Any],
    audio: dict[str, Any],
    log_mel: dict[str, Any],
    seed: int,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Decode and check every clip, read its identity, and hold out the validation clips.

    Returns:
        ``clips``, ``rejected_clips`` and ``corpus_summary``.
    """
    # which parts of a data set were loaded is the catalog's affair
    settings = {name: value for name, value in corpus.items() if name != "parts"}
    clips, rejected = clip_table.list_clips(
        raw_audio,
        **settings,
        **audio,
        seed=seed,
        hop_length=log_mel["hop_length"],
    )
    return clips, rejected, clip_table.summarise(raw_audio, clips, rejected)


def extract_log_mel(
    raw_audio: AudioCorpus, clips: pd.DataFrame, audio: dict[str, Any], log_mel: dict[str, Any]
) -> dict[str, Callable[[], np.ndarray]]:
    """Promise the log-mel spectrogram of each clip; the dataset computes it when it is written.

    Returns:
        For each clip ID a function that returns float32 frames × mel bands, dB.
    """
    return {
        clip_id: partial(_log_mel_of_clip, raw_audio, clip_id, audio=audio, log_mel=log_mel)
        for clip_id in clips.clip_id
    }


def _log_mel_of_clip(
    raw_audio: AudioCorpus, clip_id: str, *, audio: dict[str, Any], log_mel: dict[str, Any]
) -> np.ndarray:
    samples = raw_audio.mono_clip(clip_id, **audio)
    return log_mel_spectrogram(samples, sample_rate=audio["sample_rate"], **log_mel)


def fit_scaling(log_mel: Frames, clips: pd.DataFrame, scaling: dict[str, Any]) -> dict[str, Any]:
    """Fit the scaling of decibels on the normal training clips."""
    training = set(clips.clip_id[clips.split == TRAIN])
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
