"""Training on random frames, for measurements that do not depend on what is in them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.pipelines.preparation.nodes import index_windows
from anomalous_sound.pipelines.training import nodes
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.folds import assign_folds
from anomalous_sound.vocabulary import Split
from benchmarks.configuration import method_settings, parameters

FRAMES = 313  # of a clip of 10 s


def clip_table(clips: int, *, held_out: int) -> pd.DataFrame:
    """List clips of one machine ID, the last of them held out."""
    names = [f"{number}.wav" for number in range(clips)]
    splits = [Split.TRAIN] * (clips - held_out) + [Split.VALIDATION] * held_out
    return pd.DataFrame({"clip_id": names, "machine_id": "00", "sha256": names, "split": splits})


def random_frames(n_mels: int, seed: int) -> np.ndarray:
    """Return frames × mel bands of one clip."""
    return np.random.default_rng(seed).random((FRAMES, n_mels), dtype=np.float32)


def train(
    method: str, profile: str, training: TrainingSettings, frames: Frames, clips: pd.DataFrame
) -> pd.DataFrame:
    """Train as the pipeline does; return the history."""
    settings = parameters(profile)
    summary = CorpusSummary(
        name="random frames",
        simulated=True,
        fingerprint="",
        machine_type="none",
        machine_ids=["00"],
        clips_found=len(clips),
        clips_used=len(clips),
        clips_rejected=0,
        clips_by_split_and_label={},
        segment_s=None,
        segment_hop_s=None,
        held_out_by="clips",
    )
    network = method_settings(method, profile).network
    audio, log_mel, windows = settings.audio, settings.log_mel, settings.windows
    description = nodes.describe_network(
        network, audio, log_mel, windows, Scaling("clip"), clips, summary
    )
    one_network = settings.detector.model_copy(update={"folds": 1})
    with tempfile.TemporaryDirectory() as folder:
        _, history = nodes.train_network(
            frames,
            index_windows(frames, audio, log_mel, windows),
            clips,
            assign_folds(clips, one_network, settings.seed),
            description,
            Checkpoint(Path(folder) / "checkpoint.ckpt"),
            training,
            one_network,
            settings.seed,
            settings.jobs,
        )
    return history
