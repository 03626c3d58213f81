"""From a trained network to the error of every window and the anomaly score of every clip."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anomalous_sound.compute.threads import in_threads, torch_threads
from anomalous_sound.features.frames import Frames, scaled_clip
from anomalous_sound.methods.trained_network import TrainedNetwork, architecture_class
from anomalous_sound.scoring.band_errors import ClipErrors

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from anomalous_sound.methods.frame_network import FrameModel


@dataclass(frozen=True)
class WindowScoring:
    """The errors of all windows, computed clip by clip when they are iterated over.

    So no more than a batch of windows and the errors of a clip are in memory at a time.

    Attributes:
        network: the trained network with its settings.
        frames: log-mel frames of all clips, dB.
        windows: the windows to score, as :func:`index_windows` lists them, clip after clip.
        machine_ids: the machine ID of each clip ID.
        batch_size: windows scored at once, at most; and no more than those of one clip are.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: as :func:`anomalous_sound.training.loop.make_fabric` takes it.
        jobs: clips scored at the same time on a CPU; -1: as many as there are cores.
    """

    network: TrainedNetwork
    frames: Frames
    windows: pd.DataFrame
    machine_ids: Mapping[str, str]
    batch_size: int
    accelerator: str
    precision: str
    jobs: int

    def __iter__(self) -> Iterator[ClipErrors]:
        """Yield the squared errors of scaled log-mel values of one clip after the other."""
        by_clip = self.windows.groupby("clip_id", observed=True, sort=False).first_frame
        first_frames = {clip_id: frames.to_numpy() for clip_id, frames in by_clip}

        def member_of(clip_id: str) -> str:
            return self.network.member_of(self.machine_ids[clip_id])

        for member, clip_ids in itertools.groupby(first_frames, member_of):
            yield from self._of_member(
                member, {clip_id: first_frames[clip_id] for clip_id in clip_ids}
            )

    def _of_member(
        self, member: str, first_frames: Mapping[str, np.ndarray]
    ) -> Iterator[ClipErrors]:
        from anomalous_sound.training.loop import make_fabric

        fabric = make_fabric(self.accelerator, self.precision)
        model = fabric.to_device(self.network.build(member))
        jobs = self.jobs if fabric.device.type == "cpu" else 1
        # a clip a thread: threads that share the small products of one clip would mostly wait
        with torch_threads(1):
            yield from in_threads(
                (
                    partial(self._of_clip, fabric, model, clip_id, first)
                    for clip_id, first in first_frames.items()
                ),
                jobs,
            )

    def _of_clip(
        self, fabric: Fabric, model: FrameModel, clip_id: str, first_frames: np.ndarray
    ) -> ClipErrors:
        import torch

        started = time.perf_counter()
        if fabric.device.type == "cpu":
            torch.set_num_threads(1)
        scaled = scaled_clip(self.frames, clip_id, self.network.settings["scaling"])
        with torch.inference_mode(), fabric.autocast():
            clip = fabric.to_device(torch.from_numpy(scaled))
            if model.whole_clips:
                errors = model.frame_errors(clip[None])[0]
            else:
                form = self.network.settings["windows"]
                steps = torch.arange(form["length"] + form["next_frame"])
                starts = torch.from_numpy(first_frames - self.frames.place(clip_id)[0])
                errors = torch.cat(
                    [
                        model(clip[fabric.to_device(some[:, None] + steps)])
                        for some in starts.split(self.batch_size)
                    ]
                )
            errors = errors.float().cpu().numpy()
        return ClipErrors(clip_id, errors, errors.mean(axis=1), time.perf_counter() - started)


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
