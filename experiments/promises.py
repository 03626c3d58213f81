"""Is the promised false-alarm rate kept on whole corpora, with networks trained on each?

    python -m experiments.promises [--corpora 20] [--rate 0.05] [--folds 1 2] [--jobs 2]
    python -m experiments.promises --corpora 20 --epochs 2 --hidden-size 32    # cheaper
    python -m experiments.promises --draw-only

For each seed a simulated corpus of its own (two machine IDs, 24 normal clips each to train and
calibrate on, 30 normal test clips each) goes the whole way, by the nodes of the pipeline: LSTM
frame prediction with the standard score, thresholds from the normal clips, false alarms counted on
the normal test clips. With one network half of the normal clips are held out to calibrate; with
folds all are trained on and calibrate. Written to experiments/results/promises.csv;
docs/images/promises.png shows it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from tqdm import tqdm

from anomalous_sound.compute.processes import in_processes
from anomalous_sound.datasets import AudioFolderDataset, FramesDataset
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.evaluation.calibration_table import binomial_interval, promised_and_delivered
from anomalous_sound.pipelines.decision import nodes as decision
from anomalous_sound.pipelines.inference import nodes as inference
from anomalous_sound.pipelines.preparation import nodes as preparation
from anomalous_sound.pipelines.training import nodes as training
from anomalous_sound.reporting.figures import BLUE, GREEN, GREY, ORANGE, VERMILION
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


def scored(
    folder: Path, seed: int, epochs: int, folds: int, hidden_size: int | None
) -> tuple[pd.DataFrame, CalibrationScores]:
    """Train and score one corpus.

    Args:
        folder: holds the corpus, as ``audio``.
        seed: of folds and training.
        epochs: of the training.
        folds: networks; 1: half of the normal clips are held out.
        hidden_size: units of the LSTM's layers; None: the standard number.

    Returns:
        The score of every clip, and the scores that calibrate.
    """
    settings, lstm = parameters("fast"), method_settings("lstm", "fast")
    jobs = 1  # corpora are computed side by side
    audio, log_mel, windows = settings.audio, settings.log_mel, settings.windows
    half = settings.corpus.model_copy(update={"validation_fraction": 0.5})
    detector = settings.detector.model_copy(update={"folds": folds})
    sizes = {} if hidden_size is None else {"hidden_size": hidden_size}
    raw = AudioFolderDataset(audio_dir=str(folder / "audio")).load()
    clips, _, summary, _ = preparation.check_clips(
        raw, pd.DataFrame(), half, audio, log_mel, detector, settings.seed, jobs
    )
    dataset = FramesDataset(filepath=str(folder / "log_mel"), jobs=jobs)
    dataset.save(preparation.extract_log_mel(raw, clips, audio, log_mel))
    frames = dataset.load()
    scaling = preparation.fit_scaling(frames, clips, settings.scaling)
    index = preparation.index_windows(frames, audio, log_mel, windows)
    drawn = training.draw_folds(clips, detector, lstm.score, settings.thresholds, seed)
    network, _ = training.train_network(
        frames,
        index,
        clips,
        drawn,
        training.describe_network(
            lstm.network.model_copy(update=sizes), audio, log_mel, windows, scaling, clips, summary
        ),
        Checkpoint(folder / "checkpoint.ckpt"),
        lstm.training.model_copy(update={"epochs": epochs}),
        detector,
        seed,
        jobs,
    )
    errors = inference.score_windows(
        network, frames, index, clips, settings.inference, jobs, folds=drawn
    )
    pooled = inference.pool_errors(errors, frames, network, lstm.score, detector)
    how = (drawn, lstm.score, audio, detector, seed)
    fitted, left_out = inference.fit_score(pooled, clips, *how)
    scores = inference.score_clips(pooled, clips, fitted, left_out)
    none_foreign = pd.DataFrame({"clip_id": []})  # clips are judged by their scores alone here
    return scores, decision.calibrate(scores, drawn, none_foreign)


def promises_of_corpus(
    seed: int, rate: float, epochs: int, folds: Sequence[int], hidden_size: int | None
) -> pd.DataFrame:
    """Return the calibration of one corpus: one row a number of folds and strategy."""
    tables = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_corpus(
            folder / "audio", SimulationSettings.parse(simulation() | SIZES | {"seed": seed})
        )
        for count in folds:
            scores, calibration = scored(folder, seed, epochs, count, hidden_size)
            normal_test = (scores.label == Label.NORMAL) & (scores.split == Split.TEST)
            rows = promised_and_delivered(
                calibration,
                scores.score[normal_test].to_numpy(),
                settings_for(rate),
                confidence=CONFIDENCE,
            )
            tables.append(pd.DataFrame(rows).assign(seed=seed, folds=count))
    return pd.concat(tables, ignore_index=True)


def promises(
    corpora: int,
    rate: float,
    epochs: int,
    folds: Sequence[int],
    hidden_size: int | None,
    jobs: int = 1,
) -> pd.DataFrame:
    """Return the calibration of each corpus: one row a corpus, number of folds and strategy."""
    tasks = [
        partial(promises_of_corpus, seed, rate, epochs, folds, hidden_size)
        for seed in range(101, 101 + corpora)
    ]
    done = tqdm(in_processes(tasks, jobs), desc="corpora", total=corpora)
    return pd.concat(list(done), ignore_index=True)


def figure(table: pd.DataFrame) -> Figure:
    """Draw the delivered rate of every corpus, and of all together, by folds and strategy."""
    groups = list(table.groupby("folds"))
    result = Figure(figsize=(9, 0.9 + 3.3 * len(groups)), layout="constrained")
    panels = result.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (folds, of_folds) in zip(panels, groups, strict=True):
        _draw(axes, of_folds)
        trained = "a network" if folds == 1 else f"{folds} networks"
        axes.set_title(f"{of_folds.seed.nunique()} simulated corpora, {trained} trained on each")
    panels[-1].set_xlabel("false alarms delivered, per 100 normal test clips")
    result.suptitle(
        "dots: corpora; diamond and bar: all together, with the exact 95 % interval; "
        "dashed: promised",
        fontsize=10,
    )
    return result


def _draw(axes: Axes, table: pd.DataFrame) -> None:
    colours = (BLUE, ORANGE, VERMILION, GREEN, GREY)
    names = list(dict.fromkeys(table.strategy))
    for row, (name, colour) in enumerate(zip(names, colours, strict=True)):
        of_name = table[(table.strategy == name) & table.delivered.notna()]
        if of_name.empty:
            axes.text(0, row, "not given", color=colour, va="center")
            continue
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
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", alpha=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=int, default=20)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--folds", type=int, nargs="+", default=[1, 2], help="detector.folds")
    parser.add_argument("--jobs", type=int, default=1, help="corpora at once")
    parser.add_argument("--hidden-size", type=int, help="of the LSTM; smaller is cheaper")
    parser.add_argument("--draw-only", action="store_true", help="draw from the stored table")
    arguments = parser.parse_args()
    if not arguments.draw_only:
        table = promises(
            arguments.corpora,
            arguments.rate,
            arguments.epochs,
            arguments.folds,
            arguments.hidden_size,
            arguments.jobs,
        )
        table.to_csv(RESULTS, index=False)
    table = pd.read_csv(RESULTS)
    figure(table).savefig(IMAGE, dpi=110)
    for (folds, name), group in table.groupby(["folds", "strategy"], sort=False):
        if group.delivered.isna().all():
            print(f"folds {folds}, {name}: not given")
            continue
        alarms, clips = int(group.alarms.sum()), int(group.test_clips.sum())
        low, high = binomial_interval(alarms, clips, CONFIDENCE)
        print(
            f"folds {folds}, {name}: promised {group.rate.iloc[0]:.3f}, delivered "
            f"{alarms}/{clips} = {alarms / clips:.4f} ({low:.4f} to {high:.4f}); corpora from "
            f"{group.delivered.min():.3f} to {group.delivered.max():.3f}"
        )


if __name__ == "__main__":
    main()
