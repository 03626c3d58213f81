"""Scores of normal clips by networks that have not heard them, so that few clips serve twice."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.corpus.split import draw_folds
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import WindowedFrames
from anomalous_sound.methods.trained import NetworkDescription
from anomalous_sound.scoring.errors import WindowScoring
from anomalous_sound.scoring.pooling import pool_clip
from anomalous_sound.scoring.scores import fit_score
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)

__all__ = ["HELD_OUT_COLUMNS", "draw_folds", "held_out_scores"]

HELD_OUT_COLUMNS = ["clip_id", "fold", "score"]


def held_out_scores(
    frames: Frames,
    windows: pd.DataFrame,
    clips: pd.DataFrame,
    *,
    folds: int,
    training_windows: pd.DataFrame,
    training_form: WindowSettings,
    description: NetworkDescription,
    training: TrainingSettings,
    scoring: ScoringSettings,
    jobs: int,
    score: ScoreSettings,
    seed: int,
    checkpoint: Checkpoint,
) -> pd.DataFrame:
    """Score every normal clip by a network and a score that were fitted on the other folds.

    Args:
        frames: log-mel frames of all clips.
        windows: the windows that are scored.
        clips: the table of clips; training and validation clips are divided into folds.
        folds: how many; 0 for none.
        training_windows: the windows that are trained on; most methods score the same.
        training_form: the form of those.
        description: what a network is built from.
        training: how it is trained.
        scoring: how it is applied.
        jobs: clips scored at the same time on a CPU.
        score: settings of the score.
        seed: of the folds, the training and the score.
        checkpoint: each fold's is kept beside it until the last one is trained.

    Returns:
        HELD_OUT_COLUMNS, one row a normal clip; none without folds.

    Raises:
        InputError: there are fewer clips than folds.
    """
    from anomalous_sound.training.loop import train_network

    normal = clips[clips.split != Split.TEST].reset_index(drop=True)
    if not folds:
        return pd.DataFrame(columns=HELD_OUT_COLUMNS)
    if len(normal) < folds:
        raise InputError(
            f"thresholds.folds is {folds}, but there are only {len(normal)} normal clips; "
            "give a smaller number, or 0."
        )
    fold_of_clip = draw_folds(normal, folds, seed)
    machine_ids = dict(zip(normal.clip_id, normal.machine_id, strict=True))
    tables, checkpoints = [], []
    for fold in range(folds):
        logger.info("Fold %d of %d.", fold + 1, folds)
        checkpoints.append(checkpoint.of_member(f"fold_{fold}"))
        held_out = fold_of_clip == fold
        trained_on, validated_on = (
            WindowedFrames(
                frames,
                training_windows[training_windows.clip_id.isin(normal.clip_id[chosen])],
                description.scaling,
                training_form,
            )
            for chosen in (~held_out, held_out)
        )
        networks, _ = train_network(
            trained_on,
            validated_on,
            clips=normal,
            description=description,
            training=training,
            seed=seed,
            checkpoint=checkpoints[-1],
            keep_checkpoint=True,
        )
        scored = windows[windows.clip_id.isin(normal.clip_id)]
        errors = WindowScoring(networks, frames, scored, machine_ids, scoring, jobs)
        pooled = {
            clip.clip_id: pool_clip(score, clip.band_errors, clip.window_errors) for clip in errors
        }
        of_clips = np.stack([pooled[clip_id] for clip_id in normal.clip_id])
        ids = normal.machine_id.to_numpy()
        known = (~held_out).to_numpy()
        fitted = fit_score(score, of_clips[known], ids[known], seed=seed)
        scores = fitted.score(of_clips[~known], ids[~known])
        of_fold = {"clip_id": normal.clip_id[held_out], "fold": fold, "score": scores}
        tables.append(pd.DataFrame(of_fold))
    for finished in checkpoints:
        finished.clear()
    return pd.concat(tables, ignore_index=True)[HELD_OUT_COLUMNS]
