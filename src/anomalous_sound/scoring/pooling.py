"""The errors of a clip's windows, pooled over time: what a score reads of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from anomalous_sound.configuration.scoring import (
    ChannelsScoreSettings,
    ClipScoreSettings,
    JoinedScoreSettings,
    MaximumPooling,
    MeanPooling,
    MedianPooling,
    PercentilePooling,
    PooledErrorSettings,
    Pooling,
    RankedPooling,
)
from anomalous_sound.scoring.band_errors import ClipErrors

if TYPE_CHECKING:
    import pandas as pd

IDENTITY = ["clip_id", "member"]


def pool_over_time(errors: np.ndarray, pooling: Pooling) -> np.ndarray:
    """Pool the errors of a clip's windows.

    Ranked pooling sorts the windows of each column by error and weights the r-th highest by
    decay^r (global weighted rank pooling: Kolesnikov & Lampert, ECCV 2016).

    Args:
        errors: windows × columns; a column is a mel band, or the window error.
        pooling: how to pool them.

    Returns:
        One value a column, float64.

    Example:
        >>> pool_over_time(np.array([[1.0, 5.0], [3.0, 1.0]]), MeanPooling(type="mean"))
        array([2., 3.])
    """
    errors = errors.astype(np.float64)
    pooled: np.ndarray
    match pooling:
        case MeanPooling():
            pooled = errors.mean(axis=0)
        case MedianPooling():
            pooled = np.median(errors, axis=0)
        case MaximumPooling():
            pooled = errors.max(axis=0)
        case PercentilePooling():
            pooled = np.percentile(errors, pooling.percentile, axis=0)
        case RankedPooling():
            weights = np.power(float(pooling.decay), np.arange(len(errors)))
            highest_first = np.sort(errors, axis=0)[::-1]
            pooled = weights @ highest_first / weights.sum()
    return pooled


def pool_clip(settings: ClipScoreSettings, clip: ClipErrors, spectrum: np.ndarray) -> np.ndarray:
    """Pool what a score reads of one clip, for each member by itself.

    The errors are not averaged over the members first: an average is less noisy than the errors of
    the single network that has not heard a normal clip, with which it is compared.

    Args:
        settings: of the score.
        clip: the errors of the clip: members × windows × mel bands, and members × windows.
        spectrum: frames × mel bands of the clip, scaled.

    Returns:
        Members × columns, float64: the pooled window error (one column) for a pooled-error score,
        otherwise a column for each mel band; for a joined score those of one part after the other,
        and for the score of several channels all of these of one channel after the other.
    """
    if isinstance(settings, ChannelsScoreSettings):
        of_channels = zip(
            clip.by_channel(len(settings.channels)),
            np.split(spectrum, len(settings.channels), axis=1),
            strict=True,
        )
        return np.concatenate([pool_clip(settings.of, *one) for one in of_channels], axis=1)
    if isinstance(settings, JoinedScoreSettings):
        return np.concatenate([pool_clip(part, clip, spectrum) for part in settings.parts], axis=1)
    if isinstance(settings, PooledErrorSettings):
        return _pool_members(clip.window_errors[..., None], settings.pooling)
    if settings.reads == "spectrum":
        pooled = pool_over_time(spectrum, settings.pooling)
        return np.tile(pooled, (len(clip.members), 1))
    return _pool_members(clip.band_errors, settings.pooling)


def pool_errors(
    clips: Iterable[ClipErrors],
    settings: ClipScoreSettings,
    spectrum: Callable[[str], np.ndarray],
) -> pd.DataFrame:
    """Pool what a score reads of each clip.

    Args:
        clips: the errors of one clip after the other.
        settings: of the score.
        spectrum: returns the scaled log-mel frames of a clip, by its ID: frames × mel bands.

    Returns:
        IDENTITY and the columns of :func:`pool_clip`, ``column_0``, ``column_1``, …; one row for
        each clip and member.
    """
    import pandas as pd

    rows: list[tuple[str, str]] = []
    pooled: list[np.ndarray] = []
    for clip in clips:
        rows += [(clip.clip_id, member) for member in clip.members]
        pooled.append(pool_clip(settings, clip, spectrum(clip.clip_id)))
    values = np.concatenate(pooled)
    columns = [f"column_{number}" for number in range(values.shape[1])]
    identity = pd.DataFrame(rows, columns=IDENTITY)
    return pd.concat([identity, pd.DataFrame(values, columns=columns)], axis=1)


def of_clips(pooled_errors: pd.DataFrame, clip_ids: Iterable[str]) -> list[np.ndarray]:
    """Take the pooled errors of clips out of a table.

    Args:
        pooled_errors: as :func:`pool_errors` returns them.
        clip_ids: the clips.

    Returns:
        Members × columns of each clip.
    """
    values = pooled_errors.drop(columns=IDENTITY).to_numpy()
    rows = pooled_errors.groupby("clip_id", sort=False).indices
    return [values[rows[clip_id]] for clip_id in clip_ids]


def _pool_members(errors: np.ndarray, pooling: Pooling) -> np.ndarray:
    return np.stack([pool_over_time(of_member, pooling) for of_member in errors])
