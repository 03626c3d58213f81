"""Nodes that compare methods."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pandas as pd

from anomalous_sound.configuration.command_lines import kedro_run
from anomalous_sound.configuration.evaluation import CompareSettings, EvaluationSettings
from anomalous_sound.configuration.features import (
    AudioSettings,
    FeatureSettings,
    LogMelSettings,
    WindowSettings,
)
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.corpus.audio_corpus import AudioCorpus, clip_places
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.errors import InputError
from anomalous_sound.evaluation import baselines
from anomalous_sound.evaluation import comparison as comparing
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.levels import rms_dbfs
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.methods import discovery
from anomalous_sound.scoring.channels import score_of_channels
from anomalous_sound.tracking.registry import CHAMPION, promote
from anomalous_sound.training.folds import assign_folds, clips_left_out
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)

PERSISTENCE_MEAN_ERROR, LEVEL, ENSEMBLE = "persistence_mean_error", "level", "ensemble"
NETWORK, BASELINE, COMBINED = "network", "no training", "combined"
ENCODER = "frozen encoder"
WITH_RUN = (NETWORK, ENCODER)  # what has a run and thresholds of its own


def select_results(
    results: dict[str, Callable[[], dict[str, Any]]],
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
    compare: CompareSettings,
    audio: AudioSettings,
    log_mel: LogMelSettings,
    scaling: Scaling,
    audio_dir: str | None,
    detector: DetectorSettings,
    seed: int,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Take the results on this corpus and on these clips; say what is missing and how to make it.

    Returns:
        The result of each method, and for each missing one why, with the command that makes it.

    Raises:
        InputError: no method has been run on this corpus.
    """
    features = FeatureSettings(audio=audio, log_mel=log_mel).model_dump(mode="json")
    features["scaling"] = scaling.to_json()
    taken, missing = {}, {}
    for method in compare.methods or discovery.methods():
        given = {"audio_dir": audio_dir, "detector": detector.name}
        command = kedro_run(method, **given)
        result = results[method]() if method in results else None
        if result is None and method not in (compare.methods or discovery.trained_methods()):
            continue  # one with a frozen encoder is optional
        if result is None:
            missing[method] = f"it has not been run; run: {command}"
            continue
        is_other = result["corpus"]["fingerprint"] != corpus_summary.fingerprint
        if is_other and set(result["scores"]) == set(clips.clip_id):
            missing[method] = (
                "it was run on clips of the same names that were divided or labelled otherwise, or "
                "have changed since: with another seed, say; run: "
                + kedro_run(method, **given, seed=seed)
            )
        elif is_other:
            other = result["corpus"]["name"]
            missing[method] = f"it was run on other clips ({other}); run: {command}"
        elif result["features"] != features:
            missing[method] = f"it was run with other feature settings; run: {command}"
        elif set(result["scores"]) != set(clips.clip_id):
            missing[method] = f"it did not score the same clips; run: {command}"
        else:
            taken[method] = result
    if not taken:
        reasons = "; ".join(f"{method}: {reason}" for method, reason in missing.items())
        raise InputError(f"there is no result on {corpus_summary.name} to compare. {reasons}.")
    for method, reason in missing.items():
        logger.warning("Not compared: %s; %s", method, reason)
    return taken, missing


def score_baselines(
    raw_audio: AudioCorpus,
    clips: pd.DataFrame,
    log_mel: Frames,
    scaling: Scaling,
    audio: AudioSettings,
    windows: WindowSettings,
    compare: CompareSettings,
    detector: DetectorSettings,
    seed: int,
) -> pd.DataFrame:
    """Score the clips in four ways that need no training.

    ``spectrum`` and ``persistence`` have the networks' score; see
    :func:`.baselines.untrained_scores`. Two more have a plain one: ``persistence_mean_error`` is
    the mean error over the windows of the clip, and ``level`` is the clip's level: is it loudness
    alone that gives faults away?

    Returns:
        ``clip_id`` and the four scores; the mean error is of scaled log-mel values, the level in dB
        relative to full scale.
    """
    training = clips[clips.split == Split.TRAIN]
    left_out = clips_left_out(training, assign_folds(clips, detector, seed), detector, seed)
    table = baselines.untrained_scores(
        log_mel,
        clips,
        scaling=scaling,
        windows=windows,
        score=score_of_channels(compare.score, audio, detector),
        left_out=left_out,
        seed=seed,
    )
    mean_errors, levels = [], []
    for clip_id, place in clip_places(clips).items():
        frames = scaling.scaled(log_mel.clip(clip_id))
        mean_errors.append(float(baselines.persistence_errors(frames, windows).mean()))
        levels.append(rms_dbfs(raw_audio.mono_clip(place, audio)))
    return table.assign(**{PERSISTENCE_MEAN_ERROR: mean_errors, LEVEL: levels})


