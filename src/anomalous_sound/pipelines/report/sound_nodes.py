"""Nodes that make the page that can be heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.configuration.reporting import PageSettings
from anomalous_sound.corpus.audio_corpus import AudioCorpus, clip_places
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.features.frames import Frames
from anomalous_sound.methods.embedding.encoder import FrozenEncoder
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.pipelines.report.page_nodes import judged_clips
from anomalous_sound.provenance.origin import Origin
from anomalous_sound.reporting import shown_clips as showing
from anomalous_sound.reporting.detector_facts import (
    detector_facts,
    identity_facts,
    program_versions,
)
from anomalous_sound.reporting.official_table import official_facts
from anomalous_sound.reporting.promises import promise_in_words
from anomalous_sound.reporting.report_page import deployed_calibration
from anomalous_sound.reporting.shown_clips import ShownClips
from anomalous_sound.reporting.sound_page import PageFigure, sound_page
from anomalous_sound.scoring.band_errors import BandErrors, mean_over_members
from anomalous_sound.scoring.errors import target_offset_s
from anomalous_sound.scoring.events import EVENT_COLUMNS
from anomalous_sound.scoring.localisation import LOCALISATION_COLUMNS, WindowReference
from anomalous_sound.scoring.score import Score


def show_clips(
    raw_audio: AudioCorpus,
    clips: pd.DataFrame,
    log_mel: Frames,
    network: TrainedNetworks | FrozenEncoder,
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    page: PageSettings,
    band_errors: BandErrors | None = None,
    window_errors: pd.DataFrame | None = None,
    window_reference: WindowReference | None = None,
    events: pd.DataFrame | None = None,
) -> ShownClips:
    """Gather sound, pictures and events of the clips that the page shows.

    The last four are all there, or none with a frozen encoder, which says nothing of windows.
    """
    judged = clip_scores.merge(decisions[["clip_id", "decision"]], on="clip_id")
    chosen = showing.chosen_clips(judged, page)
    description = network.description
    of_chosen = clips[clips.clip_id.isin(chosen)]
    places = clip_places(of_chosen)

    def samples(clip_id: str) -> np.ndarray:
        return raw_audio.mono_clip(places[clip_id], description.features.audio)

    maps = None
    if band_errors is not None and window_errors is not None and window_reference is not None:
        windows = window_errors[window_errors.clip_id.isin(chosen)]
        maps = _deviation_maps(
            band_errors, windows, window_reference, of_chosen, target_offset_s(description)
        )
    return showing.show_clips(
        chosen,
        samples=samples,
        maps=maps,
        frames=log_mel,
        events=_rows(events, EVENT_COLUMNS),
        features=description.features,
        settings=page,
    )


def _rows(table: pd.DataFrame | None, columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(columns=columns) if table is None else table


def _deviation_maps(
    band_errors: BandErrors,
    windows: pd.DataFrame,
    window_reference: WindowReference,
    clips: pd.DataFrame,
    offset_s: float,
) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    """Return what maps a clip's deviations, windows × bands, and says the time of each window."""
    machine_ids = dict(zip(clips.clip_id, clips.machine_id, strict=True))
    starts_s = dict(list(windows.groupby("clip_id", observed=True).start_s))

    def deviation_map(clip_id: str) -> tuple[np.ndarray, np.ndarray]:
        errors = mean_over_members(band_errors.clip(clip_id))
        deviations = window_reference.deviation_map(errors, machine_ids[clip_id])
        return deviations, starts_s[clip_id].to_numpy() + offset_s

    return deviation_map


def write_page(
    shown_clips: ShownClips,
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    clips: pd.DataFrame,
    metrics: dict[str, Any],
    deployed: Thresholds,
    calibration_scores: CalibrationScores,
    calibration: pd.DataFrame,
    network: TrainedNetworks | FrozenEncoder,
    fitted_score: Score,
    rejected_clips: pd.DataFrame,
    channel_scores: pd.DataFrame,
    corpus_summary: CorpusSummary,
    roc_figure: bytes,
    origin: Origin,
    page: PageSettings,
    events: pd.DataFrame | None = None,
    localisation: pd.DataFrame | None = None,
    history_figure: bytes | None = None,
) -> str:
    """Write the page of a run; the last three are of networks that were trained."""
    figures = []
    if history_figure is not None:
        text = "Training and validation loss by epoch"
        figures.append(PageFigure("Training history", text, history_figure))
    if metrics["auc_pooled"] is not None:
        text = f"ROC curve of the test clips, AUC {metrics['auc_pooled']:.3f}"
        figures.insert(0, PageFigure("ROC curve", text, roc_figure))
    scores = calibration_scores.values().tolist()
    return sound_page(
        corpus=corpus_summary,
        judged=judged_clips(clip_scores, decisions, clips, channel_scores),
        events=_rows(events, EVENT_COLUMNS),
        localisation=_rows(localisation, LOCALISATION_COLUMNS),
        shown=shown_clips,
        thresholds=deployed,
        calibration_scores=scores,
        promise=promise_in_words(
            deployed, scores, calibration, in_folds=calibration_scores.in_folds
        ),
        calibration=deployed_calibration(calibration),
        figures=figures,
        not_computed=metrics["not_computed"],
        official=official_facts(metrics.get("official")),
        rejected_clips=rejected_clips,
        versions=program_versions()
        | {
            "git revision": origin.software.git_revision,
            "versions of packages": origin.software.in_one_line(),
        },
        page=page,
        **detector_facts(network.description, fitted_score),
    )


def write_judgement_page(
    shown_clips: ShownClips,
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    clips: pd.DataFrame,
    events: pd.DataFrame,
    localisation: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    detector: Detector,
    deployed: Thresholds,
    channel_scores: pd.DataFrame,
    corpus_summary: CorpusSummary,
    page: PageSettings,
) -> str:
    """Write the page of recordings that a detector has judged."""
    scores = detector.calibration.values().tolist()
    return sound_page(
        corpus=corpus_summary,
        judged=judged_clips(clip_scores, decisions, clips, channel_scores),
        events=events,
        localisation=localisation,
        shown=shown_clips,
        thresholds=deployed,
        calibration_scores=scores,
        promise=promise_in_words(deployed, scores, None, in_folds=detector.calibration.in_folds),
        calibration=None,
        figures=[],
        not_computed={},
        official=None,
        rejected_clips=rejected_clips,
        versions=program_versions() | identity_facts(detector.identity),
        page=page,
        **detector_facts(detector.description, detector.score),
    )
