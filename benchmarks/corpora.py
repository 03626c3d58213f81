"""The simulated corpus of the benchmarks, and everything up to its windows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.datasets import AudioFolderDataset, FramesDataset
from anomalous_sound.features.frames import Frames
from anomalous_sound.methods.trained import NetworkDescription
from anomalous_sound.parameters import SharedParameters
from anomalous_sound.pipelines.preparation import nodes
from anomalous_sound.pipelines.training.nodes import describe_network
from anomalous_sound.sources.simulation.corpus import is_current, write_corpus
from anomalous_sound.sources.simulation.settings import SimulationSettings
from benchmarks.configuration import method_settings, parameters, simulation
from benchmarks.plain.features import scaled


@dataclass(frozen=True)
class Corpus:
    """A simulated corpus of about ``clips`` clips, the default one cut to size."""

    folder: Path
    clips: int

    @property
    def audio_dir(self) -> Path:
        return self.folder / "audio"

    @property
    def parameters(self) -> SharedParameters:
        return parameters()

    @cached_property
    def recordings(self) -> AudioCorpus:
        settings = simulation()
        machine_ids = settings["machine_ids"][: max(1, self.clips // 8)]
        kinds = ("training_clips", "normal_test_clips", "anomalous_test_clips")
        whole = len(machine_ids) * sum(settings[kind] for kind in kinds)
        cut = {kind: max(2, round(settings[kind] * self.clips / whole)) for kind in kinds}
        cut["training_clips"] = max(4 if len(machine_ids) == 1 else 2, cut["training_clips"])
        smaller = SimulationSettings.parse(settings | cut | {"machine_ids": machine_ids})
        if not is_current(self.audio_dir, smaller):  # or another process has written it
            write_corpus(self.audio_dir, smaller)
        return AudioFolderDataset(audio_dir=str(self.audio_dir)).load()

    @property
    def files(self) -> list[Path]:
        return [self.audio_dir / clip_id for clip_id in self.recordings.recordings]

    def prepare(self) -> tuple[pd.DataFrame, CorpusSummary, Frames]:
        """Do what the pipeline does up to the frames: check, split, compute, write."""
        settings = self.parameters
        audio, log_mel = settings.audio, settings.log_mel
        nothing_known = pd.DataFrame()
        clips, _, summary, _ = nodes.check_clips(
            self.recordings,
            nothing_known,
            settings.corpus,
            audio,
            log_mel,
            settings.detector,
            settings.seed,
            settings.jobs,
        )
        shutil.rmtree(self.folder / "log_mel", ignore_errors=True)  # or it would be re-used
        dataset = FramesDataset(filepath=str(self.folder / "log_mel"), jobs=settings.jobs)
        dataset.save(nodes.extract_log_mel(self.recordings, clips, audio, log_mel))
        return clips, summary, dataset.load()

    @cached_property
    def prepared(self) -> tuple[pd.DataFrame, CorpusSummary, Frames]:
        """What :meth:`prepare` returned at first, in this process or another."""
        kept = self.folder / "prepared.pkl"
        if not kept.exists():
            table, summary, _ = self.prepare()
            pd.to_pickle((table, summary), kept)
        frames = FramesDataset(filepath=str(self.folder / "log_mel")).load()
        return *pd.read_pickle(kept), frames

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process without what was read."""
        return Corpus, (self.folder, self.clips)

    @property
    def clip_table(self) -> pd.DataFrame:
        return self.prepared[0]

    @property
    def frames(self) -> Frames:
        return self.prepared[2]

    @cached_property
    def windows(self) -> pd.DataFrame:
        settings = self.parameters
        return nodes.index_windows(self.frames, settings.audio, settings.log_mel, settings.windows)

    def windows_of(self, split: str) -> pd.DataFrame:
        return self.windows[self.windows.clip_id.isin(self._clip_ids(split))]

    def scaled_clips(self, split: str) -> list[np.ndarray]:
        """Return the same clips in the plain way's form."""
        return [scaled(np.array(self.frames.clip(clip_id))) for clip_id in self._clip_ids(split)]

    def describe(self, model: str) -> NetworkDescription:
        """Return what a network is built from."""
        settings = self.parameters
        clips, summary, frames = self.prepared
        return describe_network(
            method_settings(model).network,
            settings.audio,
            settings.log_mel,
            settings.windows,
            nodes.fit_scaling(frames, clips, settings.scaling),
            clips,
            summary,
        )

    def _clip_ids(self, split: str) -> list[str]:
        return self.clip_table.clip_id[self.clip_table.split == split].tolist()
