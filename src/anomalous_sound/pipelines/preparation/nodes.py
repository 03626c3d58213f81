"""Nodes from raw audio to windows."""

from __future__ import annotations

import logging

import pandas as pd

from anomalous_sound.configuration.compute import LOCAL, EngineSettings
from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.configuration.features import (
    AudioSettings,
    FeatureSettings,
    LogMelSettings,
    ScalingSettings,
    WindowSettings,
)
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.corpus import clips as clip_table
from anomalous_sound.corpus import extraction
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.checks import ClipChecks
from anomalous_sound.corpus.summary import CorpusSummary, summarise
from anomalous_sound.features import scaling as scaling_module
from anomalous_sound.features import windows as windowing
from anomalous_sound.features.frames import Frames, PromisedFrames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)


def check_clips(
    raw_audio: AudioCorpus,
    earlier_checks: pd.DataFrame,
    corpus: CorpusSettings,
    audio: AudioSettings,
    log_mel: LogMelSettings,
    detector: DetectorSettings,
    seed: int,
    jobs: int,
    engine: EngineSettings = LOCAL,
) -> tuple[pd.DataFrame, pd.DataFrame, CorpusSummary, pd.DataFrame]:
    """Decode and check every clip, read its identity, and hold out validation clips if wanted.

    A file that an earlier run has checked under the same settings is not decoded again.

    Returns:
        ``clips``, ``rejected_clips``, ``corpus_summary`` and ``clip_checks``.
    """
    checks = ClipChecks(earlier_checks)
    features = FeatureSettings(audio=audio, log_mel=log_mel)
    clips, rejected = clip_table.list_clips(
        raw_audio,
        corpus,
        features,
        seed=seed,
        hold_out=detector.holds_out_validation,
        checks=checks,
        jobs=jobs,
        engine=engine,
    )
    logger.info("Clips: %d checked, %d known from before.", checks.computed, checks.reused)
    folds = None if detector.left_out == "machine_id" else detector.folds
    summary = summarise(raw_audio, clips, rejected, corpus, folds=folds)
    return clips, rejected, summary, checks.table()


def extract_log_mel(
    raw_audio: AudioCorpus, clips: pd.DataFrame, audio: AudioSettings, log_mel: LogMelSettings
) -> dict[str, PromisedFrames]:
    """Promise the log-mel spectrogram of each clip; the dataset computes those that it lacks."""
    features = FeatureSettings(audio=audio, log_mel=log_mel)
    return extraction.promise_log_mel(raw_audio, clips, features)


def fit_scaling(log_mel: Frames, clips: pd.DataFrame, scaling: ScalingSettings) -> Scaling:
    """Fit the scaling of decibels on the normal training clips."""
    training = set(clips.clip_id[clips.split == Split.TRAIN])
    return scaling_module.fit_scaling(log_mel, training, scaling)


def index_windows(
    log_mel: Frames, audio: AudioSettings, log_mel_settings: LogMelSettings, windows: WindowSettings
) -> pd.DataFrame:
    """List the windows of every clip by their first frames."""
    features = FeatureSettings(audio=audio, log_mel=log_mel_settings)
    return windowing.index_windows(log_mel.index, windows, frame_s=features.frame_s)
