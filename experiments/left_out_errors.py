"""Errors of clips that a network has not heard: what scores are chosen on.

The normal clips of a corpus are divided twice. The outer folds say what is tested: a third of the
normal clips and all anomalous ones (of a simulated corpus its own test clips). The others are
trained on as a detector does it, by networks that are each trained without an inner fold. Kept are
the errors of each training clip by the network that has not heard it, those of the test clips by
every network, and those of the first network for the clips it was trained on.

With one network, validation clips are held out as a detector with `detector.folds=1` does it, and
the errors kept are those of the clips that the network was trained on.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from anomalous_sound.compute.processes import in_processes
from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.corpus.split import draw_folds, hold_out_validation
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.datasets import AudioFolderDataset, SimulatedAudioDataset
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import log_mel_spectrogram
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.methods.trained import NetworkDescription, TrainedNetworks
from anomalous_sound.scoring.band_errors import squared
from anomalous_sound.scoring.errors import WindowScoring
from anomalous_sound.sources.layout import identify_clips
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_network
from anomalous_sound.vocabulary import Label, Split
from benchmarks.configuration import method_settings, parameters, simulation
from experiments.rule import STANDARD, Networks

OUTER_FOLDS, OUTER_SEED = 3, 77
INNER_FOLDS = STANDARD.folds
_BETWEEN_SEEDS = 100  # more than there are folds, each of which has a seed of its own


@dataclass(frozen=True)
class Corpus:
    """Clips to choose on.

    Attributes:
        name: for tables.
        machine_type: corpora of one machine type are averaged before machine types are.
        audio_dir: the recordings; None: simulated with ``seed``.
        seed: of the simulation.
        training_clips: simulated for each machine ID; None: as many as the project's own corpus.
    """

    name: str
    machine_type: str
    audio_dir: str | None = None
    seed: int = 0
    training_clips: int | None = None

    @cached_property
    def features(self) -> FeatureSettings:
        """How clips become frames."""
        shared = parameters("standard")
        return FeatureSettings(audio=shared.audio, log_mel=shared.log_mel)

    @cached_property
    def loaded(self) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        """The clips (``clip_id, machine_id, label, split``) and the log-mel frames of each."""
        if self.audio_dir is None:
            with tempfile.TemporaryDirectory() as folder:
                settings = simulation() | {"seed": self.seed}
                if self.training_clips is not None:
                    settings |= {"training_clips": self.training_clips}
                dataset = SimulatedAudioDataset(path=f"{folder}/slider", simulation=settings)
                return self._decoded(dataset.load())
        return self._decoded(AudioFolderDataset(audio_dir=self.audio_dir).load())

    def _decoded(self, raw) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
        found, _ = identify_clips(sorted(raw.recordings), raw.folder_name, raw.labels)
        clips = pd.DataFrame(
            [(name, it.machine_id, it.label, it.split) for name, it in sorted(found.items())],
            columns=["clip_id", "machine_id", "label", "split"],
        ).assign(sha256="")
        frames = {
            name: log_mel_spectrogram(raw.mono_clip(name, self.features.audio), self.features)
            for name in clips.clip_id
        }
        return clips, frames

    def tested(self) -> Iterator[set[str]]:
        """Yield the clips that are tested together; normal clips left are trained on."""
        clips, _ = self.loaded
        if self.audio_dir is None:
            yield set(clips.clip_id[clips.split == Split.TEST])
            return
        normal = clips[clips.label == Label.NORMAL].reset_index(drop=True)
        fold = draw_folds(normal, OUTER_FOLDS, OUTER_SEED)
        for number in range(OUTER_FOLDS):
            yield set(normal.clip_id[fold == number]) | set(
                clips.clip_id[clips.label == Label.ANOMALOUS]
            )


@dataclass(frozen=True)
class LeftOutErrors:
    """Errors of the clips of one outer fold; each windows × mel bands, float16 roots.

    Attributes:
        left_out: of each training clip, by the network that has not heard it; with one network, of
            each clip that it was trained on.
        test: of each test clip, by every network.
        heard: of the training clips of the first network, by that network.
        cpu_s: seconds of a processor that the training of each network took.
    """

    left_out: dict[str, np.ndarray]
    test: dict[str, list[np.ndarray]]
    heard: dict[str, np.ndarray]
    cpu_s: list[float] = field(default_factory=list)


class _Training:
    """How the networks of one outer fold are trained."""

    def __init__(self, corpus: Corpus, method: str, tested: set[str], unused: Set[str]) -> None:
        self.clips, of_clips = corpus.loaded
        self.frames = Frames.in_memory(of_clips)
        self.shared, self.own = parameters("standard"), method_settings(method, "standard")
        is_normal = self.clips.label == Label.NORMAL
        normal = self.clips[is_normal & ~self.clips.clip_id.isin(tested | unused)]
        self.normal = normal.reset_index(drop=True)
        self.description = NetworkDescription(
            method=method,
            network=self.own.network,
            features=corpus.features,
            windows=self.shared.windows,
            scaling=Scaling("clip"),
            machine_ids=tuple(sorted(set(self.normal.machine_id))),
            corpus=_summary(corpus, self.clips),
        )
        self.form = self.own.training.windows(self.shared.windows)
        self.strided = index_windows(
            self.frames.index,
            self.form,
            frame_s=corpus.features.frame_s,
            stride=self.own.training.stride,
        )
        self.every = index_windows(
            self.frames.index, self.shared.windows, frame_s=corpus.features.frame_s
        )

    def held_out(self, folds: int, seed: int) -> list[set[str]]:
        """Return the clips that each network is trained without."""
        if folds == 1:
            fraction = self.shared.corpus.validation_fraction
            split = hold_out_validation(self.normal.assign(split=Split.TRAIN), fraction, seed)
            return [set(self.normal.clip_id[split == Split.VALIDATION])]
        fold = draw_folds(self.normal, folds, seed)
        return [set(self.normal.clip_id[fold == number]) for number in range(folds)]

    def network(self, held_out: set[str], seed: int) -> tuple[TrainedNetworks, float]:
        """Train a network without some clips; return it and the seconds of a processor."""
        heard = set(self.normal.clip_id) - held_out
        windows = (
            WindowedFrames(
                self.frames,
                self.strided[self.strided.clip_id.isin(some)],
                self.description.scaling,
                self.form,
            )
            for some in (heard, held_out)
        )
        started = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            trained, _ = train_network(
                *windows,
                clips=self.normal,
                description=self.description,
                training=self.own.training,
                seed=seed,
                checkpoint=Checkpoint(Path(folder) / "checkpoint.ckpt"),
            )
        return trained, time.process_time() - started

    def fold(
        self, held_out: set[str], wanted: Set[str], seed: int
    ) -> tuple[dict[str, np.ndarray], float]:
        """Train a network without some clips; return its errors of others and its seconds."""
        networks, cpu_s = self.network(held_out, seed)
        return dict(self.errors(networks, wanted)), cpu_s

    def errors(
        self, networks: TrainedNetworks, clip_ids: Set[str]
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield clips and their errors by a network."""
        machine_ids = dict(zip(self.clips.clip_id, self.clips.machine_id, strict=True))
        scored = self.every[self.every.clip_id.isin(clip_ids)]
        for clip in WindowScoring(
            *(networks, self.frames, scored, machine_ids, self.shared.inference, 1)
        ):
            yield clip.clip_id, np.sqrt(clip.band_errors[0]).astype(np.float16)


