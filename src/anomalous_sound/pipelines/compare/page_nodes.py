"""Nodes that draw and write what a person reads of the comparison."""

from __future__ import annotations

import logging

import pandas as pd

from anomalous_sound.configuration.evaluation import EvaluationSettings
from anomalous_sound.configuration.features import (
    AudioSettings,
    FeatureSettings,
    LogMelSettings,
)
from anomalous_sound.configuration.reporting import PageSettings
from anomalous_sound.corpus.audio_corpus import AudioCorpus, clip_places
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.evaluation import baselines
from anomalous_sound.evaluation import comparison as comparing
from anomalous_sound.features.frames import Frames
from anomalous_sound.pipelines.compare.nodes import (
    BASELINE,
    NETWORK,
    WITH_RUN,
    by_method,
    thresholds_of,
)
from anomalous_sound.reporting import comparison_figures, comparison_page
from anomalous_sound.reporting.comparison_page import Compared
from anomalous_sound.reporting.comparison_sound_page import comparison_sound_page
from anomalous_sound.reporting.drawing import Figure
from anomalous_sound.reporting.shown_clips import ShownClips, show_clips
from anomalous_sound.reporting.sound_page import PageFigure
from anomalous_sound.scoring.events import EVENT_COLUMNS
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)


def plot_rocs(
    scores: pd.DataFrame, comparison: pd.DataFrame, corpus_summary: CorpusSummary
) -> Figure:
    """Draw the ROC curves of all methods in one figure."""
    return comparison_figures.roc_figure(by_method(scores, comparison), comparison, corpus_summary)


def plot_auc_intervals(
    comparison: pd.DataFrame, corpus_summary: CorpusSummary, evaluation: EvaluationSettings
) -> Figure:
    """Draw the AUC of each method with its interval, pooled and per machine ID."""
    return comparison_figures.auc_figure(comparison, corpus_summary, evaluation.confidence)


def plot_agreement(
    scores: pd.DataFrame, methods: pd.DataFrame, corpus_summary: CorpusSummary
) -> Figure:
    """Draw the scores of each method against another's, clip by clip."""
    networks = methods[methods.kind.isin(WITH_RUN)]
    return comparison_figures.agreement_figure(
        by_method(scores, networks), thresholds_of(networks), corpus_summary
    )


def write_report(
    comparison: pd.DataFrame,
    differences: pd.DataFrame,
    disagreements: pd.DataFrame,
    methods: pd.DataFrame,
    missing: dict[str, str],
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
    evaluation: EvaluationSettings,
) -> str:
    """Write the report of the comparison, and say its gist in the log."""
    networks = methods.method[methods.kind != BASELINE].tolist()
    untrained = methods.method[methods.kind == BASELINE].tolist()
    compared = _compared(
        *(comparison, differences, disagreements, missing, clips, corpus_summary, evaluation)
    )
    for line in comparison_page.summary_lines(comparison, corpus_summary, evaluation.confidence):
        logger.info(line)
    logger.info(compared.pays)
    verdicts = comparing.verdicts(differences, networks, untrained)
    return comparison_page.comparison_page(compared, verdicts)


def show_disputed_clips(
    raw_audio: AudioCorpus,
    clips: pd.DataFrame,
    log_mel: Frames,
    disagreements: pd.DataFrame,
    audio: AudioSettings,
    log_mel_settings: LogMelSettings,
    page: PageSettings,
) -> ShownClips:
    """Gather sound and spectrogram of the clips that methods dispute most."""
    disputed = disagreements.clip_id[: page.disputed].tolist()
    places = clip_places(clips[clips.clip_id.isin(disputed)])
    return show_clips(
        disputed,
        samples=lambda clip_id: raw_audio.mono_clip(places[clip_id], audio),
        maps=None,
        frames=log_mel,
        events=pd.DataFrame(columns=EVENT_COLUMNS),
        features=FeatureSettings(audio=audio, log_mel=log_mel_settings),
        settings=page,
    )


def write_page(
    comparison: pd.DataFrame,
    differences: pd.DataFrame,
    disagreements: pd.DataFrame,
    missing: dict[str, str],
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
    shown_clips: ShownClips,
    roc_figure: bytes,
    auc_figure: bytes,
    agreement_figure: bytes,
    evaluation: EvaluationSettings,
) -> str:
    """Write the page of the comparison that can be heard."""
    figures = []
    if "auc_pooled" in comparison:
        figures = [
            PageFigure("ROC curves", "ROC curves of all methods", roc_figure),
            PageFigure(
                "AUC", "AUC of each method with its interval, and by machine ID", auc_figure
            ),
        ]
    if comparison.kind.isin(WITH_RUN).sum() > 1:
        text = "Scores of each method against those of each other one"
        figures.append(PageFigure("Agreement", text, agreement_figure))
    compared = _compared(
        *(comparison, differences, disagreements, missing, clips, corpus_summary, evaluation)
    )
    return comparison_sound_page(compared, shown=shown_clips, figures=figures)


def _compared(
    comparison: pd.DataFrame,
    differences: pd.DataFrame,
    disagreements: pd.DataFrame,
    missing: dict[str, str],
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
    evaluation: EvaluationSettings,
) -> Compared:
    pays = comparing.does_training_pay(
        differences,
        comparison.method[comparison.kind == NETWORK].tolist(),
        baselines.SPECTRUM,
        normal_clips=int((clips.split == Split.TRAIN).sum()),
    )
    return Compared(
        comparison=comparison,
        differences=differences,
        disagreements=disagreements,
        pays=pays,
        missing=missing,
        corpus=corpus_summary,
        confidence=evaluation.confidence,
        max_fpr=evaluation.max_fpr,
    )
