"""From a trained network to the error of every window and the anomaly score of every clip."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.audio.frames import Frames, WindowedFrames
from anomalous_sound.models.band_errors import ClipErrors
from anomalous_sound.models.network import TrainedNetwork, architecture_class

POOLINGS = ("mean", "median", "maximum", "percentile")


@dataclass(frozen=True)
class WindowScoring:
    """The errors of all windows, computed clip by clip when they are iterated over.

    So no more than a batch of windows and the errors of a clip are in memory at a time.

    Attributes:
        network: the trained network with its settings.
        frames: log-mel frames of all clips, dB.
        windows: the windows to score, as :func:`index_windows` lists them, clip after clip.
        machine_ids: the machine ID of each clip ID.
        batch_size: windows scored at once.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
    """

    network: TrainedNetwork
    frames: Frames
    windows: pd.DataFrame
    machine_ids: Mapping[str, str]
    batch_size: int
    accelerator: str

    def __iter__(self) -> Iterator[ClipErrors]:
        """Yield the squared errors of scaled log-mel values of one clip after the other."""
        clip_ids = self.windows.clip_id.unique().tolist()
        members = (self.network.member_of(self.machine_ids[clip_id]) for clip_id in clip_ids)
        for member, run in itertools.groupby(zip(members, clip_ids, strict=True), lambda p: p[0]):
            chosen = [clip_id for _, clip_id in run]
            yield from self._of_member(
                member, self.windows[self.windows.clip_id.isin(chosen)], chosen
            )

    def _of_member(
        self, member: str, windows: pd.DataFrame, clip_ids: list[str]
    ) -> Iterator[ClipErrors]:
        counts = windows.clip_id.value_counts()
        batches = self._batches(member, windows)
        left = np.empty((0, self.network.settings["log_mel"]["n_mels"]), dtype=np.float32)
        for clip_id in clip_ids:
            started = time.perf_counter()
            parts, missing = [left], counts[clip_id] - len(left)
            while missing > 0:
                parts.append(next(batches))
                missing -= len(parts[-1])
            errors = np.concatenate(parts)
            left = errors[counts[clip_id] :]
            yield ClipErrors(clip_id, errors[: counts[clip_id]], time.perf_counter() - started)

    def _batches(self, member: str, windows: pd.DataFrame) -> Iterator[np.ndarray]:
        import torch

        from anomalous_sound.models.training import make_fabric

        settings = self.network.settings
        fabric = make_fabric(self.accelerator, "32-true")
        model = fabric.setup(self.network.build(member))
        view = WindowedFrames(self.frames, windows, settings["scaling"], **settings["windows"])
        for start in range(0, len(view), self.batch_size):
            numbers = np.arange(start, min(start + self.batch_size, len(view)))
            with torch.inference_mode():
                batch = fabric.to_device(torch.from_numpy(view[numbers]))
                yield model(batch).float().cpu().numpy()


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
