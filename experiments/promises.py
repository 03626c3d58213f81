"""Is the promised false-alarm rate kept on whole corpora, with networks trained on each?

    python -m experiments.promises [--corpora 20] [--rate 0.05] [--epochs 5]
    python -m experiments.promises --draw-only

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
from matplotlib.figure import Figure
from tqdm import tqdm

from anomalous_sound.datasets import AudioFolderDataset, FramesDataset
from anomalous_sound.evaluation.calibration_table import binomial_interval, promised_and_delivered
from anomalous_sound.pipelines.inference import nodes as inference
from anomalous_sound.pipelines.preparation import nodes as preparation
from anomalous_sound.pipelines.training.nodes import describe_network, train_network
from anomalous_sound.reporting.figures import BLUE, GREEN, GREY, ORANGE, VERMILION
from anomalous_sound.scoring.pooling import pool_errors
from anomalous_sound.sources.simulation.corpus import write_corpus
from anomalous_sound.sources.simulation.settings import SimulationSettings
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.vocabulary import Label, Split
from benchmarks.configuration import REPOSITORY, method_settings, parameters, simulation
from experiments.false_alarms import NAMES, settings_for

RESULTS = REPOSITORY / "experiments" / "results" / "promises.csv"
IMAGE = REPOSITORY / "docs" / "images" / "promises.png"
CONFIDENCE = 0.95  # of the exact intervals
SIZES = {
    "machine_ids": ["00", "04"],
    "training_clips": 24,
    "normal_test_clips": 30,
    "anomalous_test_clips": 1,
}


def clip_scores(folder: Path, seed: int, epochs: int) -> pd.DataFrame:
    """Simulate, train and score one corpus."""
    settings = SimulationSettings.parse(simulation() | SIZES | {"seed": seed})
    write_corpus(folder / "audio", settings)
    settings, lstm = parameters("fast"), method_settings("lstm", "fast")
    audio, log_mel, windows = settings.audio, settings.log_mel, settings.windows
    half = settings.corpus.model_copy(update={"validation_fraction": 0.5})
    raw = AudioFolderDataset(audio_dir=str(folder / "audio")).load()
    clips, _, summary, _ = preparation.check_clips(
        raw, pd.DataFrame(), half, audio, log_mel, settings.seed, settings.jobs
    )
    dataset = FramesDataset(filepath=str(folder / "log_mel"), jobs=settings.jobs)
    dataset.save(preparation.extract_log_mel(raw, clips, audio, log_mel))
    frames = dataset.load()
    scaling = preparation.fit_scaling(frames, clips, settings.scaling)
    index = preparation.index_windows(frames, audio, log_mel, windows)
    network, _ = train_network(
        frames,
        index,
        clips,
        describe_network(lstm.network, audio, log_mel, windows, scaling, clips, summary),
        Checkpoint(folder / "checkpoint.ckpt"),
        lstm.training.model_copy(update={"epochs": epochs}),
        settings.detector,
        seed,
    )
    how = settings.inference.scoring()
    errors = inference.score_windows(network, frames, index, clips, how, settings.jobs)
    pooled = pool_errors(errors, lstm.score)
    fitted = inference.fit_score(pooled, clips, lstm.score, seed)
    return inference.score_clips(pooled, clips, fitted)


def promises(corpora: int, rate: float, epochs: int) -> pd.DataFrame:
    """Return the calibration of each corpus: one row per corpus and strategy."""
    tables = []
    for seed in tqdm(range(101, 101 + corpora), desc="corpora"):
        with tempfile.TemporaryDirectory() as folder:
            scores = clip_scores(Path(folder), seed, epochs)
        normal = scores[scores.label == Label.NORMAL]
        calibration, test = (
            normal.score[normal.split == split].to_numpy()
            for split in (Split.VALIDATION, Split.TEST)
        )
        rows = promised_and_delivered(calibration, test, settings_for(rate), confidence=CONFIDENCE)
        tables.append(pd.DataFrame(rows).assign(seed=seed))
    return pd.concat(tables, ignore_index=True)


def figure(table: pd.DataFrame) -> Figure:
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
        low, high = binomial_interval(alarms, clips, CONFIDENCE)
        axes.plot([100 * low, 100 * high], [row, row], color="black", linewidth=2)
        axes.plot(100 * alarms / clips, row, "D", color="black", markersize=7)
    axes.axvline(
        100 * table.rate.iloc[0], color="black", linestyle="--", linewidth=1, label="promised"
    )
    axes.set_yticks(range(len(names)), [NAMES[name] for name in names])
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
    parser.add_argument("--draw-only", action="store_true", help="draw from the stored table")
    arguments = parser.parse_args()
    if not arguments.draw_only:
        table = promises(arguments.corpora, arguments.rate, arguments.epochs)
        table.to_csv(RESULTS, index=False)
    table = pd.read_csv(RESULTS)
    figure(table).savefig(IMAGE, dpi=110)
    for name, group in table.groupby("strategy", sort=False):
        alarms, clips = int(group.alarms.sum()), int(group.test_clips.sum())
        low, high = binomial_interval(alarms, clips, CONFIDENCE)
        print(
            f"{name}: promised {group.rate.iloc[0]:.3f}, delivered {alarms}/{clips} = "
            f"{alarms / clips:.4f} ({low:.4f} to {high:.4f}); corpora from "
            f"{group.delivered.min():.3f} to {group.delivered.max():.3f}"
        )


if __name__ == "__main__":
    main()
