"""Nodes that draw and write what a person reads of one method, or of clips that it has judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound import __version__
from anomalous_sound.configuration.scoring import LocalisationSettings
from anomalous_sound.corpus.split import calibration_clips
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.methods.discovery import methods
from anomalous_sound.methods.embedding.encoder import FrozenEncoder
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.provenance.origin import Origin
from anomalous_sound.reporting import (
    card_page,
    figures,
    judgement_page,
    recordings,
    report_page,
)
from anomalous_sound.reporting.drawing import Figure
from anomalous_sound.scoring.band_errors import BandErrors, mean_over_members
from anomalous_sound.scoring.errors import target_offset_s
from anomalous_sound.scoring.localisation import WindowReference
from anomalous_sound.scoring.score import Score
from anomalous_sound.vocabulary import Split


def plot_scores(
    clip_scores: pd.DataFrame,
    deployed: Thresholds,
    fitted_score: Score,
    corpus_summary: CorpusSummary,
) -> Figure:
    """Draw the distribution of the anomaly scores by split and label."""
    return figures.score_figure(clip_scores, deployed, fitted_score.unit, corpus_summary)


def plot_timelines(
    log_mel: Frames,
    band_errors: BandErrors,
    window_errors: pd.DataFrame,
    clip_scores: pd.DataFrame,
    marks: pd.DataFrame,
    window_reference: WindowReference,
    network: TrainedNetworks,
    corpus_summary: CorpusSummary,
    settings: LocalisationSettings,
) -> Figure:
    """Draw when and where clips deviate: those asked for, or the least and the most anomalous.

    Raises:
        InputError: a clip that was asked for is not among the clips.
    """
    shown = _clips_to_show(clip_scores, settings.clip_ids)
    description = network.description
    times_s = window_errors.start_s + target_offset_s(description)
    maps: dict[str, np.ndarray] = {
        clip.clip_id: window_reference.deviation_map(
            mean_over_members(band_errors.clip(clip.clip_id)), clip.machine_id
        )
        for clip in shown.itertuples()
    }
    return figures.timeline_figure(
        log_mel,
        window_errors.assign(time_s=times_s),
        maps,
        shown,
        marks,
        description.features,
        corpus_summary,
    )


def _clips_to_show(clip_scores: pd.DataFrame, clip_ids: list[str] | None) -> pd.DataFrame:
    if clip_ids is None:
        test = clip_scores.split == Split.TEST
        shown = test if test.any() else calibration_clips(clip_scores)
        ranked = clip_scores[shown].sort_values("score")
        return ranked.iloc[[0, -1]].drop_duplicates("clip_id")
    if unknown := sorted(set(clip_ids) - set(clip_scores.clip_id)):
        raise InputError(
            f"localisation.clip_ids names {', '.join(unknown)}, which is not among the clips; "
            f"they are called like {clip_scores.clip_id.iloc[0]}."
        )
    return clip_scores.set_index("clip_id", drop=False).loc[clip_ids]


def write_report(
    metrics: dict[str, Any],
    thresholds: pd.DataFrame,
    classification: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    network: TrainedNetworks | FrozenEncoder,
    fitted_score: Score,
    deployed: Thresholds,
    calibration: pd.DataFrame,
    channel_scores: pd.DataFrame,
    clip_scores: pd.DataFrame,
    corpus_summary: CorpusSummary,
) -> str:
    """Write the page that a person reads first."""
    return report_page.report_page(
        method=methods()[network.description.method].title,
        corpus=corpus_summary,
        metrics=metrics,
        unit=fitted_score.unit,
        thresholds=thresholds,
        deployed=deployed,
        calibration=calibration,
        classification=classification,
        rejected_clips=rejected_clips,
        channels=report_page.channel_table(channel_scores, clip_scores),
        has_places=isinstance(network, TrainedNetworks),
    )


def write_card(
    network: TrainedNetworks | FrozenEncoder,
    run_description: dict[str, Any],
    metrics: dict[str, Any],
    fitted_score: Score,
    deployed: Thresholds,
    calibration_scores: CalibrationScores,
    calibration: pd.DataFrame,
    corpus_summary: CorpusSummary,
    origin: Origin,
    training_history: pd.DataFrame | None = None,
) -> str:
    """Write the card of the detector: for what it is made, of what, and how well it does.

    There is no ``training_history`` with a frozen encoder.
    """
    method = methods()[network.description.method]
    return card_page.card_page(
        method=method.title,
        summary=method.summary,
        corpus=corpus_summary,
        made=run_description,
        trained_on=network.description.trained_on,
        networks=len(network.members()),
        parameters=network.count_parameters(),
        training_s=None if training_history is None else float(training_history.seconds.sum()),
        metrics=metrics,
        unit=fitted_score.unit,
        deployed=deployed,
        calibration_clips=len(calibration_scores.scores),
        calibration=calibration,
        version=__version__,
        revision=origin.software.git_revision,
        packages=origin.software.in_one_line(),
    )


def plot_recordings(
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
) -> Figure:
    """Draw the score over time of recordings that were cut into clips."""
    return recordings.recordings_figure(judged_clips(clip_scores, decisions, clips), corpus_summary)


def judged_clips(
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    clips: pd.DataFrame,
    channel_scores: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Put together what is known and what was decided of each clip.

    Where several channels are judged, ``channel`` is the one that stands out most.
    """
    decided = decisions[["clip_id", "threshold", "decision", "p_value", "note"]]
    durations = clips[["clip_id", "duration_s"]]
    judged = clip_scores.merge(decided, on="clip_id").merge(durations, on="clip_id")
    if channel_scores is None or channel_scores.empty:
        return judged
    return judged.assign(channel=judged.clip_id.map(report_page.outstanding(channel_scores)))


def write_judgement(
    clip_scores: pd.DataFrame,
    decisions: pd.DataFrame,
    clips: pd.DataFrame,
    localisation: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    detector: Detector,
    deployed: Thresholds,
    channel_scores: pd.DataFrame,
    corpus_summary: CorpusSummary,
) -> str:
    """Write which clips are called anomalous, and when and where they deviate."""
    description = detector.description
    return judgement_page.judgement_page(
        judged=judged_clips(clip_scores, decisions, clips, channel_scores),
        localisation=localisation,
        rejected_clips=rejected_clips,
        corpus=corpus_summary,
        method=methods()[description.method].title,
        trained_on=description.corpus,
        unit=detector.score.unit,
        thresholds=deployed,
        calibration_clips=len(detector.calibration.scores),
        in_folds=detector.calibration.in_folds,
    )
