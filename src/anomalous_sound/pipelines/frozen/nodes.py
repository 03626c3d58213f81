"""Nodes of a method with a frozen encoder; what it shares with the others is theirs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.configuration.decision import EvidenceSettings, ThresholdSettings
from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.configuration.features import (
    AudioSettings,
    LogMelSettings,
    ScalingSettings,
    WindowSettings,
)
from anomalous_sound.configuration.inference import InferenceSettings
from anomalous_sound.configuration.reporting import PageSettings
from anomalous_sound.configuration.scoring import LocalisationSettings, ScoreSettings
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.corpus.audio_corpus import AudioCorpus, ClipPlace, clip_places
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.evidence import SoundReference
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.evaluation import run_result
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.methods.discovery import method_of
from anomalous_sound.methods.embedding import EncoderSettings
from anomalous_sound.methods.embedding.encoder import EncoderFile, FrozenEncoder, look_at_encoder
from anomalous_sound.pipelines.decision import nodes as decision
from anomalous_sound.pipelines.report import nodes as report
from anomalous_sound.pipelines.report import sound_nodes
from anomalous_sound.pipelines.training import nodes as training
from anomalous_sound.provenance.origin import Origin
from anomalous_sound.reporting import shown_clips as showing
from anomalous_sound.reporting.shown_clips import ShownClips
from anomalous_sound.scoring import pooling
from anomalous_sound.scoring.band_errors import ClipErrors
from anomalous_sound.scoring.channels import score_of_channels
from anomalous_sound.scoring.encoder import ClipEncoder
from anomalous_sound.scoring.events import EVENT_COLUMNS
from anomalous_sound.scoring.localisation import LOCALISATION_COLUMNS
from anomalous_sound.scoring.score import Score


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
    description = training.describe_network(
        encoder, audio, log_mel, windows, scaling, clips, corpus_summary
    )
    return FrozenEncoder(encoder_file, description)


def embed_clips(
    raw_audio: AudioCorpus,
    clips: pd.DataFrame,
    network: FrozenEncoder,
    score: ScoreSettings,
    detector: DetectorSettings,
    jobs: int,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Apply the encoder to every clip, and pool what it says over time.

    Returns:
        ``pooled_errors``, a row a clip with a column for each value of the embedding, as
        :func:`.pooling.pool_errors` returns them; and ``seconds_per_clip``.

    Raises:
        InputError: the encoder cannot read a clip.
    """
    audio = network.description.features.audio
    encoder = ClipEncoder(network)
    seconds: list[float] = []

    def embedded(clip_id: str, place: ClipPlace) -> ClipErrors:
        try:
            return encoder.errors(clip_id, raw_audio.channels(place, audio))
        except UnreadableClipError as error:
            raise InputError(
                f"the clip {clip_id} has no embedding: {error}; leave such clips out "
                "(corpus.min_frames), or fill them up: embedding.encoder.rest=pad."
            ) from error

    def all_of_them() -> Iterator[ClipErrors]:
        tasks = (partial(embedded, *one) for one in clip_places(clips).items())
        for clip in in_threads(tasks, jobs):
            seconds.append(clip.seconds)
            yield clip

    def no_spectrum(_: str) -> np.ndarray:
        return np.empty((0, len(audio.channels)))  # the score reads embeddings alone

    of_clips = score_of_channels(score, audio, detector)
    pooled = pooling.pool_errors(all_of_them(), of_clips, no_spectrum)
    return pooled, {"seconds_per_clip": float(np.mean(seconds))}


def assemble_detector(
    network: FrozenEncoder,
    fitted_score: Score,
    deployed: Thresholds,
    calibration_scores: CalibrationScores,
    sound_reference: SoundReference,
    localisation: LocalisationSettings,
    inference: InferenceSettings,
) -> Detector:
    """Put everything but the encoder's file that judging a new clip needs into one thing."""
    return decision.assemble_detector(
        *(network, fitted_score, None, deployed, calibration_scores, sound_reference),
        *(localisation, inference),
    )


def evaluate(
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    deployed: Thresholds,
    corpus_summary: CorpusSummary,
    evaluation: EvaluationSettings,
    seed: int,
) -> dict[str, Any]:
    """Compute the metrics of the method on this corpus."""
    return report.evaluate(
        clip_scores, None, decisions, deployed, {}, corpus_summary, evaluation, seed
    )


def summarise_result(
    clip_scores: pd.DataFrame,
    deployed: Thresholds,
    network: FrozenEncoder,
    embedding_time: dict[str, float],
    detector: Detector,
    run_description: dict[str, Any],
    origin: Origin,
) -> dict[str, Any]:
    """Put into one file all that a comparison with other methods and runs needs."""
    return report.result_of(
        *(clip_scores, deployed, network, detector, run_description, origin),
        training_s=0.0,
        scoring_s_per_clip=embedding_time["seconds_per_clip"],
    )


def write_card(
    network: FrozenEncoder,
    run_description: dict[str, Any],
    metrics: dict[str, Any],
    fitted_score: Score,
    deployed: Thresholds,
    calibration_scores: CalibrationScores,
    calibration: pd.DataFrame,
    corpus_summary: CorpusSummary,
    origin: Origin,
) -> str:
    """Write the card of the detector."""
    return report.write_card(
        *(network, run_description, None, metrics, fitted_score, deployed),
        *(calibration_scores, calibration, corpus_summary, origin),
    )


def show_clips(
    raw_audio: AudioCorpus,
    clips: pd.DataFrame,
    log_mel: Frames,
    network: FrozenEncoder,
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    page: PageSettings,
) -> ShownClips:
    """Gather sound and spectrogram of the clips that the page shows."""
    judged = clip_scores.merge(decisions[["clip_id", "decision"]], on="clip_id")
    chosen = showing.chosen_clips(judged, page)
    places = clip_places(clips[clips.clip_id.isin(chosen)])
    features = network.description.features
    return showing.show_clips(
        chosen,
        samples=lambda clip_id: raw_audio.mono_clip(places[clip_id], features.audio),
        maps=None,
        frames=log_mel,
        events=pd.DataFrame(columns=EVENT_COLUMNS),
        features=features,
        settings=page,
    )


def write_page(
    shown_clips: ShownClips,
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    clips: pd.DataFrame,
    metrics: dict[str, Any],
    deployed: Thresholds,
    calibration_scores: CalibrationScores,
    calibration: pd.DataFrame,
    network: FrozenEncoder,
    fitted_score: Score,
    rejected_clips: pd.DataFrame,
    channel_scores: pd.DataFrame,
    corpus_summary: CorpusSummary,
    roc_figure: bytes,
    origin: Origin,
    page: PageSettings,
) -> str:
    """Write the page of the run."""
    events, places = (
        pd.DataFrame(columns=names) for names in (EVENT_COLUMNS, LOCALISATION_COLUMNS)
    )
    return sound_nodes.write_page(
        *(shown_clips, clip_scores, decisions, clips, events, places, metrics, deployed),
        *(calibration_scores, calibration, network, fitted_score, rejected_clips, channel_scores),
        *(corpus_summary, roc_figure, None, origin, page),
    )
