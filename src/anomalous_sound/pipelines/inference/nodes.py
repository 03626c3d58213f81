"""Nodes from networks to the anomaly score of each clip, and to when and where it deviates.

They are wired twice: after a training, and to judge new recordings by a detector.
"""

from __future__ import annotations

import pandas as pd

from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.configuration.scoring import LocalisationSettings, ScoreSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import mel_band_edges_hz
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.scoring import localisation, pooling, scores
from anomalous_sound.scoring.band_errors import BandErrors
from anomalous_sound.scoring.errors import WindowScoring, target_offset_s
from anomalous_sound.scoring.localisation import WindowReference
from anomalous_sound.scoring.scores import Score
from anomalous_sound.vocabulary import Split

_IDENTITY = ["clip_id", "machine_type", "machine_id", "split", "label", "recording", "start_s"]


def score_windows(
    networks: TrainedNetworks,
    log_mel: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    inference: ScoringSettings,
    jobs: int,
) -> WindowScoring:
    """Promise the error of every window and mel band; the dataset asks for one clip at a time."""
    machine_ids = dict(zip(clips.clip_id, clips.machine_id, strict=True))
    return WindowScoring(networks, log_mel, windows, machine_ids, inference, jobs)


def list_window_errors(band_errors: BandErrors, windows: pd.DataFrame) -> pd.DataFrame:
    """List the error of every window, the mean over its mel bands: the timeline of each clip."""
    return windows[["clip_id", "start_s"]].assign(error=band_errors.window_errors)


def pool_errors_as_fitted(band_errors: BandErrors, fitted_score: Score) -> pd.DataFrame:
    """Pool the errors of each clip over time, as those that the score was fitted on."""
    return pooling.pool_errors(band_errors, fitted_score.settings)


def fit_score(
    pooled_errors: pd.DataFrame, clips: pd.DataFrame, score: ScoreSettings, seed: int
) -> Score:
    """Fit the score on the normal training clips; validation clips are left for thresholds."""
    training = clips[clips.split == Split.TRAIN]
    pooled = pooled_errors.set_index("clip_id").loc[training.clip_id]
    return scores.fit_score(score, pooled.to_numpy(), training.machine_id.to_numpy(), seed=seed)


def score_clips(
    pooled_errors: pd.DataFrame, clips: pd.DataFrame, fitted_score: Score
) -> pd.DataFrame:
    """Compute the anomaly score of every clip.

    Returns:
        ``clip_id, machine_type, machine_id, split, label, recording, start_s, score``, one row for
        each clip.
    """
    pooled = pooled_errors.set_index("clip_id").loc[clips.clip_id]
    identity = clips[_IDENTITY]
    return identity.assign(score=fitted_score.score(pooled.to_numpy(), clips.machine_id.to_numpy()))


def fit_window_reference(
    band_errors: BandErrors, clips: pd.DataFrame, settings: LocalisationSettings
) -> WindowReference:
    """Find how large the errors of windows and bands usually are, on normal training clips."""
    training = clips[clips.split == Split.TRAIN]
    errors = (
        (machine_id, band_errors.clip(clip_id))
        for clip_id, machine_id in zip(training.clip_id, training.machine_id, strict=True)
    )
    return localisation.fit_window_reference(errors, peak_percentile=settings.peak_percentile)


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
        LOCALISATION_COLUMNS: what stands out most first, for each clip.
    """
    description = networks.description
    edges = mel_band_edges_hz(
        description.features.log_mel.n_mels, description.features.audio.sample_rate
    )
    test = clips[clips.split == Split.TEST].set_index("clip_id").machine_id
    tables = []
    for clip_id, of_clip in window_errors.groupby("clip_id", observed=True, sort=False):
        if clip_id not in test.index:
            continue
        table = localisation.localise(
            band_errors.clip(clip_id),
            window_reference,
            test[clip_id],
            times_s=of_clip.start_s.to_numpy() + target_offset_s(description),
            band_edges_hz=edges,
            settings=settings,
        )
        tables.append(table.assign(clip_id=clip_id))
    columns = localisation.LOCALISATION_COLUMNS
    return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)
