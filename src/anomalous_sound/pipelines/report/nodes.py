"""Nodes that evaluate one method, and say what it was made with, for tables and for MLflow."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.configuration.decision import EvidenceSettings, ThresholdSettings
from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.configuration.features import (
    AudioSettings,
    LogMelSettings,
    ScalingSettings,
    WindowSettings,
)
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import DetectorSettings, TrainingSettings
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.evaluation import metrics as metric
from anomalous_sound.evaluation import official, run_result
from anomalous_sound.evaluation.calibration_table import calibration_table
from anomalous_sound.evaluation.localisation_rates import hit_rates
from anomalous_sound.evaluation.threshold_table import threshold_table
from anomalous_sound.features.log_mel import mel_band_edges_hz
from anomalous_sound.methods.base import NetworkSettings
from anomalous_sound.methods.discovery import method_of
from anomalous_sound.methods.embedding.encoder import FrozenEncoder
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.provenance.origin import Origin
from anomalous_sound.reporting import (
    challenge,
)
from anomalous_sound.scoring.band_errors import BandErrors
from anomalous_sound.vocabulary import Decision

logger = logging.getLogger(__name__)


def measure_localisation(
    raw_audio: AudioCorpus, marks: pd.DataFrame, clips: pd.DataFrame, network: TrainedNetworks
) -> dict[str, float]:
    """Measure how often the marks hit the fault, where the corpus says where each fault sounds."""
    if raw_audio.faults is None:
        return {}
    features = network.description.features
    return hit_rates(
        marks,
        pd.DataFrame(raw_audio.faults.rows),
        durations_s=dict(zip(clips.clip_id, clips.duration_s, strict=True)),
        band_edges_hz=mel_band_edges_hz(features.log_mel.n_mels, features.audio.sample_rate),
    )


def tabulate_thresholds(
    clip_scores: pd.DataFrame,
    calibration_scores: CalibrationScores,
    deployed: Thresholds,
    decisions: pd.DataFrame,
    settings: ThresholdSettings,
    evaluation: EvaluationSettings,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lay out all thresholds, normal-only and oracle, and what each does on the test clips.

    Returns:
        The table of thresholds, and the calibration: what those with a false-alarm rate promise
        and deliver, for all clips and for each machine ID.
    """
    judged = clip_scores.merge(decisions[["clip_id", "foreign"]], on="clip_id")
    return (
        threshold_table(clip_scores, calibration_scores, settings, deployed),
        calibration_table(judged, calibration_scores, settings, confidence=evaluation.confidence),
    )


