"""How the standard score was chosen: on normal recordings with simulated faults mixed in.

    python -m experiments.choose_score --audio-dir FOLDER [--method lstm] [--folds 4] [--epochs 10]

No test clip is read. The normal training clips are divided into folds; a network is trained on
the others, and the fold's clips are scored as they are and with the sound of each of the
simulator's faults mixed in, at 0, -6 and -12 dB of the clip's own level while the fault sounds. A
score's AUC is that of normal against faulty clips of a fold, averaged over folds, faults and
levels. The rule: of the scores that are compared, the one with the highest average over both
methods.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.corpus.split import draw_folds
from anomalous_sound.datasets import AudioFolderDataset
from anomalous_sound.evaluation.metrics import auc
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import log_mel_spectrogram
from anomalous_sound.pipelines.inference.nodes import score_windows
from anomalous_sound.pipelines.preparation.nodes import check_clips, fit_scaling, index_windows
from anomalous_sound.pipelines.training.nodes import describe_network, train_network
from anomalous_sound.scoring.band_errors import ClipErrors
from anomalous_sound.scoring.pooling import pool_clip
from anomalous_sound.scoring.scores import fit_score
from anomalous_sound.sources.simulation.faults import FAULTS, Fault
from anomalous_sound.sources.simulation.machines import MACHINES
from anomalous_sound.sources.simulation.slide_rail import simulate_clip
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.folds import assign_folds
from anomalous_sound.vocabulary import Split
from benchmarks.configuration import method_settings, parameters

LEVELS_DB = (0, -6, -12)
TRAIN, HELD_OUT = "train", "held out"  # other kinds of clips are faults
SPLITS = {TRAIN: Split.TRAIN, HELD_OUT: Split.VALIDATION}
POOLINGS = {
    "mean": {"type": "mean"},
    "ranked 0.97": {"type": "ranked", "decay": 0.97},
    "90th percentile": {"type": "percentile", "percentile": 90.0},
    "99th percentile": {"type": "percentile", "percentile": 99.0},
    "maximum": {"type": "maximum"},
}
RULES = {
    f"{whitening}, {scale}, {backend}": {
        "type": "band_deviation",
        "scale": scale,
        "whitening": whitening,
        "reference": "machine_id",
        "backend": {"type": backend},
    }
    for whitening, scale, backend in itertools.product(
        ("band", "mahalanobis"), ("linear", "logarithmic"), ("mean_square", "maximum")
    )
    if (whitening, backend) != ("mahalanobis", "maximum")
} | {"window errors": {"type": "pooled_error"}}


def candidates() -> dict[str, ScoreSettings]:
    """Return the scores that are compared."""
    adapter = TypeAdapter(ScoreSettings)
    return {
        f"{rule}, {pooling}": adapter.validate_python(settings | {"pooling": how})
        for rule, settings in RULES.items()
        for pooling, how in POOLINGS.items()
    }


def with_faults(samples: np.ndarray, clip_id: str, machine_id: str, rate: int) -> dict[str, Any]:
    """Return the clip with each fault at each level, by ``fault and level``."""
    machine = MACHINES.get(machine_id, next(iter(MACHINES.values())))
    mixed = {}
    for number, kind in enumerate(FAULTS):
        seed = [number, zlib.crc32(clip_id.encode())]
        how = {
            "duration_s": len(samples) / rate,
            "sample_rate": rate,
            "snr_db": 60.0,
            "snr_jitter_db": 0.0,
        }
        faulty = simulate_clip(
            machine, rng=np.random.default_rng(seed), fault=Fault(kind, 0.0), **how
        )
        normal = simulate_clip(machine, rng=np.random.default_rng(seed), fault=None, **how)
        sound = faulty.samples[: len(samples)].astype(float) - normal.samples[: len(samples)]
        sounding = np.zeros(len(samples), dtype=bool)
        for start, end in faulty.fault_intervals:
            sounding[int(start * rate) : int(end * rate)] = True
        own = np.sqrt(np.mean(samples[sounding].astype(float) ** 2))
        sound *= own / np.sqrt(np.mean(sound[sounding] ** 2))
        for level in LEVELS_DB:
            mixed[f"{kind} {level}"] = (samples + sound * 10 ** (level / 20)).astype(np.float32)
    return mixed


def fold_scores(audio_dir: str, method: str, fold: int, folds: int, epochs: int) -> pd.DataFrame:
    """Return ``score, fault, auc`` of one fold."""
    settings, of_method = parameters("standard"), method_settings(method, "standard")
    audio, log_mel, windows = settings.audio, settings.log_mel, settings.windows
    features = FeatureSettings(audio=audio, log_mel=log_mel)
    raw = AudioFolderDataset(audio_dir=audio_dir).load()
    clips, _, summary, _ = check_clips(
        raw,
        pd.DataFrame(),
        settings.corpus,
        audio,
        log_mel,
        settings.detector,
        settings.seed,
        settings.jobs,
    )
    clips = clips[clips.split != Split.TEST].reset_index(drop=True)
    held_out = draw_folds(clips, folds, settings.seed) == fold
    rows, frames = [], {}
    for clip, is_held_out in zip(clips.itertuples(), held_out, strict=True):
        samples = raw.mono_clip(clip.clip_id, audio)
        kinds = {HELD_OUT if is_held_out else TRAIN: samples}
        if is_held_out:
            kinds |= with_faults(samples, clip.clip_id, clip.machine_id, audio.sample_rate)
        for kind, sound in kinds.items():
            name = f"{kind}|{clip.clip_id}"
            frames[name] = log_mel_spectrogram(sound, features)
            rows.append((name, clip.machine_id, clip.sha256, kind, SPLITS.get(kind, Split.TEST)))
    table = pd.DataFrame(rows, columns=["clip_id", "machine_id", "sha256", "kind", "split"])
    everything = Frames.in_memory(frames)
    index = index_windows(everything, audio, log_mel, windows)
    scaling = fit_scaling(everything, table, settings.scaling)
    description = describe_network(
        of_method.network, audio, log_mel, windows, scaling, table, summary
    )
    one_network = settings.detector.model_copy(update={"folds": 1})
    with tempfile.TemporaryDirectory() as folder:
        network, _ = train_network(
            everything,
            index,
            table,
            assign_folds(table, one_network, settings.seed),
            description,
            Checkpoint(Path(folder) / "checkpoint.ckpt"),
            of_method.training.model_copy(update={"epochs": epochs, "stride": 1}),
            one_network,
            settings.seed,
            settings.jobs,
        )
    errors = score_windows(network, everything, index, table, settings.inference, settings.jobs)
    return compared(errors, table)


def compared(errors: Iterable[ClipErrors], clips: pd.DataFrame) -> pd.DataFrame:
    """Return ``score, fault, auc`` of every candidate.

    Args:
        errors: of each clip, in the order of ``clips``.
        clips: ``machine_id`` and ``kind``: TRAIN, HELD_OUT, or the fault and its level.
    """
    scores = candidates()
    pooled = {name: [] for name in scores}
    for clip in errors:
        for name, settings in scores.items():
            pooled[name] += [*pool_clip(settings, clip.band_errors, clip.window_errors)]
    ids = clips.machine_id.to_numpy()
    training, normal = (clips.kind == TRAIN).to_numpy(), (clips.kind == HELD_OUT).to_numpy()
    rows = []
    for name, settings in scores.items():
        of_clips = np.stack(pooled[name])
        fitted = fit_score(settings, of_clips[training], ids[training], seed=1)
        values = fitted.score(of_clips, ids)
        for fault in sorted(set(clips.kind) - {TRAIN, HELD_OUT}):
            faulty = (clips.kind == fault).to_numpy()
            chosen = normal | faulty
            rows.append((name, fault, auc(faulty[chosen], values[chosen])))
    return pd.DataFrame(rows, columns=["score", "fault", "auc"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio-dir", required=True)
    parser.add_argument("--method", choices=("lstm", "gru"), default="lstm")
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    table = pd.concat(
        fold_scores(arguments.audio_dir, arguments.method, fold, arguments.folds, arguments.epochs)
        for fold in range(arguments.folds)
    )
    table[["kind", "level_db"]] = table.fault.str.rsplit(" ", n=1, expand=True)
    by_kind = table.pivot_table(index="score", columns="kind", values="auc")
    by_kind.insert(0, "all", table.groupby("score").auc.mean())
    print(by_kind.sort_values("all", ascending=False).round(3).to_string())


if __name__ == "__main__":
    main()
