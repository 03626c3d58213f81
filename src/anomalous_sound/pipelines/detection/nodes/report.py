"""Nodes that evaluate one method, draw, write and track it."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from anomalous_sound.corpus.clips import AudioCorpus
from anomalous_sound.decision import thresholds as threshold
from anomalous_sound.errors import InputError
from anomalous_sound.evaluation import metrics as metric
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import mel_band_edges_hz
from anomalous_sound.methods.trained_network import TrainedNetwork
from anomalous_sound.reporting import challenge, figures, page
from anomalous_sound.reporting.figures import Figure
from anomalous_sound.scoring import clip_score, localisation
from anomalous_sound.scoring import errors as scoring_module
from anomalous_sound.scoring.band_errors import BandErrors
from anomalous_sound.vocabulary import Split


def measure_localisation(
    raw_audio: AudioCorpus, marks: pd.DataFrame, clips: pd.DataFrame, network: TrainedNetwork
) -> dict[str, float]:
    """Measure how often the marks hit the fault, where the corpus says where each fault sounds."""
    if raw_audio.faults is None:
        return {}
    settings = network.settings
    return localisation.hit_rates(
        marks,
        raw_audio.faults,
        durations_s=dict(zip(clips.clip_id, clips.duration_s, strict=True)),
        band_edges_hz=mel_band_edges_hz(
            settings["log_mel"]["n_mels"], settings["audio"]["sample_rate"]
        ),
    )


def evaluate(
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    deployed: dict[str, Any],
    localisation_rates: dict[str, float],
    corpus_summary: dict[str, Any],
    evaluation: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Compute the metrics of the method on this corpus."""
    computed = metric.evaluate(
        clip_scores,
        max_fpr=evaluation["max_fpr"],
        resamples=evaluation["bootstrap_resamples"],
        confidence=evaluation["confidence"],
        seed=seed,
    )
    shared = threshold.Deployed.of(deployed).shared
    computed["deployed"] = {
        "strategy": deployed["strategy"],
        "note": deployed["note"],
        **({} if shared is None else {"threshold": shared}),
        **threshold.rates_of(clip_scores, decisions),
    }
    if localisation_rates:
        computed["localisation"] = localisation_rates
    return computed | {"corpus": corpus_summary}


def classification_report(threshold_table: pd.DataFrame, clip_scores: pd.DataFrame) -> pd.DataFrame:
    """Lay out precision, recall and F1 per class and threshold (the report's Table 1)."""
    return threshold.classification_report(threshold_table, clip_scores)


