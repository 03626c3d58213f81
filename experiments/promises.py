"""Is the promised false-alarm rate kept on whole corpora, with networks trained on each?

    python -m experiments.promises [--corpora 20] [--rate 0.05] [--epochs 5]

For each seed a simulated corpus of its own (two machine IDs, 24 normal clips each to train and
calibrate on, 30 normal test clips each) goes the whole way: LSTM frame prediction with the
standard score, thresholds from the held-out normal clips, false alarms counted on the normal test
clips. Written to experiments/results/promises.csv; docs/images/promises.png shows it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from anomalous_sound.pipelines.detection.nodes import training as detection
from anomalous_sound.scoring.clip_score import apply_score, fit_score
from matplotlib.figure import Figure
from tqdm import tqdm

from anomalous_sound.datasets import AudioFolderDataset, FramesDataset
from anomalous_sound.decision.calibration import binomial_interval, calibration_table
from anomalous_sound.pipelines.preparation import nodes as preparation
from anomalous_sound.reporting.figures import BLUE, GREEN, GREY, ORANGE, VERMILION
from anomalous_sound.scoring.errors import WindowScoring, pool_clip
from anomalous_sound.sources.simulation.corpus import write_corpus
from anomalous_sound.training.checkpoint import Checkpoint
from benchmarks.corpora import REPOSITORY, configuration

SIZES = {
    "machine_ids": ["00", "04"],
    "training_clips": 24,
    "normal_test_clips": 30,
    "anomalous_test_clips": 1,
}


def clip_scores(folder: Path, seed: int, epochs: int) -> pd.DataFrame:
    """Simulate, train and score one corpus."""
    simulation = configuration("globals")["simulation"] | SIZES | {"seed": seed}
    write_corpus(folder / "audio", simulation)
    groups = configuration("parameters", "fast")
    corpus = groups["corpus"] | {"validation_fraction": 0.5}
    audio, log_mel = groups["audio"], groups["log_mel"]
    raw = AudioFolderDataset(audio_dir=str(folder / "audio")).load()
    clips, _, summary, _ = preparation.check_clips(
        raw, pd.DataFrame(), corpus, audio, log_mel, groups["seed"]
    )
    dataset = FramesDataset(path=str(folder / "log_mel"))
    dataset.save(preparation.extract_log_mel(raw, clips, audio, log_mel))
    frames = dataset.load()
    scaling = preparation.fit_scaling(frames, clips, groups["scaling"])
    windows = preparation.index_windows(frames, audio, log_mel, groups["windows"])
    lstm = groups["lstm"]
    settings = detection.collect_settings(
        lstm["network"], audio, log_mel, groups["windows"], scaling, summary
    )
    network, _ = detection.train_network(
        frames,
        windows,
        clips,
        settings,
        Checkpoint(folder / "checkpoint.ckpt"),
        lstm["training"] | {"epochs": epochs},
        groups["detector"],
        seed,
    )
    machine_ids = dict(zip(clips.clip_id, clips.machine_id, strict=True))
    scoring = WindowScoring(
        network, frames, windows, machine_ids, jobs=groups["jobs"], **groups["scoring"]
    )
    pooled = {clip.clip_id: pool_clip(clip, lstm["score"]) for clip in scoring}
    values = np.stack([pooled[clip_id] for clip_id in clips.clip_id])
    ids, training = clips.machine_id.to_numpy(), (clips.split == "train").to_numpy()
    fitted = fit_score(values[training], ids[training], lstm["score"], seed=seed)
    return clips.assign(score=apply_score(fitted, values, ids, lstm["score"]))


def promises(corpora: int, rate: float, epochs: int) -> pd.DataFrame:
    """Return the calibration of each corpus: one row a corpus and strategy."""
    tables = []
    for seed in tqdm(range(101, 101 + corpora), desc="corpora"):
        with tempfile.TemporaryDirectory() as folder:
            scores = clip_scores(Path(folder), seed, epochs)
        normal = scores[scores.label == "normal"]
        table = calibration_table(
            normal.score[normal.split == "validation"].to_numpy(),
            rate,
            normal_test_scores=normal.score[normal.split == "test"].to_numpy(),
        )
        tables.append(table.assign(seed=seed))
    return pd.concat(tables, ignore_index=True)


def figure(table: pd.DataFrame, rate: float) -> Figure:
    """Draw the delivered rate of every corpus, and of all together, by strategy."""
    result = Figure(figsize=(9, 4.2), layout="constrained")
    axes = result.subplots()
    colours = (BLUE, ORANGE, VERMILION, GREEN, GREY)
    names = list(dict.fromkeys(table.strategy))
    for row, (name, colour) in enumerate(zip(names, colours, strict=True)):
        of_name = table[table.strategy == name]
        spread = np.linspace(-0.28, 0.28, len(of_name))
        axes.plot(100 * of_name.delivered, row + spread, "o", color=colour, alpha=0.5, markersize=5)
        alarms, clips = int(of_name.alarms.sum()), int(of_name.test_clips.sum())
        low, high = binomial_interval(alarms, clips, 0.95)
        axes.plot([100 * low, 100 * high], [row, row], color="black", linewidth=2)
        axes.plot(100 * alarms / clips, row, "D", color="black", markersize=7)
    axes.axvline(100 * rate, color="black", linestyle="--", linewidth=1, label="promised")
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.set_xlim(left=-0.7)
    axes.set_xlabel("false alarms delivered, per 100 normal test clips")
    axes.set_title(
        f"{table.seed.nunique()} simulated corpora, a network trained on each: dots\n"
        "diamond and bar: all together, with the exact 95 % interval; dashed: promised",
        fontsize=11,
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=int, default=20)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=5)
    arguments = parser.parse_args()
    table = promises(arguments.corpora, arguments.rate, arguments.epochs)
    table.to_csv(REPOSITORY / "experiments" / "results" / "promises.csv", index=False)
    figure(table, arguments.rate).savefig(REPOSITORY / "docs" / "images" / "promises.png", dpi=110)
    for name, group in table.groupby("strategy", sort=False):
        alarms, clips = int(group.alarms.sum()), int(group.test_clips.sum())
        low, high = binomial_interval(alarms, clips, 0.95)
        print(
            f"{name}: promised {arguments.rate:.3f}, delivered {alarms}/{clips} = "
            f"{alarms / clips:.4f} ({low:.4f} to {high:.4f}); corpora from "
            f"{group.delivered.min():.3f} to {group.delivered.max():.3f}"
        )


if __name__ == "__main__":
    main()
