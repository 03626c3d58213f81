"""How the standard score was chosen: on normal recordings with simulated faults mixed in.

    python -m experiments.choose_score --audio-dir FOLDER [--method lstm] [--folds 4]

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
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anomalous_sound.scoring.clip_score import apply_score, fit_score, pool_over_time

from anomalous_sound.datasets import AudioFolderDataset
from anomalous_sound.evaluation.metrics import auc
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import log_mel_spectrogram
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.pipelines.preparation.nodes import check_clips
from anomalous_sound.scoring.errors import WindowScoring
from anomalous_sound.sources.simulation.faults import FAULTS, Fault
from anomalous_sound.sources.simulation.machines import MACHINES
from anomalous_sound.sources.simulation.slide_rail import simulate_clip
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.cross_validation import draw_folds
from anomalous_sound.training.loop import train_network
from benchmarks.corpora import configuration

LEVELS_DB = (0, -6, -12)
POOLINGS = {
    "mean": {"pooling": "mean"},
    "ranked 0.97": {"pooling": "ranked", "decay": 0.97},
    "90th percentile": {"pooling": "percentile", "percentile": 90.0},
    "99th percentile": {"pooling": "percentile", "percentile": 99.0},
    "maximum": {"pooling": "maximum"},
}
RULES = {
    f"{whitening}, {scale}, {band_pooling}": {
        "whitening": whitening,
        "scale": scale,
        "band_pooling": band_pooling,
        "reference": "machine_id",
        "backend": "none",
    }
    for whitening, scale, band_pooling in itertools.product(
        ("band", "mahalanobis"), ("linear", "logarithmic"), ("mean_square", "maximum")
    )
    if (whitening, band_pooling) != ("mahalanobis", "maximum")
}
PLAIN = {"whitening": "none"}


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


def fold_scores(audio_dir: str, method: str, fold: int, folds: int) -> pd.DataFrame:
    """Return ``score, fault, auc`` of one fold."""
    groups = configuration("parameters", "standard")
    audio, log_mel = groups["audio"], groups["log_mel"]
    rate = audio["sample_rate"]
    raw = AudioFolderDataset(audio_dir=audio_dir).load()
    clips, *_ = check_clips(raw, pd.DataFrame(), groups["corpus"], audio, log_mel, groups["seed"])
    clips = clips[clips.split != "test"].reset_index(drop=True)
    held_out = draw_folds(clips, folds, groups["seed"]) == fold
    rows, frames = [], []
    for clip, is_held_out in zip(clips.itertuples(), held_out, strict=True):
        samples = raw.mono_clip(clip.clip_id, **audio)
        kinds = {"held out" if is_held_out else "train": samples}
        if is_held_out:
            kinds |= with_faults(samples, clip.clip_id, clip.machine_id, rate)
        for kind, sound in kinds.items():
            frames.append(log_mel_spectrogram(sound, sample_rate=rate, **log_mel))
            rows.append((f"{kind}|{clip.clip_id}", clip.machine_id, kind, len(frames[-1])))
    index = pd.DataFrame(rows, columns=["clip_id", "machine_id", "kind", "frames"])
    index["first_frame"] = index.frames.cumsum() - index.frames
    everything = Frames(np.concatenate(frames), index)
    windows = index_windows(
        index, **groups["windows"], hop_length=log_mel["hop_length"], sample_rate=rate
    )
    settings = {
        "network": groups[method]["network"],
        "audio": audio,
        "log_mel": log_mel,
        "windows": groups["windows"],
        "scaling": groups["scaling"],
    }

    def view(kind: str) -> WindowedFrames:
        chosen = windows[windows.clip_id.isin(index.clip_id[index.kind == kind])]
        return WindowedFrames(everything, chosen, groups["scaling"], **groups["windows"])

    with tempfile.TemporaryDirectory() as folder:
        network, _ = train_network(
            view("train"),
            view("held out"),
            settings=settings,
            training=groups[method]["training"] | {"seed": groups["seed"]},
            checkpoint=Checkpoint(Path(folder) / "checkpoint.ckpt"),
        )
    machine_ids = dict(zip(index.clip_id, index.machine_id, strict=True))
    errors = list(
        WindowScoring(
            network, everything, windows, machine_ids, jobs=groups["jobs"], **groups["scoring"]
        )
    )
    return _compared(errors, index)


def _compared(errors: list, index: pd.DataFrame) -> pd.DataFrame:
    ids = index.machine_id.to_numpy()
    training, normal = (index.kind == "train").to_numpy(), (index.kind == "held out").to_numpy()
    scores = {}
    for pooling, how in POOLINGS.items():
        how = {"percentile": 0.0, "decay": 1.0} | how
        of_windows = [pool_over_time(e.window_errors[:, None], **how)[0] for e in errors]
        scores[f"window errors, {pooling}"] = np.array(of_windows)
        of_bands = np.stack([pool_over_time(e.band_errors, **how) for e in errors])
        for rule, settings in RULES.items():
            fitted = fit_score(of_bands[training], ids[training], settings, seed=1)
            scores[f"{rule}, {pooling}"] = apply_score(fitted, of_bands, ids, settings)
    rows = []
    for name, values in scores.items():
        for fault in sorted(set(index.kind) - {"train", "held out"}):
            faulty = (index.kind == fault).to_numpy()
            chosen = normal | faulty
            rows.append((name, fault, auc(faulty[chosen], values[chosen])))
    return pd.DataFrame(rows, columns=["score", "fault", "auc"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio-dir", required=True)
    parser.add_argument("--method", choices=("lstm", "gru"), default="lstm")
    parser.add_argument("--folds", type=int, default=4)
    arguments = parser.parse_args()
    table = pd.concat(
        fold_scores(arguments.audio_dir, arguments.method, fold, arguments.folds)
        for fold in range(arguments.folds)
    )
    table[["kind", "level_db"]] = table.fault.str.rsplit(" ", n=1, expand=True)
    by_kind = table.pivot_table(index="score", columns="kind", values="auc")
    by_kind.insert(0, "all", table.groupby("score").auc.mean())
    print(by_kind.sort_values("all", ascending=False).round(3).to_string())


if __name__ == "__main__":
    main()
