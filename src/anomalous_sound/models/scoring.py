"""From a trained network to the error of every window and the anomaly score of every clip."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anomalous_sound.audio.frames import Frames, WindowedFrames, scaled_clip
from anomalous_sound.clip_score import pool_over_time
from anomalous_sound.models.band_errors import BandErrors, ClipErrors
from anomalous_sound.models.network import TrainedNetwork, architecture_class

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from anomalous_sound.models.frame_model import FrameModel


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
        import torch

        from anomalous_sound.models.training import make_fabric

        fabric = make_fabric(self.accelerator, "32-true")
        model = self.network.build(member)
        whole_clips = model.whole_clips
        model = fabric.setup(model)
        model.mark_forward_method("frame_errors")
        if whole_clips:
            for clip_id in clip_ids:
                started = time.perf_counter()
                clip = scaled_clip(self.frames, clip_id, self.network.settings["scaling"])
                with torch.inference_mode():
                    errors = model.frame_errors(fabric.to_device(torch.from_numpy(clip[None])))
                errors = errors[0].float().cpu().numpy()
                seconds = time.perf_counter() - started
                yield ClipErrors(clip_id, errors, errors.mean(axis=1), seconds)
            return
        counts = windows.clip_id.value_counts()
        batches = self._batches(fabric, model, windows)
        left = np.empty((0, self.network.settings["log_mel"]["n_mels"]), dtype=np.float32)
        for clip_id in clip_ids:
            started = time.perf_counter()
            parts, missing = [left], counts[clip_id] - len(left)
            while missing > 0:
                parts.append(next(batches))
                missing -= len(parts[-1])
            errors = np.concatenate(parts)
            left = errors[counts[clip_id] :]
            errors = errors[: counts[clip_id]]
            seconds = time.perf_counter() - started
            yield ClipErrors(clip_id, errors, errors.mean(axis=1), seconds)

    def _batches(
        self, fabric: Fabric, model: FrameModel, windows: pd.DataFrame
    ) -> Iterator[np.ndarray]:
        import torch

        from anomalous_sound.models.device_windows import on_device

        settings = self.network.settings
        view = WindowedFrames(self.frames, windows, settings["scaling"], **settings["windows"])
        view = on_device(view, fabric.device)
        for start in range(0, len(view), self.batch_size):
            numbers = np.arange(start, min(start + self.batch_size, len(view)))
            with torch.inference_mode():
                batch = fabric.to_device(torch.as_tensor(view[numbers]))
                yield model(batch).float().cpu().numpy()


def pool_clip(clip: ClipErrors, settings: Mapping[str, Any]) -> np.ndarray:
    """Pool the errors of one clip over time.

    Returns:
        One value a mel band; without whitening a single one, the pooled window error.
    """
    of_windows = settings["whitening"] == "none"
    errors = clip.window_errors[:, None] if of_windows else clip.band_errors
    return pool_over_time(
        errors, settings["pooling"], percentile=settings["percentile"], decay=settings["decay"]
    )


def pool_errors(band_errors: BandErrors, settings: Mapping[str, Any]) -> pd.DataFrame:
    """Pool the errors of each clip over time.

    Args:
        band_errors: the errors of all clips.
        settings: of the score.

    Returns:
        ``clip_id`` and the pooled errors of each mel band (``band_0``, ``band_1``, …); without
        whitening only ``window``, the pooled window error.
    """
    values = np.stack([pool_clip(clip, settings) for clip in band_errors])
    of_windows = settings["whitening"] == "none"
    columns = ["window"] if of_windows else [f"band_{band}" for band in range(values.shape[1])]
    table = pd.DataFrame(values, columns=columns)
    table.insert(0, "clip_id", band_errors.index.clip_id.to_numpy())
    return table


def target_time_s(errors: pd.DataFrame, settings: Mapping[str, Any]) -> np.ndarray:
    """Return the time in the clip to which each window's error belongs: the middle of its target.

    Args:
        errors: ``start_s`` of each window.
        settings: the network's settings.

    Returns:
        Seconds from the start of the clip.
    """
    target_frames = architecture_class(settings).target_frames
    first, last = target_frames(settings["windows"]["length"], settings["network"])
    frame_s = settings["log_mel"]["hop_length"] / settings["audio"]["sample_rate"]
    return errors.start_s.to_numpy() + (first + last) / 2 * frame_s