def train(
    corpus: Corpus,
    method: str,
    tested: set[str],
    *,
    unused: Set[str] = frozenset(),
    folds: int = INNER_FOLDS,
    seed: int = 1,
    training_seed: int | None = None,
    processes: int = 1,
) -> LeftOutErrors:
    """Train the networks of one outer fold with the standard profile and return their errors.

    Args:
        corpus: the clips.
        method: whose networks.
        tested: the clips that are tested.
        unused: normal clips that are left aside.
        folds: networks.
        seed: of the folds.
        training_seed: of the training; None: that of the folds.
        processes: that share the networks.
    """
    training = _Training(corpus, method, tested, unused)
    found = LeftOutErrors({}, {name: [] for name in sorted(tested)}, {})
    first_seed = seed if training_seed is None else training_seed
    all_held_out = training.held_out(folds, seed)
    all_heard = [set(training.normal.clip_id) - held_out for held_out in all_held_out]
    all_fitted_on = all_heard if folds == 1 else all_held_out
    tasks = [
        partial(
            training.fold,
            held_out,
            fitted_on | tested | (heard if number == 0 else set()),
            first_seed + number,
        )
        for number, (held_out, heard, fitted_on) in enumerate(
            zip(all_held_out, all_heard, all_fitted_on, strict=True)
        )
    ]
    trained = in_processes(tasks, processes)
    for (errors, cpu_s), heard, fitted_on in zip(trained, all_heard, all_fitted_on, strict=True):
        found.cpu_s.append(cpu_s)
        for clip_id, roots in errors.items():
            if clip_id in tested:
                found.test[clip_id].append(roots)
                continue
            if clip_id in fitted_on:
                found.left_out[clip_id] = roots
            if clip_id in heard:
                found.heard[clip_id] = roots
    return found


