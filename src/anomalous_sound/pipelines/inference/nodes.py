"""Nodes from networks to the anomaly score of each clip, and to when and where it deviates.

They are wired twice: after a training, and to judge new recordings by a detector.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.configuration.compute import LOCAL, EngineSettings
from anomalous_sound.configuration.decision import EvidenceSettings
from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.configuration.inference import InferenceSettings
from anomalous_sound.configuration.scoring import (
    ClipScoreSettings,
    LocalisationSettings,
    ScoreSettings,
)
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.decision.sound_reference import SoundReference, foreign_among
from anomalous_sound.decision.spectra import spectra_of_clips
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.levels import mean_spectrum
from anomalous_sound.features.log_mel import mel_band_edges_hz
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.scoring import event_words, events, localisation, pooling, scores
from anomalous_sound.scoring.band_errors import BandErrors, mean_over_members
from anomalous_sound.scoring.channels import score_of_channels, scores_of_channels
from anomalous_sound.scoring.domains import domains_of
from anomalous_sound.scoring.errors import WindowScoring, target_offset_s
from anomalous_sound.scoring.localisation import WindowReference
from anomalous_sound.scoring.score import Score
from anomalous_sound.training.folds import clips_left_out
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)

_IDENTITY = [
    *("clip_id", "machine_type", "machine_id", "split", "label"),
    *("recording", "start_s", "domain"),
]
CHANNEL_COLUMNS = ["clip_id", "channel", "score"]


def score_windows(
    networks: TrainedNetworks,
    log_mel: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    inference: InferenceSettings,
    jobs: int,
    engine: EngineSettings = LOCAL,
    folds: pd.DataFrame | None = None,
) -> WindowScoring:
    """Promise the error of every window and mel band; the dataset asks for one clip at a time.

    Where ``folds`` are given, their clips are scored by the network that has not heard them.
    """
    machine_ids = dict(zip(clips.clip_id, clips.machine_id, strict=True))
    of_clips = {} if folds is None else dict(zip(folds.clip_id, folds.fold, strict=True))
    return WindowScoring(
        networks, log_mel, windows, machine_ids, inference.scoring(), jobs, of_clips, engine
    )


def list_window_errors(band_errors: BandErrors, windows: pd.DataFrame) -> pd.DataFrame:
    """List the error of every window, the mean over mel bands and members: each clip's timeline."""
    return windows[["clip_id", "start_s"]].assign(error=band_errors.mean_window_errors())


def pool_errors(
    band_errors: BandErrors,
    log_mel: Frames,
    networks: TrainedNetworks,
    score: ScoreSettings,
    detector: DetectorSettings,
) -> pd.DataFrame:
    """Pool what the score reads of each clip over time: errors, spectrum or both."""
    of_clips = score_of_channels(score, networks.description.features.audio, detector)
    return _pooled(band_errors, log_mel, networks, of_clips)


def _pooled(
    band_errors: BandErrors, log_mel: Frames, networks: TrainedNetworks, score: ClipScoreSettings
) -> pd.DataFrame:
    scaling = networks.description.scaling

    def spectrum(clip_id: str) -> np.ndarray:
        return scaling.scaled(log_mel.clip(clip_id))

    return pooling.pool_errors(band_errors, score, spectrum)


def pool_errors_as_fitted(
    band_errors: BandErrors, log_mel: Frames, networks: TrainedNetworks, fitted_score: Score
) -> pd.DataFrame:
    """Pool each clip over time, as those that the score was fitted on."""
    return _pooled(band_errors, log_mel, networks, fitted_score.settings)


