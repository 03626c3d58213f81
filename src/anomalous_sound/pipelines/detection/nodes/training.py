"""Nodes that train the network of one method."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

from anomalous_sound.errors import InputError
from anomalous_sound.features import frames as framing
from anomalous_sound.features.frames import Frames, WindowedFrames
from anomalous_sound.methods.trained_network import TrainedNetwork
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.cross_validation import held_out_scores
from anomalous_sound.vocabulary import Split

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

    See :func:`anomalous_sound.training.loop.train_network`.

    Raises:
        InputError: a machine ID has too few clips for a network of its own.
    """
    from anomalous_sound.training.loop import train_members
    from anomalous_sound.training.loop import train_network as train

    windows, form = _training_windows(log_mel, windows, settings, training)

    def windows_of(used: pd.DataFrame) -> tuple[WindowedFrames, WindowedFrames]:
        training_windows, validation_windows = (
            WindowedFrames(
                log_mel,
                windows[windows.clip_id.isin(used.clip_id[used.split == split])],
                settings["scaling"],
                **form,
            )
            for split in (Split.TRAIN, Split.VALIDATION)
        )
        return training_windows, validation_windows

    how = {
        "settings": settings,
        "training": training | {"seed": seed},
        "checkpoint": checkpoint,
    }
    if detector["per"] == "machine_type":
        return train(*windows_of(clips), **how)
    used = clips[clips.split.isin([Split.TRAIN, Split.VALIDATION])]
    for machine_id, of_id in used.groupby("machine_id"):
        if set(of_id.split) != {Split.TRAIN, Split.VALIDATION}:
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
    """Return the windows to train on and their form: those scored, some of them, or longer ones."""
    form = settings["windows"]
    if "stretch" in training:
        form = {"length": training["stretch"], "next_frame": True}
    elif training["stride"] == 1:
        return windows, form
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
            f"no clip has the {form['length'] + 1} frames of a stretch to train on; lower the "
            "parameter training.stretch of this method."
        )
    if too_short:
        logger.warning("%d clips are shorter than a stretch and are not trained on.", too_short)
    return stretches, form


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
    jobs: int,
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
        scoring=scoring | {"jobs": jobs},
        score=score,
        checkpoint=checkpoint,
    )
