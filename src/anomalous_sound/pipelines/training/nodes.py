"""Nodes that train the networks of one method."""

from __future__ import annotations

import logging

import pandas as pd

from anomalous_sound.configuration.compute import LOCAL, EngineSettings, LocalEngine
from anomalous_sound.configuration.decision import ThresholdSettings
from anomalous_sound.configuration.features import (
    AudioSettings,
    FeatureSettings,
    LogMelSettings,
    WindowSettings,
)
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import DetectorSettings, TrainingSettings
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.decision.thresholds import check_thresholds
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.methods.base import NetworkSettings
from anomalous_sound.methods.discovery import method_of
from anomalous_sound.methods.trained import (
    SHARED,
    NetworkDescription,
    TrainedNetworks,
    no_network_of_its_own,
)
from anomalous_sound.scoring.domains import domains_of
from anomalous_sound.scoring.left_out import check_enough
from anomalous_sound.training import folds
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


def draw_folds(
    clips: pd.DataFrame,
    detector: DetectorSettings,
    score: ScoreSettings,
    thresholds: ThresholdSettings,
    seed: int,
) -> pd.DataFrame:
    """Draw the folds that networks are trained without.

    What would fail for want of clips after the training is refused here, before it.

    Returns:
        ``clip_id, fold``; see :func:`anomalous_sound.training.folds.assign_folds`.

    Raises:
        InputError: there are too few normal clips for the networks, the score or a threshold.
    """
    drawn = folds.assign_folds(clips, detector, seed)
    folds.clips_of_members(clips, drawn, detector)
    if detector.per == "machine_id":
        normal = set(clips.machine_id[clips.split != Split.TEST])
        if unknown := sorted(set(clips.machine_id) - normal):
            raise InputError(no_network_of_its_own(unknown[0], sorted(normal)))
    fitted_on = clips[clips.split == Split.TRAIN]
    left_out = folds.clips_left_out(fitted_on, drawn, detector, seed)
    check_enough(score, fitted_on.machine_id.to_numpy(), left_out, domains_of(fitted_on))
    check_thresholds(clips.machine_id[clips.clip_id.isin(drawn.clip_id)], thresholds)
    return drawn


def train_network(
    log_mel: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    drawn: pd.DataFrame,
    description: NetworkDescription,
    checkpoint: Checkpoint,
    training: TrainingSettings,
    detector: DetectorSettings,
    seed: int,
    jobs: int,
    engine: EngineSettings = LOCAL,
) -> tuple[TrainedNetworks, pd.DataFrame]:
    """Train on normal clips only, a network for each fold, for all machine IDs or for each.

    See :func:`anomalous_sound.training.loop.train_members`.

    Raises:
        InputError: a machine ID has too few clips for a network of its own.
    """
    from anomalous_sound.training import loop

    windows, form = _training_windows(log_mel, windows, description, training)

    def windows_of(clip_ids: set[str]) -> WindowedFrames:
        chosen = windows[windows.clip_id.isin(clip_ids)]
        return WindowedFrames(log_mel, chosen, description.scaling, form)

    members = folds.clips_of_members(clips, drawn, detector)
    if isinstance(engine, LocalEngine) and engine.num_nodes > 1:
        from anomalous_sound.training.hosts import train_over_hosts
        from anomalous_sound.training.job import TrainingJob

        job = TrainingJob(
            *(log_mel, windows, form, members, clips, description, training, seed, checkpoint),
            wait_s=engine.wait_s,
        )
        return train_over_hosts(job, engine)
    by_name = {name: (windows_of(on), windows_of(by)) for name, (on, by) in members.items()}
    how = {
        "clips": clips,
        "description": description,
        "training": training,
        "seed": seed,
        "checkpoint": checkpoint,
    }
    alone = isinstance(engine, LocalEngine) and not engine.joins
    if list(by_name) == [SHARED] and alone:
        return loop.train_network(*by_name[SHARED], **how)
    return loop.train_members(by_name, **how, jobs=jobs, engine=engine)


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
