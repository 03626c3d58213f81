"""Nodes that turn scores into decisions. None of them reads a label."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pandas as pd

from anomalous_sound import __version__
from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.configuration.inference import InferenceSettings
from anomalous_sound.configuration.scoring import LocalisationSettings
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.decision import thresholds as thresholding
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.sound_reference import SoundReference
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.methods.trained import Networks
from anomalous_sound.scoring.localisation import WindowReference
from anomalous_sound.scoring.score import Score
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)


def calibrate(
    clip_scores: pd.DataFrame, folds: pd.DataFrame, foreign_clips: pd.DataFrame
) -> CalibrationScores:
    """Take the scores of the normal clips that were left out: validation clips, or all folds.

    Those that are foreign among the normal clips count as above any score.
    """
    chosen = clip_scores[clip_scores.clip_id.isin(folds.clip_id)]
    chosen = chosen.assign(foreign=chosen.clip_id.isin(foreign_clips.clip_id))
    return CalibrationScores.from_table(chosen, in_folds=bool((chosen.split == Split.TRAIN).any()))


def deploy_threshold(
    calibration_scores: CalibrationScores, settings: ThresholdSettings, detector: DetectorSettings
) -> Thresholds:
    """Choose the threshold that decides: the one asked for, or the fallback, and say why."""
    deployed = thresholding.deploy(
        calibration_scores, settings, for_unseen=detector.left_out == "machine_id"
    )
    if deployed.note:
        logger.warning(
            "Threshold: %s; until then %s decides, which promises no rate.",
            *(deployed.note, deployed.strategy),
        )
    return deployed


def assemble_detector(
    network: Networks,
    fitted_score: Score,
    deployed: Thresholds,
    calibration_scores: CalibrationScores,
    sound_reference: SoundReference,
    localisation: LocalisationSettings,
    inference: InferenceSettings,
    window_reference: WindowReference | None = None,
) -> Detector:
    """Put everything that judging a new clip needs into one thing.

    There is no ``window_reference`` with a frozen encoder, which says nothing of windows.
    """
    return Detector.assemble(
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        networks=network,
        score=fitted_score,
        thresholds=deployed,
        calibration=calibration_scores,
        reference=window_reference,
        sound=sound_reference,
        localisation=localisation,
        inference=inference.scoring(),
    )
