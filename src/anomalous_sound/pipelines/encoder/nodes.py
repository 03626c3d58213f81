"""Nodes that look at a frozen encoder; what it shares with trained networks is theirs."""

from __future__ import annotations

from typing import Any

import pandas as pd

from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.configuration.decision import EvidenceSettings, ThresholdSettings
from anomalous_sound.configuration.features import (
    AudioSettings,
    LogMelSettings,
    ScalingSettings,
    WindowSettings,
)
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.evaluation import run_result
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.methods.discovery import method_of
from anomalous_sound.methods.embedding import EncoderSettings
from anomalous_sound.methods.embedding.encoder import EncoderFile, FrozenEncoder, look_at_encoder
from anomalous_sound.pipelines.training.nodes import describe_network


def describe_run(
    encoder: EncoderSettings,
    score: ScoreSettings,
    corpus: CorpusSettings,
    audio: AudioSettings,
    log_mel: LogMelSettings,
    scaling: ScalingSettings,
    detector: DetectorSettings,
    thresholds: ThresholdSettings,
    evidence: EvidenceSettings,
    seed: int,
) -> tuple[dict[str, Any], EncoderFile]:
    """Look at the encoder before anything else is done, and describe how this run is made.

    Returns:
        The description (see :func:`.run_result.describe`), and what is known of the encoder's file.

    Raises:
        InputError: there is no encoder, or it cannot be used; see :func:`.look_at_encoder`.
    """
    file = look_at_encoder(encoder, sample_rate=audio.sample_rate)
    described = run_result.describe(
        method_of(encoder).name,
        seed,
        encoder=encoder,
        encoder_file=file,
        score=score,
        corpus=corpus,
        audio=audio,
        log_mel=log_mel,
        scaling=scaling,
        detector=detector,
        thresholds=thresholds,
        evidence=evidence,
    )
    return described, file


def describe_encoder(
    encoder_file: EncoderFile,
    encoder: EncoderSettings,
    audio: AudioSettings,
    log_mel: LogMelSettings,
    windows: WindowSettings,
    scaling: Scaling,
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
) -> FrozenEncoder:
    """Put the encoder in the place of trained networks."""
    description = describe_network(encoder, audio, log_mel, windows, scaling, clips, corpus_summary)
    return FrozenEncoder(encoder_file, description)