def train_with_seeds(
    corpus: Corpus, method: str, tested: set[str], division: Networks
) -> Iterator[LeftOutErrors]:
    """Yield the errors with one network a fold, then averaged over two, and so on.

    Args:
        corpus: the clips.
        method: whose networks.
        tested: the clips that are tested.
        division: into folds, the same for all seeds, and how many seeds at most.
    """
    trained: list[LeftOutErrors] = []
    for number in range(division.seeds):
        training_seed = 1 + number * _BETWEEN_SEEDS
        trained.append(
            train(corpus, method, tested, folds=division.folds, training_seed=training_seed)
        )
        yield averaged(trained)


def averaged(trained: Sequence[LeftOutErrors]) -> LeftOutErrors:
    """Average the errors of networks that were trained without the same clips."""
    if len(trained) == 1:
        return trained[0]
    first = trained[0]
    return LeftOutErrors(
        left_out={name: _mean([one.left_out[name] for one in trained]) for name in first.left_out},
        test={
            name: [
                _mean(of_fold) for of_fold in zip(*(one.test[name] for one in trained), strict=True)
            ]
            for name in first.test
        },
        heard={name: _mean([one.heard[name] for one in trained]) for name in first.heard},
        cpu_s=[seconds for one in trained for seconds in one.cpu_s],
    )


def _mean(roots: Sequence[np.ndarray]) -> np.ndarray:
    """Return the root of the mean of squared errors, of which the roots are given."""
    return np.sqrt(np.mean([squared(some) for some in roots], axis=0)).astype(np.float16)


def seconds_side_by_side(
    corpus: Corpus, method: str, division: Networks, *, processes: int
) -> float:
    """Return the seconds of a clock that the networks of the first outer fold take."""
    training = _Training(corpus, method, next(corpus.tested()), frozenset())
    tasks = [
        partial(training.network, held_out, 1 + fold + number * _BETWEEN_SEEDS)
        for number in range(division.seeds)
        for fold, held_out in enumerate(training.held_out(division.folds, 1))
    ]
    started = time.perf_counter()
    for _ in in_processes(tasks, processes):
        pass
    return time.perf_counter() - started


def _summary(corpus: Corpus, clips: pd.DataFrame) -> CorpusSummary:
    return CorpusSummary(
        name=corpus.name,
        simulated=corpus.audio_dir is None,
        fingerprint="",
        machine_type=corpus.machine_type,
        machine_ids=sorted(set(clips.machine_id)),
        clips_found=len(clips),
        clips_used=len(clips),
        clips_rejected=0,
        clips_by_split_and_label={},
        segment_s=None,
        segment_hop_s=None,
        held_out_by="clips",
    )
