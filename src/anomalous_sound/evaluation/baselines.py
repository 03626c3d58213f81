"""Scores that need no training: a network that does not beat them has learnt nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.configuration.scoring import (
    BandDeviationSettings,
    ChannelsScoreSettings,
    ClipScoreSettings,
    JoinedScoreSettings,
)
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.scoring.band_errors import ClipErrors
from anomalous_sound.scoring.domains import domains_of
from anomalous_sound.scoring.left_out import LeftOut
from anomalous_sound.scoring.pooling import pool_clip
from anomalous_sound.scoring.scores import fit_and_score_left_out, fit_score
from anomalous_sound.vocabulary import Split

SPECTRUM, PERSISTENCE = "spectrum", "persistence"


def persistence_errors(frames: np.ndarray, windows: WindowSettings) -> np.ndarray:
    """Predict that the next frame is the last one of the window.

    Args:
        frames: frames × mel bands of one clip, scaled.
        windows: the form of a window; its next frame is the one after ``length`` frames.

    Returns:
        Windows × mel bands: the squared error of each.
    """
    errors: np.ndarray = np.square(frames[windows.length :] - frames[windows.length - 1 : -1])
    return errors


def of_spectrum(settings: ClipScoreSettings) -> ClipScoreSettings:
    """Return the same score of the log-mel frames themselves, in place of a network's errors.

    The frames are logarithms already, so they are compared as they are. The mean error of windows
    becomes the mean of the frames.
    """
    if isinstance(settings, ChannelsScoreSettings):
        return settings.model_copy(update={"of": of_spectrum(settings.of)})
    if isinstance(settings, JoinedScoreSettings):
        return settings.model_copy(update={"parts": [of_spectrum(part) for part in settings.parts]})
    if isinstance(settings, BandDeviationSettings) and settings.reads == "errors":
        return settings.model_copy(update={"reads": "spectrum", "scale": "linear"})
    return settings


def untrained_scores(
    log_mel: Frames,
    clips: pd.DataFrame,
    *,
    scaling: Scaling,
    windows: WindowSettings,
    score: ClipScoreSettings,
    left_out: LeftOut | None,
    seed: int,
) -> pd.DataFrame:
    """Score the clips by the same score as the networks, but without a network.

    ``spectrum`` scores the log-mel frames in place of errors, ``persistence`` the errors of
    :func:`persistence_errors`. The score is fitted on the same normal clips as for a network.

    Args:
        log_mel: log-mel frames, dB.
        clips: ``clip_id, machine_id, split``, and ``domain`` if the score knows domains.
        scaling: of the frames.
        windows: the form of a window.
        score: settings of the networks' score.
        left_out: which training clips are left out together, to be scored by a score fitted without
            them; None: they get the score of the fit that they were part of.
        seed: of the fits.

    Returns:
        ``clip_id, spectrum, persistence``.
    """
    settings = {SPECTRUM: of_spectrum(score), PERSISTENCE: score}
    pooled: dict[str, list[np.ndarray]] = {name: [] for name in settings}
    for clip_id in clips.clip_id:
        frames = scaling.scaled(log_mel.clip(clip_id))
        for name, values in (
            (SPECTRUM, frames),
            (PERSISTENCE, persistence_errors(frames, windows)),
        ):
            errors = ClipErrors(clip_id, (name,), values[None], values.mean(axis=1)[None], 0.0)
            pooled[name].append(pool_clip(settings[name], errors, frames)[0])
    machine_ids, domains = clips.machine_id.to_numpy(), domains_of(clips)
    training = (clips.split == Split.TRAIN).to_numpy()
    table = clips[["clip_id"]].copy()
    for name, of_clips in pooled.items():
        values = np.stack(of_clips)
        normal = settings[name], values[training], machine_ids[training]
        if left_out is None:
            fitted = fit_score(*normal, seed=seed, domains=domains[training])
            scores = fitted.score(values, machine_ids)
        else:
            fitted, of_left_out = fit_and_score_left_out(
                *normal, left_out, seed=seed, domains=domains[training]
            )
            scores = fitted.score(values, machine_ids)
            scores[training] = of_left_out
        table[name] = scores
    return table
