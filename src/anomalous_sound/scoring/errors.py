"""From trained networks to the error of every window and mel band of every clip."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.methods.trained import NetworkDescription, Networks
from anomalous_sound.scoring.band_errors import ClipErrors
from anomalous_sound.scoring.runner import Runner, make_runner

if TYPE_CHECKING:
    import pandas as pd

    from anomalous_sound.features.frames import Frames


class ClipScorer:
    """Networks, ready to be applied to one clip after the other, from several threads."""

    def __init__(self, networks: Networks, settings: ScoringSettings) -> None:
        """Remember the networks; what applies them is made when the first clip needs it.

        Args:
            networks: trained or exported.
            settings: device, precision and batch size.
        """
        self._networks = networks
        self._settings = settings
        self._making = Lock()

    @property
    def runner(self) -> Runner:
        """What applies the networks; see :func:`.make_runner`."""
        with self._making:
            return self._runner

    @cached_property
    def _runner(self) -> Runner:
        return make_runner(self._networks, self._settings)

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
            frames: frames × mel bands, dB: the whole clip, each channel of which the networks hear
                by itself.
            first_frames: the first frame of each window in the clip.
            machine_id: of the clip.
            left_out_of: the fold of a normal clip of the training; see
                :meth:`.Networks.members_of`.

        Raises:
            InputError: no network judges the machine ID, or what applies networks is not there.
        """
        started = time.perf_counter()
        description = self._networks.description
        members = self._networks.members_of(machine_id, left_out_of=left_out_of)
        scaled = description.scaling.scaled(frames)
        channels = len(description.features.audio.channels)
        of_channels = [
            self.runner.errors(members, one, first_frames, machine=description.machine(machine_id))
            for one in ([scaled] if channels == 1 else np.split(scaled, channels, axis=1))
        ]
        errors = of_channels[0] if channels == 1 else np.concatenate(of_channels, axis=-1)
        seconds = time.perf_counter() - started
        return ClipErrors.kept(clip_id, members, errors, seconds)


@dataclass(frozen=True)
class WindowScoring:
    """The errors of all windows, computed clip by clip when they are iterated over.

    So no more than a batch of windows and the errors of a few clips are in memory at a time.

    Attributes:
        networks: trained or exported.
        frames: log-mel frames of all clips, dB.
        windows: the windows to score, as :func:`index_windows` lists them, clip after clip.
        machine_ids: the machine ID of each clip ID.
        scoring: device, precision and batch size.
        jobs: clips scored at the same time on a CPU; -1: as many as there are cores.
        folds: the fold of each normal clip that a network was trained without; that network alone
            scores it.
    """

    networks: Networks
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
            jobs = self.jobs if scorer.runner.on_cpu else 1
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


def target_offset_s(description: NetworkDescription) -> float:
    """Return how long after a window's start the middle of what its error is about lies, s."""
    first, last = description.network.target_frames(description.windows.length)
    return (first + last) / 2 * description.features.frame_s