def fit_score(
    pooled_errors: pd.DataFrame,
    clips: pd.DataFrame,
    folds: pd.DataFrame,
    score: ScoreSettings,
    audio: AudioSettings,
    detector: DetectorSettings,
    seed: int,
) -> tuple[Score, pd.DataFrame]:
    """Fit the score on the normal training clips, and score each by one fitted without it.

    With folds these are all normal clips, each with the errors of the network that has not heard
    it; otherwise validation clips are left for thresholds, and training clips need no score.

    Returns:
        The score, fitted on all of them; and ``clip_id, score`` of each, which has no row where
        validation clips are held out.
    """
    pooled, training = _of_training(pooled_errors, clips)
    left_out = clips_left_out(training, folds, detector, seed)
    normal = (
        score_of_channels(score, audio, detector),
        *(pooled, training.machine_id.to_numpy()),
    )
    domains = domains_of(training)
    if left_out is None:
        nobody = pd.DataFrame({"clip_id": pd.Series(dtype=str), "score": pd.Series(dtype=float)})
        return scores.fit_score(*normal, seed=seed, domains=domains), nobody
    fitted, values = scores.fit_and_score_left_out(*normal, left_out, seed=seed, domains=domains)
    return fitted, training[["clip_id"]].assign(score=values).reset_index(drop=True)


