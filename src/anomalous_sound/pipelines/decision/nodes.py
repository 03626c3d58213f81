"""Nodes that turn scores into decisions. None of them reads a label."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pandas as pd

from anomalous_sound import __version__
from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.configuration.scoring import LocalisationSettings
from anomalous_sound.decision import thresholds as thresholding
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.thresholds import Thresholds
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.scoring.localisation import WindowReference
from anomalous_sound.scoring.scores import Score
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)


def calibrate(clip_scores: pd.DataFrame, held_out_scores: pd.DataFrame) -> CalibrationScores:
    """Take the scores of held-out normal clips: those of the folds, or of the validation clips."""
    if held_out_scores.empty:
        return CalibrationScores.from_table(clip_scores[clip_scores.split == Split.VALIDATION])
    # in the order of the clips, so that sums do not depend on the order of the folds
    held_out = clip_scores[["clip_id", "machine_id"]].merge(held_out_scores, on="clip_id")
    return CalibrationScores.from_table(held_out)


def deploy_threshold(
    calibration_scores: CalibrationScores, clips: pd.DataFrame, settings: ThresholdSettings
) -> Thresholds:
    """Choose the threshold that decides: the one asked for, or the fallback, and say why."""
    deployed = thresholding.deploy(calibration_scores, sorted(set(clips.machine_id)), settings)
    if deployed.note:
        logger.warning("Threshold: %s; %s decides instead.", deployed.note, deployed.strategy)
    return deployed


def assemble_detector(
    network: TrainedNetworks,
    fitted_score: Score,
    window_reference: WindowReference,
    deployed: Thresholds,
    calibration_scores: CalibrationScores,
    localisation: LocalisationSettings,
    inference: ScoringSettings,
) -> Detector:
    """Put everything that judging a new clip needs into one thing."""
    return Detector.assemble(
        trained_at=datetime.now(UTC).isoformat(timespec="seconds"),
        version=__version__,
        networks=network,
        score=fitted_score,
        thresholds=deployed,
        calibration=calibration_scores,
        reference=window_reference,
        localisation=localisation,
        inference=ScoringSettings(**inference.model_dump(exclude={"method"})),
    )
