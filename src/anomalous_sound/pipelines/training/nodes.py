"""Nodes that train the networks of one method."""

from __future__ import annotations

import logging
from functools import partial

import pandas as pd

from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.configuration.features import (
    AudioSettings,
    FeatureSettings,
    LogMelSettings,
    WindowSettings,
)
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import DetectorSettings, TrainingSettings
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.methods.base import NetworkSettings
from anomalous_sound.methods.discovery import method_of
from anomalous_sound.methods.trained import NetworkDescription, TrainedNetworks
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)


def describe_network(
    network: NetworkSettings,
    audio: AudioSettings,
    log_mel: LogMelSettings,
    windows: WindowSettings,
    scaling: Scaling,
    clips: pd.DataFrame,
    corpus_summary: CorpusSummary,
) -> NetworkDescription:
    """Put together what a network is built from and must be fed with."""
    training = clips[clips.split == Split.TRAIN]
    return NetworkDescription(
        method=method_of(network).name,
        network=network,
        features=FeatureSettings(audio=audio, log_mel=log_mel),
        windows=windows,
        scaling=scaling,
        machine_ids=tuple(sorted(set(training.machine_id))),
        corpus=corpus_summary,
    )


def train_network(
    log_mel: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    description: NetworkDescription,
    checkpoint: Checkpoint,
    training: TrainingSettings,
    detector: DetectorSettings,
    seed: int,
) -> tuple[TrainedNetworks, pd.DataFrame]:
    """Train on normal clips only, one network for all machine IDs or one for each.

    See :func:`anomalous_sound.training.loop.train_network`.

    Raises:
        InputError: a machine ID has too few clips for a network of its own.
    """
    from anomalous_sound.training import loop

    windows, form = _training_windows(log_mel, windows, description, training)

    def windows_of(used: pd.DataFrame) -> tuple[WindowedFrames, WindowedFrames]:
        training_windows, validation_windows = (
            WindowedFrames(
                log_mel,
                windows[windows.clip_id.isin(used.clip_id[used.split == split])],
                description.scaling,
                form,
            )
            for split in (Split.TRAIN, Split.VALIDATION)
        )
        return training_windows, validation_windows

    train_one, train_several = (
        partial(
            train,
            clips=clips,
            description=description,
            training=training,
            seed=seed,
            checkpoint=checkpoint,
        )
        for train in (loop.train_network, loop.train_members)
    )
    if detector.per == "machine_type":
        return train_one(*windows_of(clips))
    used = clips[clips.split.isin([Split.TRAIN, Split.VALIDATION])]
    for machine_id, of_id in used.groupby("machine_id"):
        if set(of_id.split) != {Split.TRAIN, Split.VALIDATION}:
            raise InputError(
                f"machine ID '{machine_id}' has too few normal clips for a network of its own: at "
                "least 2 are needed, one to train on and one to validate with."
            )
    by_id = {str(machine_id): windows_of(of_id) for machine_id, of_id in used.groupby("machine_id")}
    return train_several(by_id)


def cross_validate(
    log_mel: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    description: NetworkDescription,
    checkpoint: Checkpoint,
    training: TrainingSettings,
    inference: ScoringSettings,
    score: ScoreSettings,
    thresholds: ThresholdSettings,
    seed: int,
    jobs: int,
) -> pd.DataFrame:
    """Score the normal clips by networks trained on the other folds, if folds are asked for."""
    from anomalous_sound.training.cross_validation import held_out_scores

    training_windows, form = _training_windows(log_mel, windows, description, training)
    return held_out_scores(
        log_mel,
        windows,
        clips,
        folds=thresholds.folds,
        training_windows=training_windows,
        training_form=form,
        description=description,
        training=training,
        scoring=inference,
        jobs=jobs,
        score=score,
        seed=seed,
        checkpoint=checkpoint,
    )


def _training_windows(
    log_mel: Frames,
    windows: pd.DataFrame,
    description: NetworkDescription,
    training: TrainingSettings,
) -> tuple[pd.DataFrame, WindowSettings]:
    """Return the windows to train on and their form: those scored, some of them, or longer ones."""
    form = training.windows(description.windows)
    if form == description.windows and training.stride == 1:
        return windows, form
    chosen = index_windows(
        log_mel.index, form, frame_s=description.features.frame_s, stride=training.stride
    )
    if chosen.empty:
        raise InputError(
            f"no clip has the {form.frames} frames of a segment to train on; lower the parameter "
            "training.segment of this method."
        )
    if too_short := len(log_mel.index) - chosen.clip_id.nunique():
        logger.warning("%d clips are shorter than a segment and are not trained on.", too_short)
    return chosen, form