def collect_scores(
    method_results: dict[str, Any],
    baseline_scores: pd.DataFrame,
    clips: pd.DataFrame,
    compare: CompareSettings,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Put the scores of all methods, their ensemble and the rows without training together.

    Returns:
        Scores, long: ``method, clip_id, machine_type, machine_id, split, label, score``; and the
        methods: ``method, kind, thresholds, threshold_strategy, parameters, training_s,
        scoring_ms_per_clip``.
    """
    identity = clips[comparing.IDENTITY]
    scores, methods = {}, []
    for method, result in method_results.items():
        scores[method] = identity.assign(score=identity.clip_id.map(result["scores"]))
        methods.append(
            {
                "method": method,
                "kind": ENCODER if discovery.methods()[method].frozen else NETWORK,
                "thresholds": result["thresholds"],
                "threshold_strategy": result["threshold_strategy"],
                "parameters": result["parameters"],
                "training_s": result["training_s"],
                "scoring_ms_per_clip": 1000 * result["scoring_s_per_clip"],
            }
        )
    if all(method in scores for method in compare.ensemble):
        chosen = {method: scores[method] for method in compare.ensemble}
        scores[ENSEMBLE] = comparing.ensemble_scores(chosen)
        methods.append({"method": ENSEMBLE, "kind": COMBINED})
    for name in baseline_scores.columns.drop("clip_id"):
        values = baseline_scores.set_index("clip_id")[name]
        scores[name] = identity.assign(score=identity.clip_id.map(values))
        methods.append({"method": name, "kind": BASELINE})
    for row in methods:
        if "thresholds" not in row:
            thresholds = comparing.baseline_thresholds(scores[row["method"]], k=compare.k)
            row["thresholds"] = dict(thresholds.by_machine_id)
            row["threshold_strategy"] = thresholds.strategy
    long = pd.concat([table.assign(method=name) for name, table in scores.items()])
    table = pd.DataFrame(methods)
    table["thresholds"] = table.thresholds.map(json.dumps)  # a cell of a table of text
    return long[["method", *comparing.IDENTITY, "score"]], table


def compare_methods(
    scores: pd.DataFrame, methods: pd.DataFrame, evaluation: EvaluationSettings, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute metrics with intervals for each method, and the paired difference of each pair."""
    comparison, differences = comparing.compare_methods(
        by_method(scores, methods),
        thresholds_of(methods),
        evaluation,
        seed=seed,
    )
    costs = methods.drop(columns="thresholds")
    return comparison.merge(costs, on="method", validate="one_to_one"), differences


def find_disagreements(scores: pd.DataFrame, methods: pd.DataFrame) -> pd.DataFrame:
    """List the test clips that not all methods decide alike."""
    networks = methods[methods.kind.isin(WITH_RUN)]
    return comparing.disagreements(by_method(scores, networks), thresholds_of(networks))


def track_comparison(comparison: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Turn the comparison into MLflow metrics named ``metric.method``: each figure side by side."""
    numbers = comparison.set_index("method").select_dtypes("number")
    return {
        f"{name}.{method}": {"value": float(value), "step": 0}
        for method, row in numbers.iterrows()
        for name, value in row.dropna().items()
    }


def choose_best(
    comparison: pd.DataFrame,
    differences: pd.DataFrame,
    method_results: dict[str, Any],
    missing: dict[str, str],
    corpus_summary: CorpusSummary,
    compare: CompareSettings,
    report: str,
) -> dict[str, Any]:
    """Say which method is best on this corpus; make it the champion if it was asked for.

    Args:
        comparison: one row per method.
        differences: one row per pair of methods.
        method_results: those of the trained methods.
        missing: methods that are not compared, and why.
        corpus_summary: of the corpus.
        compare: ``promote`` says what becomes the champion.
        report: not used; a champion is made when all else is written.

    Returns:
        The best ``method``, those ``not_clearly_worse``, and the ``champion`` that was made:
        ``method``, ``name`` and ``version`` in MLflow's registry. Each may be None.

    Raises:
        InputError: a champion is asked for, and there is none to make.
    """
    found = comparing.best_of(comparison, differences, list(method_results))
    best, equals = found or (None, [])
    if best is not None:
        also = f"; not clearly better than {', '.join(equals)}" if equals else ""
        logger.info("Best on %s: %s%s.", corpus_summary.name, best, also)
    result = {"method": best, "not_clearly_worse": equals, "champion": None}
    if compare.promote is False:
        if best is not None:
            logger.info("To make it the %s: --params compare.promote=true.", CHAMPION)
        return result
    chosen = best if compare.promote is True else compare.promote
    if chosen is None:
        raise InputError(
            "compare.promote is true, but without normal and anomalous test clips no method is "
            "best; name one: compare.promote=METHOD."
        )
    if chosen not in method_results:
        raise InputError(f"compare.promote is {chosen}, which is not compared: {missing[chosen]}.")
    name, version = promote(method_results[chosen].get("detector", ""))
    logger.info("Version %s of '%s' (%s) is the %s now.", version, name, chosen, CHAMPION)
    return result | {"champion": {"method": chosen, "name": name, "version": version}}


def by_method(scores: pd.DataFrame, methods: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the scores of each method."""
    return {name: scores[scores.method == name] for name in methods.method}


def thresholds_of(methods: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return the threshold of each method and machine ID."""
    return {row.method: json.loads(row.thresholds) for row in methods.itertuples()}
