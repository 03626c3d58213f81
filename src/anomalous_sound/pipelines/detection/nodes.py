"""Nodes of one method, from windows to report."""

from __future__ import annotations

import dataclasses
import logging
import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from anomalous_sound import clip_score, localisation
from anomalous_sound import metrics as metric
from anomalous_sound import thresholds as threshold
from anomalous_sound.audio import frames as framing
from anomalous_sound.audio.clips import AudioCorpus
from anomalous_sound.audio.frames import Frames, WindowedFrames
from anomalous_sound.audio.layout import TEST, TRAIN, VALIDATION
from anomalous_sound.audio.log_mel import mel_band_edges_hz
from anomalous_sound.errors import InputError
from anomalous_sound.models import scoring as scoring_module
from anomalous_sound.models.band_errors import BandErrors
from anomalous_sound.models.checkpoint import Checkpoint
from anomalous_sound.models.cross_validation import held_out_scores
from anomalous_sound.models.network import TrainedNetwork
from anomalous_sound.models.scoring import WindowScoring
from anomalous_sound.reporting import challenge, figures, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)


def collect_settings(
    network: dict[str, Any],
    audio: dict[str, Any],
    log_mel: dict[str, Any],
    windows: dict[str, Any],
    scaling: dict[str, Any],
    corpus_summary: dict[str, Any],
) -> dict[str, Any]:
    """Put together what a network is built from and must be fed with."""
    return {
        "network": network,
        "audio": audio,
        "log_mel": log_mel,
        "windows": windows,
        "scaling": scaling,
        "corpus": corpus_summary,
    }


def train_network(
    log_mel: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    settings: dict[str, Any],
    checkpoint: Checkpoint,
    training: dict[str, Any],
    detector: dict[str, Any],
    seed: int,
) -> tuple[TrainedNetwork, pd.DataFrame]:
    """Train on normal clips only, one network for all machine IDs or one for each.

    See :func:`anomalous_sound.models.training.train_network`.

    Raises:
        InputError: a machine ID has too few clips for a network of its own.
    """
    from anomalous_sound.models.training import train_members
    from anomalous_sound.models.training import train_network as train

    windows, form = _training_windows(log_mel, windows, settings, training)

    def windows_of(used: pd.DataFrame) -> tuple[WindowedFrames, WindowedFrames]:
        training_windows, validation_windows = (
            WindowedFrames(
                log_mel,
                windows[windows.clip_id.isin(used.clip_id[used.split == split])],
                settings["scaling"],
                **form,
            )
            for split in (TRAIN, VALIDATION)
        )
        return training_windows, validation_windows

    how = {
        "settings": settings,
        "training": training | {"seed": seed},
        "checkpoint": checkpoint,
    }
    if detector["per"] == "machine_type":
        return train(*windows_of(clips), **how)
    used = clips[clips.split.isin([TRAIN, VALIDATION])]
    for machine_id, of_id in used.groupby("machine_id"):
        if set(of_id.split) != {TRAIN, VALIDATION}:
            raise InputError(
                f"machine ID '{machine_id}' has too few normal clips for a network of its own: at "
                "least 2 are needed, one to train on and one to validate with."
            )
    return train_members(
        {machine_id: windows_of(of_id) for machine_id, of_id in used.groupby("machine_id")}, **how
    )


def _training_windows(
    log_mel: Frames, windows: pd.DataFrame, settings: dict[str, Any], training: dict[str, Any]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the windows to train on and their form: those that are scored, or longer stretches."""
    if "stretch" not in training:
        return windows, settings["windows"]
    form = {"length": training["stretch"], "next_frame": True}
    stretches = framing.index_windows(
        log_mel.index,
        **form,
        stride=training["stride"],
        hop_length=settings["log_mel"]["hop_length"],
        sample_rate=settings["audio"]["sample_rate"],
    )
    too_short = len(log_mel.index) - stretches.clip_id.nunique()
    if stretches.empty:
        raise InputError(
            f"no clip has the {training['stretch'] + 1} frames of a stretch to train on; lower the "
            "parameter training.stretch of this method."
        )
    if too_short:
        logger.warning("%d clips are shorter than a stretch and are not trained on.", too_short)
    return stretches, form


def score_windows(
    network: TrainedNetwork,
    log_mel: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    scoring: dict[str, Any],
) -> WindowScoring:
    """Promise the error of every window and mel band; the dataset asks for one clip at a time."""
    return WindowScoring(
        network,
        log_mel,
        windows,
        dict(zip(clips.clip_id, clips.machine_id, strict=True)),
        batch_size=scoring["batch_size"],
        accelerator=scoring["accelerator"],
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
    training = clips[clips.split == TRAIN]
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


def cross_validate(
    log_mel: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    settings: dict[str, Any],
    checkpoint: Checkpoint,
    training: dict[str, Any],
    scoring: dict[str, Any],
    score: dict[str, Any],
    thresholds: dict[str, Any],
    seed: int,
) -> pd.DataFrame:
    """Score the normal clips by networks trained on the other folds, if folds are asked for."""
    training_windows, form = _training_windows(log_mel, windows, settings, training)
    return held_out_scores(
        log_mel,
        windows,
        clips,
        folds=thresholds["folds"],
        training_windows=training_windows,
        training_form=form,
        settings=settings,
        training=training | {"seed": seed},
        scoring=scoring,
        score=score,
        checkpoint=checkpoint,
    )


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
    scores.loc[held_out.clip_id, "split"] = VALIDATION
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
    return threshold.decide(clip_scores, _deployed(deployed), per=deployed["per"])


def _deployed(deployed: dict[str, Any]) -> threshold.Deployed:
    return threshold.Deployed(**{k: value for k, value in deployed.items() if k != "per"})


def fit_window_reference(band_errors: BandErrors, clips: pd.DataFrame) -> dict[str, Any]:
    """Find how large the errors of windows and bands usually are, on normal training clips."""
    training = clips[clips.split == TRAIN]
    return localisation.fit_window_reference(
        (machine_id, band_errors.clip(clip_id))
        for clip_id, machine_id in zip(training.clip_id, training.machine_id, strict=True)
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
    for clip in clips[clips.split == TEST].itertuples():
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


def assemble_detector(
    network: TrainedNetwork,
    fitted_score: dict[str, Any],
    window_reference: dict[str, Any],
    deployed: dict[str, Any],
) -> TrainedNetwork:
    """Put everything that judging a new clip needs into one thing."""
    added = {
        "score": fitted_score,
        "window_reference": window_reference,
        "threshold": deployed,
    }
    return TrainedNetwork(network.weights, {**network.settings, **added})


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
    shared = _deployed(deployed).shared
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
    from anomalous_sound.models.frame_model import count_parameters

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
        _deployed(deployed).shared,
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
    return figures.timeline_figure(log_mel, errors, maps, shown, marks, network.settings)


def _clips_to_show(clip_scores: pd.DataFrame, clip_ids: list[str] | None) -> pd.DataFrame:
    if clip_ids is None:
        split = TEST if (clip_scores.split == TEST).any() else VALIDATION
        ranked = clip_scores[clip_scores.split == split].sort_values("score")
        return ranked.iloc[[0, -1]]
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
