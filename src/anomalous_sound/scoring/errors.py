"""From trained networks to the error of every window and mel band of every clip."""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalous_sound.compute.engine import spread
from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.compute import LOCAL, EngineSettings
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.methods.trained import NetworkDescription, Networks
from anomalous_sound.scoring.band_errors import ClipErrors, ErrorStores, ScoredClip
from anomalous_sound.scoring.runner import Runner, make_runner
from anomalous_sound.storage.array_store import ArrayReader
from anomalous_sound.storage.identity import code_identity, identity

if TYPE_CHECKING:
    import pandas as pd

    from anomalous_sound.features.frames import Frames


class ClipScorer:
    """Networks, ready to be applied to one clip after the other, from several threads.

    It can be pickled; what applies the networks is then made anew.
    """

    def __init__(self, networks: Networks, settings: ScoringSettings) -> None:
        """Remember the networks; what applies them is made when the first clip needs it.

        Args:
            networks: trained or exported.
            settings: device, precision and batch size.
        """
        self._networks = networks
        self._settings = settings
        self._making = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return ClipScorer, (self._networks, self._settings)

    @property
    def runner(self) -> Runner:
        """What applies the networks; see :func:`.make_runner`."""
        with self._making:
            return self._runner

    @cached_property
    def _runner(self) -> Runner:
        return make_runner(self._networks, self._settings)

    def members_of(self, machine_id: str, *, left_out_of: int | None = None) -> tuple[str, ...]:
        """Return the networks that judge a clip; see :meth:`.Networks.members_of`."""
        return self._networks.members_of(machine_id, left_out_of=left_out_of)

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
        members = self.members_of(machine_id, left_out_of=left_out_of)
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
        engine: where errors are computed that are written at once.
    """

    networks: Networks
    frames: Frames
    windows: pd.DataFrame
    machine_ids: Mapping[str, str]
    scoring: ScoringSettings
    jobs: int
    folds: Mapping[str, int] = field(default_factory=dict)
    engine: EngineSettings = LOCAL

    def __iter__(self) -> Iterator[ClipErrors]:
        """Yield the errors of one clip after the other.

        Raises:
            InputError: no network judges the machine ID of a clip.
        """
        first_frames = dict(self._first_frames())

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

    def write(self, stores: ErrorStores) -> Iterator[ScoredClip]:
        """Write the errors of each clip, unless they are there; yield one clip after the other.

        Raises:
            InputError: no network judges the machine ID of a clip, or the cluster is gone.
        """
        keys = dict(zip(self.frames.index.clip_id, self.frames.index.key, strict=True))
        wanted = (
            _Wanted(
                clip_id,
                keys[clip_id],
                _as_range(first_frames),
                self.machine_ids[clip_id],
                self.folds.get(clip_id),
            )
            for clip_id, first_frames in self._first_frames()
        )
        scorer = ClipScorer(self.networks, self.scoring)
        yield from spread(
            _write_clip,
            _Writing(scorer, self.frames.store, stores, self._identity()),
            wanted,
            engine=self.engine,
            locally=in_threads,
            jobs=self.jobs,
            what="scoring",
        )

    def _first_frames(self) -> Iterator[tuple[str, NDArray[np.int64]]]:
        by_clip = self.windows.groupby("clip_id", observed=True, sort=False).first_frame
        for clip_id, frames in by_clip:
            # copied, because PyTorch warns of arrays that cannot be written to
            yield str(clip_id), frames.to_numpy(copy=True)

    def _identity(self) -> str:
        """Return the identity of all that errors depend on, besides the clip."""
        networks = hashlib.sha256()
        for name, content in self.networks.contents():
            networks.update(name.encode())
            networks.update(content)
        return identity(
            networks=networks.hexdigest(),
            description=self.networks.description.to_json(),
            scoring=self.scoring,
            code=code_identity("anomalous_sound", distributions=["numpy", "torch"]),
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


class _Wanted(NamedTuple):
    """A clip to score.

    Attributes:
        clip_id: what to call it.
        frames: key of its frames.
        first_frames: the first frame of each window in the clip.
        machine_id: of the clip.
        fold: that a network was trained without, if it is a normal clip of the training.
    """

    clip_id: str
    frames: str
    first_frames: range | NDArray[np.int64]
    machine_id: str
    fold: int | None


@dataclass(frozen=True)
class _Writing:
    """What is the same for all clips whose errors are written."""

    scorer: ClipScorer
    frames: ArrayReader
    stores: ErrorStores
    identity: str


def _write_clip(writing: _Writing, wanted: _Wanted) -> ScoredClip:
    first_frames = np.asarray(wanted.first_frames, dtype=np.int64)
    members = writing.scorer.members_of(wanted.machine_id, left_out_of=wanted.fold)
    key = identity(
        of=writing.identity,
        frames=wanted.frames,
        first_frames=hashlib.sha256(first_frames.tobytes()).hexdigest(),
        machine_id=wanted.machine_id,
        members=members,
    )
    if there := writing.stores.read_clip(wanted.clip_id, members, key):
        return there
    errors = writing.scorer.errors(
        wanted.clip_id,
        writing.frames.read(wanted.frames),
        first_frames,
        wanted.machine_id,
        left_out_of=wanted.fold,
    )
    return writing.stores.write_clip(errors, key)


def _as_range(numbers: NDArray[np.int64]) -> range | NDArray[np.int64]:
    """Return equal steps as a range, which is small wherever it is sent; others as they are."""
    if len(numbers) < 2:
        return numbers
    steps = range(int(numbers[0]), int(numbers[-1]) + 1, max(1, int(numbers[1] - numbers[0])))
    return steps if np.array_equal(numbers, steps) else numbers


def target_offset_s(description: NetworkDescription) -> float:
    """Return how long after a window's start the middle of what its error is about lies, s."""
    first, last = description.network.target_frames(description.windows.length)
    return (first + last) / 2 * description.features.frame_s
