"""Nodes that judge recordings as a detector's own settings say."""

from __future__ import annotations

import pandas as pd

from anomalous_sound.configuration.compute import LOCAL, EngineSettings
from anomalous_sound.configuration.inference import InferenceSettings
from anomalous_sound.corpus import clips as clip_table
from anomalous_sound.corpus import extraction
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.summary import CorpusSummary, summarise
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.sound_reference import SoundReference
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.errors import InputError
from anomalous_sound.features import windows as windowing
from anomalous_sound.features.frames import Frames, PromisedFrames
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.scoring.localisation import WindowReference
from anomalous_sound.scoring.score import Score
from anomalous_sound.vocabulary import Decision


def open_detector(
    detector: Detector, inference: InferenceSettings
) -> tuple[TrainedNetworks, Score, WindowReference, Thresholds, CalibrationScores, SoundReference]:
    """Take the detector apart.

    Returns:
        Its networks, its score, the reference of its windows, the thresholds that decide, the
        scores of the left-out normal clips that they come from, and what normal clips sound like.
        The thresholds are those for the false-alarm rate that ``inference`` names, if it names one.

    Raises:
        InputError: the detector has too few calibration clips for that rate, or a frozen encoder.
    """
    if detector.reference is None:
        raise InputError(
            "the pipeline score says when and where a clip deviates, for which it needs a detector "
            "with networks that were trained; judge with this one by: anomalous-sound score."
        )
    if inference.false_alarm_rate is not None:
        detector = detector.at_rate(inference.false_alarm_rate)
    return (
        detector.networks,
        detector.score,
        detector.reference,
        detector.thresholds,
        detector.calibration,
        detector.sound,
    )


def check_clips(
    raw_audio: AudioCorpus,
    detector: Detector,
    inference: InferenceSettings,
    jobs: int,
    engine: EngineSettings = LOCAL,
) -> tuple[pd.DataFrame, pd.DataFrame, CorpusSummary]:
    """Decode and check every clip, and find out which of them the detector can judge.

    A clip whose file name gives no machine ID is of the one that ``inference`` names, or of the
    detector's only one.

    Returns:
        ``clips``, ``rejected_clips`` and ``corpus_summary``.

    Raises:
        InputError: the detector was not trained on the machine ID that ``inference`` names, or has
            too few calibration clips for its false-alarm rate.
    """
    description = detector.description
    detector.check_machine_id(inference.machine_id, "inference.machine_id")
    if inference.false_alarm_rate is not None:
        detector.at_rate(inference.false_alarm_rate)  # refused before anything is decoded
    clips, rejected = clip_table.list_new_clips(
        raw_audio,
        description.features,
        machine_type=description.corpus.machine_type,
        machine_ids=detector.machine_ids,
        nameless=detector.known_as(inference.machine_id),
        min_frames=description.windows.frames,
        segments=description.corpus,
        jobs=jobs,
        engine=engine,
    )
    return clips, rejected, summarise(raw_audio, clips, rejected, description.corpus)


def track_counts(
    decisions: pd.DataFrame, rejected_clips: pd.DataFrame
) -> dict[str, dict[str, float]]:
    """Turn what was judged into MLflow metrics: how many clips, and how many of each decision."""
    counts = {
        "clips": len(decisions) + len(rejected_clips),
        **{str(one): int((decisions.decision == one).sum()) for one in Decision},
        "rejected": len(rejected_clips),
    }
    return {name: {"value": float(count), "step": 0} for name, count in counts.items()}


def extract_log_mel(
    raw_audio: AudioCorpus, clips: pd.DataFrame, detector: Detector
) -> dict[str, PromisedFrames]:
    """Promise the log-mel spectrogram of each clip, as the detector was trained on."""
    return extraction.promise_log_mel(raw_audio, clips, detector.description.features)


def index_windows(log_mel: Frames, detector: Detector) -> pd.DataFrame:
    """List the windows of every clip, as the detector was trained on."""
    description = detector.description
    return windowing.index_windows(
        log_mel.index, description.windows, frame_s=description.features.frame_s
    )
