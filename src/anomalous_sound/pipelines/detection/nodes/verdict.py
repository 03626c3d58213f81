"""Nodes from a network to what is said of each clip: score, decision, when and where."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pandas as pd

from anomalous_sound.decision import thresholds as threshold
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import mel_band_edges_hz
from anomalous_sound.methods.trained_network import TrainedNetwork
from anomalous_sound.scoring import clip_score, localisation
from anomalous_sound.scoring import errors as scoring_module
from anomalous_sound.scoring.band_errors import BandErrors
from anomalous_sound.scoring.errors import WindowScoring
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)


def score_windows(
    network: TrainedNetwork,
    log_mel: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    scoring: dict[str, Any],
    jobs: int,
) -> WindowScoring:
    """Promise the error of every window and mel band; the dataset asks for one clip at a time."""
    return WindowScoring(
        network,
        log_mel,
        windows,
        dict(zip(clips.clip_id, clips.machine_id, strict=True)),
        **scoring,
        jobs=jobs,
    )


def list_window_errors(band_errors: BandErrors, windows: pd.DataFrame) -> pd.DataFrame:
    """List the error of every window, the mean over its mel bands: the timeline of each clip."""
    return windows[["clip_id", "start_s"]].assign(error=band_errors.window_errors)


def pool_errors(band_errors: BandErrors, score: dict[str, Any]) -> pd.DataFrame:
    """Pool the errors of each clip over time."""
    return scoring_module.pool_errors(band_errors, score)


def fit_score(
    pooled_errors: pd.DataFrame, clips: pd.DataFrame, score: dict[str, Any], seed: int
) -> dict[str, Any]:
    """Fit the score on the normal training clips; validation clips are left for thresholds."""
    training = clips[clips.split == Split.TRAIN]
    pooled = pooled_errors.set_index("clip_id").loc[training.clip_id]
    fitted = clip_score.fit_score(
        pooled.to_numpy(), training.machine_id.to_numpy(), score, seed=seed
    )
    return {"settings": score, "fitted": fitted}


def score_clips(
    pooled_errors: pd.DataFrame, clips: pd.DataFrame, fitted_score: dict[str, Any]
) -> pd.DataFrame:
    """Compute the anomaly score of every clip.

    Returns:
        ``clip_id, machine_type, machine_id, split, label, score``, one row a clip.
    """
    pooled = pooled_errors.set_index("clip_id").loc[clips.clip_id]
    scores = clip_score.apply_score(
        fitted_score["fitted"],
        pooled.to_numpy(),
        clips.machine_id.to_numpy(),
        fitted_score["settings"],
    )
    identity = clips[["clip_id", "machine_type", "machine_id", "split", "label"]]
    return identity.assign(score=scores)


def set_calibration_clips(clip_scores: pd.DataFrame, held_out: pd.DataFrame) -> pd.DataFrame:
    """Put held-out scores in the place of the clips' own, where there are any.

    Returns:
        ``clip_scores`` in which the validation clips are those that thresholds are calibrated on:
        the validation clips, or with folds all normal clips, with their held-out scores.
    """
    if held_out.empty:
        return clip_scores
    scores = clip_scores.set_index("clip_id")
    scores.loc[held_out.clip_id, "score"] = held_out.score.to_numpy()
    scores.loc[held_out.clip_id, "split"] = Split.VALIDATION
    return scores.reset_index()[clip_scores.columns.tolist()]


def choose_thresholds(
    clip_scores: pd.DataFrame, thresholds: dict[str, Any], evaluation: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute all thresholds, normal-only and oracle, and what each does on the test clips.

    Returns:
        The table of thresholds, and the calibration: what those that state a false-alarm rate
        promise and deliver, for all clips and for each machine ID.
    """
    rate = thresholds["false_alarm_rate"]
    table = threshold.threshold_table(
        clip_scores,
        k=thresholds["k"],
        percentile=thresholds["percentile"],
        tpr=thresholds["tpr"],
        false_alarm_rate=rate,
    )
    calibration = threshold.calibration_tables(
        clip_scores, false_alarm_rate=rate, confidence=evaluation["confidence"]
    )
    return table, calibration


def deploy_threshold(clip_scores: pd.DataFrame, thresholds: dict[str, Any]) -> dict[str, Any]:
    """Choose the threshold that decides: the one asked for, or the fallback, and say why."""
    deployed = threshold.deploy(clip_scores, thresholds)
    if deployed.note:
        logger.warning("Threshold: %s; %s decides instead.", deployed.note, deployed.strategy)
    return {**dataclasses.asdict(deployed), "per": thresholds["per"]}


def decide(clip_scores: pd.DataFrame, deployed: dict[str, Any]) -> pd.DataFrame:
    """Decide every clip by the deployed threshold."""
    return threshold.decide(clip_scores, threshold.Deployed.of(deployed), per=deployed["per"])


def fit_window_reference(
    band_errors: BandErrors, clips: pd.DataFrame, localisation_settings: dict[str, Any]
) -> dict[str, Any]:
    """Find how large the errors of windows and bands usually are, on normal training clips."""
    training = clips[clips.split == Split.TRAIN]
    errors = (
        (machine_id, band_errors.clip(clip_id))
        for clip_id, machine_id in zip(training.clip_id, training.machine_id, strict=True)
    )
    return localisation.fit_window_reference(
        errors, peak_percentile=localisation_settings["peak_percentile"]
    )


def localise(
    band_errors: BandErrors,
    window_errors: pd.DataFrame,
    clips: pd.DataFrame,
    window_reference: dict[str, Any],
    network: TrainedNetwork,
    localisation_settings: dict[str, Any],
) -> pd.DataFrame:
    """Name the stretches of time and the mel bands of every test clip that deviate most."""
    settings = network.settings
    times = scoring_module.target_time_s(window_errors, settings)
    edges = mel_band_edges_hz(settings["log_mel"]["n_mels"], settings["audio"]["sample_rate"])
    how = {name: localisation_settings[name] for name in ("stretch_s", "stretches", "bands")}
    places = band_errors.index.set_index("clip_id")
    tables = []
    for clip in clips[clips.split == Split.TEST].itertuples():
        first, windows = places.loc[clip.clip_id, ["first_window", "windows"]]
        table = localisation.localise(
            band_errors.clip(clip.clip_id),
            window_reference,
            clip.machine_id,
            times_s=times[first : first + windows],
            band_edges_hz=edges,
            **how,
        )
        tables.append(table.assign(clip_id=clip.clip_id))
    columns = localisation.LOCALISATION_COLUMNS
    return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)


def assemble_detector(
    network: TrainedNetwork,
    fitted_score: dict[str, Any],
    window_reference: dict[str, Any],
    deployed: dict[str, Any],
    calibration_scores: pd.DataFrame,
) -> TrainedNetwork:
    """Put everything that judging a new clip needs into one thing."""
    held_out = calibration_scores[calibration_scores.split == Split.VALIDATION]
    added = {
        "score": fitted_score,
        "window_reference": window_reference,
        "threshold": deployed,
        "calibration_scores": held_out.to_dict("list"),
    }
    return TrainedNetwork(network.weights, {**network.settings, **added})
