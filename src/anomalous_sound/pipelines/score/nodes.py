"""Nodes that judge recordings as a detector's own settings say."""

from __future__ import annotations

from typing import Any

import pandas as pd

from anomalous_sound.corpus import clips as clip_table
from anomalous_sound.corpus.clips import AudioCorpus
from anomalous_sound.decision.thresholds import Deployed
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames, PromisedFrames
from anomalous_sound.methods.trained_network import SHARED, TrainedNetwork
from anomalous_sound.pipelines.detection.nodes import verdict
from anomalous_sound.pipelines.preparation import nodes as preparation
from anomalous_sound.reporting import judgement_page
from anomalous_sound.scoring.band_errors import BandErrors


def check_clips(
    raw_audio: AudioCorpus, detector: TrainedNetwork, jobs: int
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Decode and check every clip, and find out which of them the detector can judge.

    Returns:
        ``clips``, ``rejected_clips`` and ``corpus_summary``.
    """
    settings = detector.settings
    thresholds = Deployed.of(settings["threshold"])
    for_all = detector.members() == [SHARED] and thresholds.shared is not None
    clips, rejected = clip_table.list_new_clips(
        raw_audio,
        machine_type=settings["corpus"]["machine_type"],
        machine_ids=None if for_all else thresholds.by_machine_id,
        **settings["audio"],
        hop_length=settings["log_mel"]["hop_length"],
        min_frames=settings["windows"]["length"] + settings["windows"]["next_frame"],
        jobs=jobs,
    )
    return clips, rejected, clip_table.summarise(raw_audio, clips, rejected)


def extract_log_mel(
    raw_audio: AudioCorpus, clips: pd.DataFrame, detector: TrainedNetwork
) -> dict[str, PromisedFrames]:
    """Promise the log-mel spectrogram of each clip, as the detector was trained on."""
    settings = detector.settings
    return preparation.extract_log_mel(raw_audio, clips, settings["audio"], settings["log_mel"])


def index_windows(log_mel: Frames, detector: TrainedNetwork) -> pd.DataFrame:
    """List the windows of every clip, as the detector was trained on."""
    settings = detector.settings
    return preparation.index_windows(
        log_mel, settings["audio"], settings["log_mel"], settings["windows"]
    )


def open_detector(
    detector: TrainedNetwork,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], pd.DataFrame]:
    """Take out what a detector knows beside its network.

    Returns:
        The fitted score, the window reference, the thresholds that decide, and the scores of the
        held-out normal clips that they were calibrated on.

    Raises:
        InputError: it was trained by an earlier version, which kept less.
    """
    names = ("score", "window_reference", "threshold", "calibration_scores")
    if absent := [name for name in names if name not in detector.settings]:
        raise InputError(
            f"the detector holds no {', '.join(absent)}: it was trained by an earlier version; "
            "train it again: kedro run --pipeline METHOD."
        )
    score, window_reference, threshold, held_out = (detector.settings[name] for name in names)
    return score, window_reference, threshold, pd.DataFrame(held_out)


def pool_errors(band_errors: BandErrors, fitted_score: dict[str, Any]) -> pd.DataFrame:
    """Pool the errors of each clip over time, as the score was fitted on."""
    return verdict.pool_errors(band_errors, fitted_score["settings"])


def decide(
    clip_scores: pd.DataFrame, deployed: dict[str, Any], calibration_scores: pd.DataFrame
) -> pd.DataFrame:
    """Decide every clip by the detector's threshold; see :func:`verdict.decide`."""
    shared = Deployed.of(deployed).shared
    known = deployed["by_machine_id"]
    # a threshold that all machine IDs share holds for one that was not there in training, too
    of_clips = {name: known.get(name, shared) for name in clip_scores.machine_id}
    both = pd.concat([calibration_scores, clip_scores], ignore_index=True)
    decisions = verdict.decide(both, {**deployed, "by_machine_id": known | of_clips})
    return decisions.iloc[len(calibration_scores) :].reset_index(drop=True)


def write_report(
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    localisation: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    detector: TrainedNetwork,
    corpus_summary: dict[str, Any],
) -> str:
    """Write which clips are called anomalous, and when and where they deviate."""
    judged = clip_scores.merge(decisions.drop(columns="score"), on="clip_id")
    return judgement_page.judgement_page(
        judged=judged,
        localisation=localisation,
        rejected_clips=rejected_clips,
        corpus=corpus_summary,
        settings=detector.settings,
    )
