"""From trained networks to the error of every window and mel band of every clip."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from anomalous_sound.compute.threads import in_threads, torch_threads
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.methods.trained import NetworkDescription, TrainedNetworks
from anomalous_sound.scoring.band_errors import ClipErrors

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from anomalous_sound.methods.network import Network


class ClipScorer:
    """Trained networks, ready to be applied to one clip after the other, from several threads."""

    def __init__(self, networks: TrainedNetworks, settings: ScoringSettings) -> None:
        """Remember the networks; each is built when the first clip needs it.

        Args:
            networks: the trained networks.
            settings: device, precision and batch size.
        """
        self._networks = networks
        self._settings = settings
        self._built: dict[str, Network] = {}
        self._building = Lock()

    @cached_property
    def fabric(self) -> Fabric:
        """Device and precision."""
        from anomalous_sound.compute.device import make_fabric

        return make_fabric(self._settings.accelerator, self._settings.precision)

    def errors(
        self,
        clip_id: str,
        frames: NDArray[np.float32],
        first_frames: NDArray[np.int64],
        machine_id: str,
        *,
        left_out_of: int | None = None,
    ) -> ClipErrors:
        """Return the error of every window and mel band of one clip.

        Args:
            clip_id: what to call the clip.
            frames: frames × mel bands, dB: the whole clip.
            first_frames: the first frame of each window in the clip.
            machine_id: of the clip.
            left_out_of: the fold of a normal clip of the training; see
                :meth:`.TrainedNetworks.members_of`.

        Raises:
            InputError: no network judges the machine ID.
        """
        started = time.perf_counter()
        description = self._networks.description
        members = self._networks.members_of(machine_id, left_out_of=left_out_of)
        errors = errors_of_clip(
            [self._network(member) for member in members],
            description.scaling.scaled(frames),
            first_frames,
            machine=description.machine(machine_id),
            batch_size=self._settings.batch_size,
            fabric=self.fabric,
        )
        seconds = time.perf_counter() - started
        return ClipErrors.kept(clip_id, members, errors, seconds)

    def _network(self, member: str) -> Network:
        with self._building:
            if member not in self._built:
                network = self._networks.build(member)
                self.fabric.to_device(network)
                self._built[member] = network
            return self._built[member]


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
        folds: the fold of each normal clip that a network was trained without; that network alone
            scores it.
    """

    networks: TrainedNetworks
    frames: Frames
    windows: pd.DataFrame
    machine_ids: Mapping[str, str]
    scoring: ScoringSettings
    jobs: int
    folds: Mapping[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[ClipErrors]:
        """Yield the errors of one clip after the other.

        Raises:
            InputError: no network judges the machine ID of a clip.
        """
        by_clip = self.windows.groupby("clip_id", observed=True, sort=False).first_frame
        # copied, because PyTorch warns of arrays that cannot be written to
        first_frames = {str(clip_id): frames.to_numpy(copy=True) for clip_id, frames in by_clip}

        def members_of(clip_id: str) -> tuple[str, ...]:
            return self.networks.members_of(self.machine_ids[clip_id])

        # the networks of one machine ID are in memory at a time
        for _, clip_ids in itertools.groupby(first_frames, members_of):
            scorer = ClipScorer(self.networks, self.scoring)
            jobs = self.jobs if scorer.fabric.device.type == "cpu" else 1
            yield from in_threads(
                (
                    partial(self._of_clip, scorer, clip_id, first_frames[clip_id])
                    for clip_id in clip_ids
                ),
                jobs,
            )

    def _of_clip(
        self, scorer: ClipScorer, clip_id: str, first_frames: NDArray[np.int64]
    ) -> ClipErrors:
        frames = self.frames.clip(clip_id)
        return scorer.errors(
            clip_id,
            frames,
            first_frames,
            self.machine_ids[clip_id],
            left_out_of=self.folds.get(clip_id),
        )


def errors_of_clip(
    networks: Sequence[Network],
    frames: NDArray[np.float32],
    first_frames: NDArray[np.int64],
    *,
    machine: int,
    batch_size: int,
    fabric: Fabric,
) -> NDArray[np.float32]:
    """Apply networks to one clip.

    Args:
        networks: those that judge the clip, on the device.
        frames: frames × mel bands, scaled: the whole clip.
        first_frames: the first frame of each window in the clip.
        machine: the place of the clip's machine ID among those trained on; -1 for any other.
        batch_size: windows computed at once, at most.
        fabric: device and precision, as
            :func:`~anomalous_sound.compute.device.make_fabric` chooses them.

    Returns:
        Networks × windows × mel bands, at least 0.
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
        found: NDArray[np.float32] = torch.stack(errors).cpu().numpy()
        return found


def target_offset_s(description: NetworkDescription) -> float:
    """Return how long after a window's start the middle of what its error is about lies, s."""
    first, last = description.network.target_frames(description.windows.length)
    return (first + last) / 2 * description.features.frame_s