def evaluate(
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    deployed: Thresholds,
    corpus_summary: CorpusSummary,
    evaluation: EvaluationSettings,
    seed: int,
    window_errors: pd.DataFrame | None = None,
    localisation_rates: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Compute the metrics of the method on this corpus.

    The last two are there where networks predict or reconstruct windows.
    """
    computed = metric.evaluate(clip_scores, evaluation, seed=seed)
    if window_errors is None:
        computed |= {"validation_error_mean": None, "validation_error_std": None}
    else:
        computed |= metric.validation_errors(clip_scores, window_errors)
    if window_errors is not None and computed["validation_error_std"] is None:
        computed["not_computed"]["validation_error_std"] = "there is only one validation clip"
    computed["deployed"] = {
        "strategy": deployed.strategy,
        "note": deployed.note,
        **({} if deployed.shared is None else {"threshold": deployed.shared}),
        **metric.rates_of(clip_scores, decisions),
        "undecided": int((decisions.decision == Decision.UNDECIDED).sum()),
        "foreign": int(decisions.foreign.sum()),
    }
    if evaluation.challenge_year is not None or official.has_domains(clip_scores):
        computed["official"] = official.official_figures(
            clip_scores, decisions, evaluation.challenge_year
        )
        for reason in dict.fromkeys(computed["official"]["not_computed"].values()):
            logger.warning("An official figure cannot be computed: %s.", reason)
    if localisation_rates:
        computed["localisation"] = localisation_rates
    return computed | {"corpus": corpus_summary.model_dump(mode="json")}


def write_submission(
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    metrics: dict[str, Any],
    evaluation: EvaluationSettings,
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Lay out scores, decisions and results as the DCASE challenges exchange them."""
    year = evaluation.challenge_year
    return (
        challenge.submission_files(clip_scores, decisions, year),
        challenge.result_table(metrics, year),
    )


def track_epochs(training_history: pd.DataFrame) -> dict[str, list[dict[str, float]]]:
    """Turn the training history into MLflow metrics, one value per epoch."""
    return {
        name: [
            {"value": value, "step": step}
            for step, value in zip(training_history.epoch, training_history[name], strict=True)
        ]
        for name in ("training_loss", "validation_loss", "seconds")
    }


def track_metrics(metrics: dict[str, Any], result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Turn metrics and costs into MLflow metrics; ``official`` is named with its year."""
    # what was asked, not what came out; and what is named otherwise
    facts = ("corpus", "confidence", "max_fpr", "official")
    numbers = _numbers({key: value for key, value in metrics.items() if key not in facts})
    if "official" in metrics:
        found = {key: value for key, value in metrics["official"].items() if key != "year"}
        numbers |= _numbers(found, f"official_{metrics['official']['year']}.")
    numbers |= {name: result[name] for name in ("parameters", "training_s", "scoring_s_per_clip")}
    # MLflow refuses other characters, and a machine ID may hold any
    return {
        re.sub(r"[^\w./ -]", "_", name): {"value": float(value), "step": 0}
        for name, value in numbers.items()
    }


def _numbers(values: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """Flatten nested numbers; names joined by a dot, the ends of an interval named low and high."""
    found: dict[str, float] = {}
    for name, value in values.items():
        if isinstance(value, list):
            value = dict(zip(("low", "high"), value, strict=True))
        if isinstance(value, dict):
            found |= _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, int | float):
            found[prefix + name] = value
    return found


def describe_run(
    network: NetworkSettings,
    training: TrainingSettings,
    score: ScoreSettings,
    windows: WindowSettings,
    corpus: CorpusSettings,
    audio: AudioSettings,
    log_mel: LogMelSettings,
    scaling: ScalingSettings,
    detector: DetectorSettings,
    thresholds: ThresholdSettings,
    evidence: EvidenceSettings,
    seed: int,
) -> dict[str, Any]:
    """Describe how this run is made; see :func:`.run_result.describe`."""
    return run_result.describe(
        method_of(network).name,
        seed,
        network=network,
        training=training,
        score=score,
        windows=windows,
        corpus=corpus,
        audio=audio,
        log_mel=log_mel,
        scaling=scaling,
        detector=detector,
        thresholds=thresholds,
        evidence=evidence,
    )


def summarise_result(
    clip_scores: pd.DataFrame,
    deployed: Thresholds,
    network: TrainedNetworks | FrozenEncoder,
    detector: Detector,
    run_description: dict[str, Any],
    origin: Origin,
    scored: BandErrors | Mapping[str, float],
    training_history: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Put into one file all that a comparison with other methods and runs needs.

    Args:
        clip_scores: of all clips.
        deployed: the thresholds that decide.
        network: what has scored the clips.
        detector: what was made of it all.
        run_description: how the run was made.
        origin: what it was made with.
        scored: what knows how long a clip takes: errors, or ``seconds_per_clip`` of an encoder.
        training_history: seconds of every epoch; None with a frozen encoder.
    """
    description = network.description
    features = description.features.model_dump(mode="json")
    return {
        "run": run_description,
        "origin": origin.model_dump(mode="json"),
        "trained_on": dict(description.trained_on),
        "test": run_result.test_table(clip_scores),
        "corpus": description.corpus.model_dump(mode="json"),
        "features": {**features, "scaling": description.scaling.to_json()},
        "scores": dict(zip(clip_scores.clip_id, clip_scores.score.astype(float), strict=True)),
        "thresholds": dict(deployed.by_machine_id),
        "threshold_strategy": deployed.strategy,
        "parameters": network.count_parameters(),
        "training_s": 0.0 if training_history is None else float(training_history.seconds.sum()),
        "scoring_s_per_clip": _seconds_a_new_clip(scored),
        "detector": detector.identity.digest,
    }


def _seconds_a_new_clip(scored: BandErrors | Mapping[str, float]) -> float:
    """Return the mean time of the clips that all networks judge; with folds, one judges others."""
    if isinstance(scored, Mapping):
        return scored["seconds_per_clip"]
    members = scored.index.members.map(len)
    return float(scored.index.seconds[members == members.max()].mean())
