"""From trained networks to the error of every window and mel band of every clip."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalous_sound.compute.threads import in_threads, torch_threads
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.features.frames import Frames, scaled_clip
from anomalous_sound.methods.trained import NetworkDescription, TrainedNetworks
from anomalous_sound.scoring.band_errors import BandErrors, ClipErrors
from anomalous_sound.scoring.clip_score import pool_over_time

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from anomalous_sound.methods.network import Network


@dataclass(frozen=True)
class WindowScoring:
    """The errors of all windows, computed clip by clip when they are iterated over.

    So no more than a batch of windows and the errors of a few clips are in memory at a time.

    Attributes:
        networks: the trained networks.
        frames: log-mel frames of all clips, dB.
        windows: the windows to score, as :func:`index_windows` lists them, clip after clip.
        machine_ids: the machine ID of each clip ID.
        scoring: device, precision and batch size.
        jobs: clips scored at the same time on a CPU; -1: as many as there are cores.
    """

    networks: TrainedNetworks
    frames: Frames
    windows: pd.DataFrame
    machine_ids: Mapping[str, str]
    scoring: ScoringSettings
    jobs: int

    def __iter__(self) -> Iterator[ClipErrors]:
        """Yield the errors of one clip after the other.

        Raises:
            InputError: no network judges the machine ID of a clip.
        """
        by_clip = self.windows.groupby("clip_id", observed=True, sort=False).first_frame
        first_frames = {str(clip_id): frames.to_numpy() for clip_id, frames in by_clip}

        def members_of(clip_id: str) -> tuple[str, ...]:
            return self.networks.members_of(self.machine_ids[clip_id])

        for members, clip_ids in itertools.groupby(first_frames, members_of):
            yield from self._of_members(
                members, {clip_id: first_frames[clip_id] for clip_id in clip_ids}
            )

    def _of_members(
        self, members: Sequence[str], first_frames: Mapping[str, NDArray[np.int64]]
    ) -> Iterator[ClipErrors]:
        from anomalous_sound.compute.device import make_fabric

        fabric = make_fabric(self.scoring.accelerator, self.scoring.precision)
        networks = [self.networks.build(member) for member in members]
        for network in networks:
            fabric.to_device(network)
        jobs = self.jobs if fabric.device.type == "cpu" else 1
        # a clip a thread: threads that share the small products of one clip would mostly wait
        with torch_threads(1):
            yield from in_threads(
                (
                    partial(self._of_clip, networks, fabric, clip_id, first)
                    for clip_id, first in first_frames.items()
                ),
                jobs,
            )

    def _of_clip(
        self,
        networks: Sequence[Network],
        fabric: Fabric,
        clip_id: str,
        first_frames: NDArray[np.int64],
    ) -> ClipErrors:
        started = time.perf_counter()
        description = self.networks.description
        errors = errors_of_clip(
            networks,
            scaled_clip(self.frames, clip_id, description.scaling),
            first_frames - self.frames.place(clip_id)[0],
            machine=description.machine(self.machine_ids[clip_id]),
            batch_size=self.scoring.batch_size,
            fabric=fabric,
        )
        return ClipErrors(clip_id, errors, errors.mean(axis=1), time.perf_counter() - started)


def errors_of_clip(
    networks: Sequence[Network],
    frames: NDArray[np.float32],
    first_frames: NDArray[np.int64],
    *,
    machine: int,
    batch_size: int,
    fabric: Fabric,
) -> NDArray[np.float32]:
    """Return the error of every window and mel band of one clip.

    Args:
        networks: those that judge the clip, on the device; their errors are averaged.
        frames: frames × mel bands, scaled: the whole clip.
        first_frames: the first frame of each window in the clip.
        machine: the place of the clip's machine ID among those trained on; -1 for any other.
        batch_size: windows computed at once, at most.
        fabric: device and precision, as
            :func:`~anomalous_sound.compute.device.make_fabric` chooses them.

    Returns:
        Windows × mel bands, at least 0.
    """
    import torch

    from anomalous_sound.methods.network import ClipInput

    # the number of threads decides in which order a CPU sums, and so the last bit
    threads = 1 if fabric.device.type == "cpu" else torch.get_num_threads()
    with torch_threads(threads), torch.inference_mode(), fabric.autocast():
        clip = ClipInput(
            fabric.to_device(torch.from_numpy(frames)),
            fabric.to_device(torch.from_numpy(first_frames)),
            machine,
            batch_size,
        )
        errors = [network.errors(clip).float() for network in networks]
        mean = errors[0] if len(errors) == 1 else torch.stack(errors).mean(dim=0)
        found: NDArray[np.float32] = mean.cpu().numpy()
        return found


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


def target_time_s(
    start_s: NDArray[np.float64], description: NetworkDescription
) -> NDArray[np.float64]:
    """Return the time in the clip that each window's error is about: the middle of its target.

    Args:
        start_s: seconds from the start of the clip to each window.
        description: of the network.

    Returns:
        Seconds from the start of the clip.
    """
    first, last = description.network.target_frames(description.windows.length)
    return start_s + (first + last) / 2 * description.features.frame_s