def write_submission(
    clip_scores: pd.DataFrame, decisions: pd.DataFrame, metrics: dict[str, Any]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Lay out scores, decisions and results as the DCASE challenges exchange them."""
    return challenge.submission_files(clip_scores, decisions), challenge.result_table(metrics)


def track_epochs(training_history: pd.DataFrame) -> dict[str, list[dict[str, float]]]:
    """Turn the training history into MLflow metrics, one value an epoch."""
    return {
        name: [
            {"value": value, "step": step}
            for step, value in zip(training_history.epoch, training_history[name], strict=True)
        ]
        for name in ("training_loss", "validation_loss", "seconds")
    }


def track_metrics(metrics: dict[str, Any], result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Turn metrics and costs into MLflow metrics."""
    facts = ("corpus", "confidence", "max_fpr")  # what was asked, not what came out
    numbers = _numbers({key: value for key, value in metrics.items() if key not in facts})
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


def summarise_result(
    clip_scores: pd.DataFrame,
    deployed: dict[str, Any],
    network: TrainedNetwork,
    training_history: pd.DataFrame,
    band_errors: BandErrors,
) -> dict[str, Any]:
    """Put into one file all that a comparison with other methods needs."""
    from anomalous_sound.methods.frame_network import count_parameters

    members = network.members()
    features = ("audio", "log_mel", "scaling")
    return {
        "corpus": network.settings["corpus"],
        "features": {name: network.settings[name] for name in features},
        "architecture": network.settings["network"]["architecture"],
        "scores": dict(zip(clip_scores.clip_id, clip_scores.score.astype(float), strict=True)),
        "thresholds": deployed["by_machine_id"],
        "threshold_strategy": deployed["strategy"],
        "parameters": len(members) * count_parameters(network.build(members[0])),
        "training_s": float(training_history.seconds.sum()),
        "scoring_s_per_clip": float(band_errors.index.seconds.mean()),
    }


def plot_roc(
    clip_scores: pd.DataFrame,
    threshold_table: pd.DataFrame,
    metrics: dict[str, Any],
    deployed: dict[str, Any],
) -> Figure:
    """Draw the ROC curve of the test clips with every threshold marked."""
    return figures.roc_figure(clip_scores, threshold_table, metrics, deployed["strategy"])


def plot_scores(
    clip_scores: pd.DataFrame,
    deployed: dict[str, Any],
    fitted_score: dict[str, Any],
    corpus_summary: dict[str, Any],
) -> Figure:
    """Draw the distribution of the anomaly scores by split and label."""
    return figures.score_figure(
        clip_scores,
        threshold.Deployed.of(deployed).shared,
        deployed["strategy"],
        clip_score.unit(fitted_score["settings"]),
        corpus_summary,
    )


def plot_history(training_history: pd.DataFrame, corpus_summary: dict[str, Any]) -> Figure:
    """Draw training and validation loss over the epochs."""
    return figures.history_figure(training_history, corpus_summary)


def plot_timelines(
    log_mel: Frames,
    band_errors: BandErrors,
    window_errors: pd.DataFrame,
    clip_scores: pd.DataFrame,
    marks: pd.DataFrame,
    window_reference: dict[str, Any],
    network: TrainedNetwork,
    corpus_summary: dict[str, Any],
    localisation_settings: dict[str, Any],
) -> Figure:
    """Draw when and where clips deviate: those asked for, or the least and the most anomalous.

    Raises:
        InputError: a clip that was asked for is not among the clips.
    """
    shown = _clips_to_show(clip_scores, localisation_settings["clip_ids"])
    time_s = scoring_module.target_time_s(window_errors, network.settings)
    errors = window_errors.assign(time_s=time_s)
    maps = {
        clip.clip_id: localisation.deviation_map(
            band_errors.clip(clip.clip_id), window_reference, clip.machine_id
        )
        for clip in shown.itertuples()
    }
    return figures.timeline_figure(
        log_mel, errors, maps, shown, marks, network.settings, corpus_summary
    )


def _clips_to_show(clip_scores: pd.DataFrame, clip_ids: list[str] | None) -> pd.DataFrame:
    if clip_ids is None:
        split = Split.TEST if (clip_scores.split == Split.TEST).any() else Split.VALIDATION
        ranked = clip_scores[clip_scores.split == split].sort_values("score")
        return ranked.iloc[[0, -1]].drop_duplicates("clip_id")
    if unknown := sorted(set(clip_ids) - set(clip_scores.clip_id)):
        raise InputError(
            f"localisation.clip_ids names {', '.join(unknown)}, which is not among the clips; "
            f"they are called like {clip_scores.clip_id.iloc[0]}."
        )
    return clip_scores.set_index("clip_id", drop=False).loc[clip_ids]


def write_report(
    metrics: dict[str, Any],
    threshold_table: pd.DataFrame,
    classification: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    network: TrainedNetwork,
    fitted_score: dict[str, Any],
    deployed: dict[str, Any],
    calibration: pd.DataFrame,
) -> str:
    """Write the page that a person reads first."""
    return page.report_page(
        metrics=metrics,
        thresholds=threshold_table,
        classification=classification,
        rejected_clips=rejected_clips,
        settings=network.settings,
        score=fitted_score["settings"],
        deployed=deployed,
        calibration=calibration,
    )
