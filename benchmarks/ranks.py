"""One network by two processes, against two networks by a process each, and one process.

    python -m benchmarks.ranks [--clips 24] [--turns 5] [--batch-sizes 32 256] [--write]

The report's LSTM on simulated clips of 10 s, one epoch. The ways take turns and a ratio is of one
turn, so that whatever else runs on the machine slows all alike; but it also takes cores from the
second process.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil
import torch

from anomalous_sound.compute.device import chosen_precision
from anomalous_sound.configuration.compute import LOCAL
from anomalous_sound.features.windows import WindowedFrames
from anomalous_sound.methods.network import count_parameters
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_members
from benchmarks.configuration import REPOSITORY, method_settings
from benchmarks.corpora import Corpus
from benchmarks.harness import machine

RESULTS = REPOSITORY / "benchmarks" / "results" / "ranks.md"
PROCESSES = 2
ONE, TOGETHER, APART = "1 network, 1 process", "1 network, 2 processes", "2 networks, 2 processes"
NETWORKS = {ONE: 1, TOGETHER: 1, APART: 2}


def train(corpus: Corpus, batch_size: int, way: str) -> None:
    """Train one or two networks for an epoch, and validate them with one clip."""
    description, settings = corpus.describe("lstm"), method_settings("lstm")
    trained_on = corpus.windows_of("train")
    one_clip = trained_on[trained_on.clip_id == trained_on.clip_id.iloc[0]]
    windows = tuple(
        WindowedFrames(corpus.frames, chosen, description.scaling, description.windows)
        for chosen in (trained_on, one_clip)
    )
    with tempfile.TemporaryDirectory() as folder:
        train_members(
            {f"fold_{number}": windows for number in range(NETWORKS[way])},
            clips=corpus.clip_table,
            description=description,
            training=settings.training.model_copy(
                update={"epochs": 1, "batch_size": batch_size, "accelerator": "cpu"}
            ),
            seed=1,
            checkpoint=Checkpoint(Path(folder, "checkpoint.ckpt")),
            jobs=PROCESSES,
            engine=LOCAL.model_copy(update={"devices": PROCESSES if way == TOGETHER else 1}),
        )


def used_s() -> float:
    """Return the CPU time of this process and of those that it has started, s."""
    own = psutil.Process()
    times = [process.cpu_times() for process in (own, *own.children(recursive=True))]
    return sum(time.user + time.system for time in times)


def measure(
    corpus: Corpus, batch_size: int, turns: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Train in all ways, in turns after one to warm up; return seconds and CPU seconds."""
    seconds, used = ({way: [] for way in NETWORKS} for _ in range(2))
    for turn in range(turns + 1):
        for way in NETWORKS:
            before, started = used_s(), time.perf_counter()
            train(corpus, batch_size, way)
            if turn:
                seconds[way].append(time.perf_counter() - started)
                used[way].append(used_s() - before)
    return seconds, used


def rows(
    batch_size: int, seconds: dict[str, list[float]], used: dict[str, list[float]]
) -> list[str]:
    """Return a line a way: networks an hour, against one process, and CPU time a network."""
    lines = []
    for way, networks in NETWORKS.items():
        ratios = [networks * one / own for one, own in zip(seconds[ONE], seconds[way], strict=True)]
        lines.append(
            f"| {batch_size} | {way} | {3600 * networks / statistics.median(seconds[way]):,.0f} "
            f"| ×{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"| {statistics.median(used[way]) / networks:.2f} |"
        )
    return lines


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[32, 256])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.INFO)
    load, lines = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder), arguments.clips)
        windows = len(corpus.windows_of("train"))
        parameters = count_parameters(corpus.describe("lstm").build())
        for batch_size in arguments.batch_sizes:
            lines += rows(batch_size, *measure(corpus, batch_size, arguments.turns))
            print(*lines[-len(NETWORKS) :], sep="\n", flush=True)
    precision = chosen_precision("auto", torch.device("cpu"))
    text = (
        f"# One network by several processes\n\n{machine()}\n\nThe report's LSTM, one epoch of "
        f"{windows:,} windows of simulated clips, {precision}, one thread a process; "
        f"{arguments.turns} turns after one to warm up. The machine's load was {load:.1f} when "
        f"this began and {os.getloadavg()[0]:.1f} when it ended, on {os.cpu_count()} cores, this "
        "measurement included. A ratio is of the wall-clock times of one turn. Two processes that "
        f"train one network exchange {4 * parameters / 1e6:.1f} MB of gradients a batch.\n\n"
        "| windows a batch | | networks an hour | against one process | CPU s a network |\n"
        "|---:|---|---:|---:|---:|\n" + "\n".join(lines) + "\n"
    )
    print(text)
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