def score_clips(
    pooled_errors: pd.DataFrame,
    clips: pd.DataFrame,
    fitted_score: Score,
    left_out_scores: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Compute the anomaly score of every clip.

    Args:
        pooled_errors: one row a clip and member.
        clips: the table of clips.
        fitted_score: the score.
        left_out_scores: those of training clips that the score was fitted on.

    Returns:
        ``clip_id, machine_type, machine_id, split, label, recording, start_s, domain, score``, one
        row for each clip.
    """
    known = {} if left_out_scores is None else dict(left_out_scores.to_numpy().tolist())
    of_clips = pooling.of_clips(pooled_errors, clips.clip_id)
    found = [
        known[clip_id] if clip_id in known else fitted_score.clip_score(pooled, machine_id)
        for clip_id, pooled, machine_id in zip(
            clips.clip_id, of_clips, clips.machine_id, strict=True
        )
    ]
    return clips[_IDENTITY].assign(score=np.array(found, dtype=float))


def score_channels(
    pooled_errors: pd.DataFrame, clips: pd.DataFrame, fitted_score: Score
) -> pd.DataFrame:
    """Say what each channel says of the clips that the score was not fitted on.

    Returns:
        ``clip_id, channel, score``: the score of each channel, in standard deviations above
        left-out normal clips; no row where one channel is judged.
    """
    new = clips[clips.split != Split.TRAIN]
    of_clips = pooling.of_clips(pooled_errors, new.clip_id)
    rows = [
        (clip_id, channel, score)
        for clip_id, machine_id, pooled in zip(new.clip_id, new.machine_id, of_clips, strict=True)
        for channel, score in scores_of_channels(fitted_score, pooled, machine_id).items()
    ]
    return pd.DataFrame(rows, columns=CHANNEL_COLUMNS)


def _of_training(
    pooled_errors: pd.DataFrame, clips: pd.DataFrame
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the pooled errors of the training clips, each of one member, and their rows."""
    training = clips[clips.split == Split.TRAIN]
    of_clips = pooling.of_clips(pooled_errors, training.clip_id)
    return np.concatenate(of_clips), training


def fit_window_reference(
    band_errors: BandErrors,
    clips: pd.DataFrame,
    networks: TrainedNetworks,
    settings: LocalisationSettings,
) -> WindowReference:
    """Find how large the errors of windows and bands usually are, on normal training clips."""
    training = clips[clips.split == Split.TRAIN]

    def errors() -> Iterator[tuple[str, np.ndarray]]:
        for clip_id, machine_id in zip(training.clip_id, training.machine_id, strict=True):
            yield machine_id, mean_over_members(band_errors.clip(clip_id))

    return localisation.fit_window_reference(
        errors,
        peak_percentile=settings.peak_percentile,
        events=settings.events,
        channels=len(networks.description.features.audio.channels),
    )


def fit_sound_reference(
    clips: pd.DataFrame, log_mel: Frames, evidence: EvidenceSettings, audio: AudioSettings
) -> tuple[SoundReference, pd.DataFrame]:
    """Take level, crest factor and spectrum of all normal clips that are not tested.

    Returns:
        The reference; and ``clip_id, machine_id`` of those of them that are foreign among the
        others.
    """
    normal = clips[clips.split != Split.TEST]
    spectra = spectra_of_clips(normal.clip_id, log_mel)
    foreign = foreign_among(normal, spectra, evidence)
    reference = SoundReference.fit(normal, spectra, evidence, sample_rate=audio.sample_rate)
    if reference.are_mixed:
        logger.warning(
            "The normal clips last from %.1f to %.1f s. A longer clip usually scores higher, so "
            "what is promised holds for such a mixture, and faults in the short ones are missed "
            "more often. Better clips of one length: --params corpus.segment_s=S.",
            *(reference.durations_s or ()),
        )
    return (
        reference,
        normal.loc[foreign, ["clip_id", "machine_id"]],
    )


def localise(
    band_errors: BandErrors,
    window_errors: pd.DataFrame,
    clips: pd.DataFrame,
    window_reference: WindowReference,
    networks: TrainedNetworks,
    settings: LocalisationSettings,
) -> pd.DataFrame:
    """Name the segments of time and the mel bands of every test clip that deviate most.

    Returns:
        LOCALISATION_COLUMNS: what stands out most first, for each clip in which something does.
    """
    description = networks.description
    edges = mel_band_edges_hz(
        description.features.log_mel.n_mels, description.features.audio.sample_rate
    )
    test = clips[clips.split == Split.TEST].set_index("clip_id").machine_id
    rows: list[dict[str, Any]] = []
    for clip_id, of_clip in window_errors.groupby("clip_id", observed=True, sort=False):
        if clip_id not in test.index:
            continue
        places = localisation.localise(
            mean_over_members(band_errors.clip(clip_id)),
            window_reference,
            test[clip_id],
            times_s=of_clip.start_s.to_numpy() + target_offset_s(description),
            band_edges_hz=edges,
            settings=settings,
        )
        rows += [{"clip_id": clip_id, **place._asdict()} for place in places]
    return pd.DataFrame(rows, columns=localisation.LOCALISATION_COLUMNS)


def list_events(
    band_errors: BandErrors,
    window_errors: pd.DataFrame,
    log_mel: Frames,
    clips: pd.DataFrame,
    window_reference: WindowReference,
    sound_reference: SoundReference,
    networks: TrainedNetworks,
    settings: LocalisationSettings,
) -> pd.DataFrame:
    """Find the events of every test clip: boxes in time and frequency, and what they are like.

    Returns:
        EVENT_COLUMNS: the heaviest first, for each clip; none for a clip in which nothing exceeds
        what normal clips show.
    """
    description = networks.description
    features = description.features
    edges = mel_band_edges_hz(features.log_mel.n_mels, features.audio.sample_rate)
    starts_s = dict(list(window_errors.groupby("clip_id", observed=True, sort=False).start_s))
    rows: list[dict[str, Any]] = []
    test = clips[clips.split == Split.TEST]
    for clip_id, machine_id in zip(test.clip_id, test.machine_id, strict=True):
        errors = mean_over_members(band_errors.clip(clip_id))
        frames = log_mel.mean_clip(clip_id)
        found = event_words.list_events(
            window_reference.deviation_map(errors, machine_id),
            frames,
            window_reference.event_limits,
            times_s=starts_s[clip_id].to_numpy() + target_offset_s(description),
            frame_s=features.frame_s,
            band_edges_hz=edges,
            levels=sound_reference.mean_spectra.levels(mean_spectrum(frames), machine_id),
            settings=settings.events,
        )
        rows += [{"clip_id": clip_id, **event} for event in found]
    return pd.DataFrame(rows, columns=events.EVENT_COLUMNS)
