"""The simulated corpus of the benchmarks, and everything up to its windows."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.config import OmegaConfigLoader

from anomalous_sound.corpus.clips import AudioCorpus
from anomalous_sound.datasets import AudioFolderDataset, FramesDataset
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import WindowedFrames
from anomalous_sound.pipelines.preparation import nodes
from anomalous_sound.settings import CONFIG_LOADER_ARGS
from anomalous_sound.sources.simulation.corpus import is_current, write_corpus

REPOSITORY = Path(__file__).parents[1]


@cache
def configuration(name: str, profile: str = "report") -> dict[str, Any]:
    """Return parameters or globals as Kedro reads them."""
    loader = OmegaConfigLoader(
        str(REPOSITORY / "conf"),
        env="base",
        runtime_params={"profile": profile},
        **CONFIG_LOADER_ARGS,
    )
    return loader[name]


@dataclass(frozen=True)
class Corpus:
    """A simulated corpus of about ``clips`` clips, the default one cut to size."""

    folder: Path
    clips: int

    @property
    def audio_dir(self) -> Path:
        return self.folder / "audio"

    @property
    def parameters(self) -> dict[str, Any]:
        return configuration("parameters")

    @cached_property
    def recordings(self) -> AudioCorpus:
        settings = configuration("globals")["simulation"]
        machine_ids = settings["machine_ids"][: max(1, self.clips // 8)]
        kinds = ("training_clips", "normal_test_clips", "anomalous_test_clips")
        whole = len(machine_ids) * sum(settings[kind] for kind in kinds)
        cut = {kind: max(2, round(settings[kind] * self.clips / whole)) for kind in kinds}
        cut["training_clips"] = max(4 if len(machine_ids) == 1 else 2, cut["training_clips"])
        settings = settings | cut | {"machine_ids": machine_ids}
        if not is_current(self.audio_dir, settings):  # or another process has written it
            write_corpus(self.audio_dir, settings)
        return AudioFolderDataset(audio_dir=str(self.audio_dir)).load()

    @property
    def files(self) -> list[Path]:
        return [self.audio_dir / clip_id for clip_id in self.recordings.recordings]

    def prepare(self) -> tuple[pd.DataFrame, dict[str, Any], Frames]:
        """Do what the pipeline does up to the frames: check, split, compute, write."""
        groups = self.parameters
        corpus, audio, log_mel = (groups[name] for name in ("corpus", "audio", "log_mel"))
        nothing_known = pd.DataFrame()
        clips, _, summary, _ = nodes.check_clips(
            self.recordings, nothing_known, corpus, audio, log_mel, groups["seed"], groups["jobs"]
        )
        shutil.rmtree(self.folder / "log_mel", ignore_errors=True)  # or it would be re-used
        dataset = FramesDataset(path=str(self.folder / "log_mel"), jobs=groups["jobs"])
        dataset.save(nodes.extract_log_mel(self.recordings, clips, audio, log_mel))
        return clips, summary, dataset.load()

    @cached_property
    def prepared(self) -> tuple[pd.DataFrame, dict[str, Any], Frames]:
        """What :meth:`prepare` returned at first, in this process or another."""
        kept = self.folder / "prepared.pkl"
        if not kept.exists():
            table, summary, _ = self.prepare()
            pd.to_pickle((table, summary), kept)
        return *pd.read_pickle(kept), FramesDataset(path=str(self.folder / "log_mel")).load()

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
        groups = self.parameters
        return nodes.index_windows(
            self.frames, groups["audio"], groups["log_mel"], groups["windows"]
        )

    def windowed(self, split: str, stride: int = 1) -> WindowedFrames:
        windows = self.windows[self.windows.first_frame % stride == 0]
        of_split = windows[windows.clip_id.isin(self._clip_ids(split))]
        groups = self.parameters
        return WindowedFrames(self.frames, of_split, groups["scaling"], **groups["windows"])

    def scaled_clips(self, split: str) -> list[np.ndarray]:
        """Return the same clips in the plain way's form."""
        from benchmarks.plain.features import scaled

        return [scaled(np.array(self.frames.clip(clip_id))) for clip_id in self._clip_ids(split)]

    def settings(self, model: str) -> dict[str, Any]:
        """Return what a network is built from."""
        groups = self.parameters
        return {
            "network": configuration("parameters")[model]["network"],
            "audio": groups["audio"],
            "log_mel": groups["log_mel"],
            "windows": groups["windows"],
            "scaling": groups["scaling"],
            "corpus": self.prepared[1],
        }

    def _clip_ids(self, split: str) -> list[str]:
        return self.clip_table.clip_id[self.clip_table.split == split].tolist()
