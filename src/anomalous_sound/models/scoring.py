"""From a trained network to the error of every window and the anomaly score of every clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.audio.frames import Frames, WindowedFrames
from anomalous_sound.models.network import TrainedNetwork, architecture_class

POOLINGS = ("mean", "median", "maximum", "percentile")


def score_windows(
    network: TrainedNetwork,
    frames: Frames,
    windows: pd.DataFrame,
    *,
    batch_size: int,
    accelerator: str,
) -> pd.DataFrame:
    """Compute the error of every window.

    Args:
        network: the trained network with its settings.
        frames: log-mel frames of all clips, dB.
        windows: the windows to score, as :func:`index_windows` lists them.
        batch_size: windows scored at once.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Returns:
        ``clip_id, start_s`` of each window and ``error``: the mean squared error of scaled log-mel
        values over the target frames and mel bands.
    """
    import torch

    from anomalous_sound.models.frame_model import window_errors
    from anomalous_sound.models.training import make_fabric

    settings = network.settings
    fabric = make_fabric(accelerator, "32-true")
    model = fabric.setup(network.build())
    view = WindowedFrames(frames, windows, settings["scaling"], **settings["windows"])
    errors = np.empty(len(view), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(view), batch_size):
            numbers = np.arange(start, min(start + batch_size, len(view)))
            batch = fabric.to_device(torch.from_numpy(view[numbers]))
            errors[numbers] = window_errors(model(batch)).cpu().numpy()
    return windows[["clip_id", "start_s"]].assign(error=errors)


def pool_errors(
    errors: pd.DataFrame, clips: pd.DataFrame, *, pooling: str, percentile: float
) -> pd.DataFrame:
    """Pool the window errors of each clip into its anomaly score.

    Args:
        errors: ``clip_id, start_s, error`` a window.
        clips: the table of clips.
        pooling: ``mean`` (the report's), ``median``, ``maximum`` or ``percentile``.
        percentile: which one, 0 to 100, where ``pooling`` is ``percentile``.

    Returns:
        ``clip_id, machine_type, machine_id, split, label, score``, one row a clip.

    Raises:
        ValueError: unknown pooling.
    """
    grouped = errors.groupby("clip_id", observed=True).error
    if pooling == "percentile":
        pooled = grouped.quantile(percentile / 100)
    elif pooling in POOLINGS:
        pooled = grouped.agg("max" if pooling == "maximum" else pooling)
    else:
        raise ValueError(f"unknown pooling {pooling!r}; accepted: {', '.join(POOLINGS)}")
    identity = clips[["clip_id", "machine_type", "machine_id", "split", "label"]]
    scores = pooled.astype(float).rename("score").reset_index().astype({"clip_id": str})
    return identity.merge(scores, on="clip_id", validate="one_to_one")


def target_time_s(errors: pd.DataFrame, settings: Mapping[str, Any]) -> np.ndarray:
    """Return the time in the clip to which each window's error belongs: the middle of its target.

    Args:
        errors: ``start_s`` of each window.
        settings: the network's settings.

    Returns:
        Seconds from the start of the clip.
    """
    first, last = architecture_class(settings).target_frames(settings["windows"]["length"])
    frame_s = settings["log_mel"]["hop_length"] / settings["audio"]["sample_rate"]
    return errors.start_s.to_numpy() + (first + last) / 2 * frame_s
