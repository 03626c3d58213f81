"""The errors of a clip's windows, pooled over time: what a score reads of a clip."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from anomalous_sound.configuration.scoring import (
    MaximumPooling,
    MeanPooling,
    MedianPooling,
    PercentilePooling,
    PooledErrorSettings,
    Pooling,
    RankedPooling,
    ScoreSettings,
)
from anomalous_sound.scoring.band_errors import ClipErrors


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


def pool_clip(
    settings: ScoreSettings, band_errors: np.ndarray, window_errors: np.ndarray
) -> np.ndarray:
    """Pool what a score reads of one clip's errors.

    Args:
        settings: of the score.
        band_errors: windows × mel bands.
        window_errors: one a window.

    Returns:
        The pooled window error (one value) for a pooled-error score, and otherwise one value a mel
        band; float64.
    """
    reads_windows = isinstance(settings, PooledErrorSettings)
    return pool_over_time(
        window_errors[:, None] if reads_windows else band_errors, settings.pooling
    )


def pool_errors(clips: Iterable[ClipErrors], settings: ScoreSettings) -> pd.DataFrame:
    """Pool what a score reads of the errors of each clip.

    Args:
        clips: the errors of one clip after the other.
        settings: of the score.

    Returns:
        ``clip_id`` and, for a pooled-error score, ``window``; otherwise ``band_0``, ``band_1``, ….
    """
    pooled = {
        clip.clip_id: pool_clip(settings, clip.band_errors, clip.window_errors) for clip in clips
    }
    values = np.stack(list(pooled.values()))
    bands = range(values.shape[1])
    columns = ["window"] if _reads_windows(settings) else [f"band_{band}" for band in bands]
    table = pd.DataFrame(values, columns=columns)
    table.insert(0, "clip_id", list(pooled))
    return table


def _reads_windows(settings: ScoreSettings) -> bool:
    return isinstance(settings, PooledErrorSettings)
