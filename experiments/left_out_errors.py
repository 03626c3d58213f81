"""Errors of clips that a network has not heard: what scores are chosen on.

The normal clips of a corpus are divided twice. The outer folds say what is tested: a third of the
normal clips and all anomalous ones (of a simulated corpus its own test clips). The others are
trained on as a detector does it, by networks that are each trained without an inner fold. Kept are
the errors of each training clip by the network that has not heard it, those of the test clips by
every network, and those of the first network for the clips it was trained on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.corpus.split import draw_folds
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.datasets import AudioFolderDataset, SimulatedAudioDataset
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import log_mel_spectrogram
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.methods.trained import NetworkDescription
from anomalous_sound.scoring.errors import WindowScoring
from anomalous_sound.sources.layout import identify_clips
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_network
from anomalous_sound.vocabulary import Label, Split
from benchmarks.configuration import method_settings, parameters, simulation

OUTER_FOLDS, OUTER_SEED = 3, 77
INNER_FOLDS = 4


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
        left_out: of each training clip, by the network that has not heard it.
        test: of each test clip, by every network.
        heard: of the training clips of the first network, by that network.
    """

    left_out: dict[str, np.ndarray]
    test: dict[str, list[np.ndarray]]
    heard: dict[str, np.ndarray]


def train(
    corpus: Corpus,
    method: str,
    tested: set[str],
    *,
    unused: Set[str] = frozenset(),
    folds: int = INNER_FOLDS,
    seed: int = 1,
) -> LeftOutErrors:
    """Train the networks of one outer fold with the standard profile and return their errors.

    Args:
        corpus: the clips.
        method: whose networks.
        tested: the clips that are tested.
        unused: normal clips that are left aside.
        folds: networks.
        seed: of the folds and the training.
    """
    clips, of_clips = corpus.loaded
    frames = Frames.in_memory(of_clips)
    shared, own = parameters("standard"), method_settings(method, "standard")
    normal = clips[(clips.label == Label.NORMAL) & ~clips.clip_id.isin(tested | unused)]
    normal = normal.reset_index(drop=True)
    description = NetworkDescription(
        method=method,
        network=own.network,
        features=corpus.features,
        windows=shared.windows,
        scaling=Scaling("clip"),
        machine_ids=tuple(sorted(set(normal.machine_id))),
        corpus=_summary(corpus, clips),
    )
    form, frame_s = own.training.windows(shared.windows), corpus.features.frame_s
    strided = index_windows(frames.index, form, frame_s=frame_s, stride=own.training.stride)
    every = index_windows(frames.index, shared.windows, frame_s=frame_s)
    machine_ids = dict(zip(clips.clip_id, clips.machine_id, strict=True))
    found = LeftOutErrors({}, {name: [] for name in sorted(tested)}, {})
    fold = draw_folds(normal, folds, seed)
    for number in range(folds):
        left_out = set(normal.clip_id[fold == number])
        heard = set(normal.clip_id) - left_out
        windows = (
            WindowedFrames(frames, strided[strided.clip_id.isin(some)], description.scaling, form)
            for some in (heard, left_out)
        )
        with tempfile.TemporaryDirectory() as folder:
            networks, _ = train_network(
                *windows,
                clips=normal,
                description=description,
                training=own.training,
                seed=seed + number,
                checkpoint=Checkpoint(Path(folder) / "checkpoint.ckpt"),
            )
        wanted = left_out | tested | (heard if number == 0 else set())
        scored = every[every.clip_id.isin(wanted)]
        scoring = shared.inference
        for clip in WindowScoring(networks, frames, scored, machine_ids, scoring, shared.jobs):
            roots = np.sqrt(clip.band_errors[0]).astype(np.float16)
            if clip.clip_id in tested:
                found.test[clip.clip_id].append(roots)
            elif clip.clip_id in left_out:
                found.left_out[clip.clip_id] = roots
            else:
                found.heard[clip.clip_id] = roots
    return found


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
