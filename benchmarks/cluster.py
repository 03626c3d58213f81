"""Features and scoring on one and two workers of a cluster, in turns with one thread without it.

    python -m benchmarks.cluster [--clips 64] [--scored 16] [--turns 3] [--write]

Real schedulers and workers, processes of this machine, on simulated clips of 10 s. The ways take
turns and a ratio is of one turn, so that whatever else runs slows all alike; but it also takes
cores from the second worker.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from anomalous_sound.compute.cluster import close_clusters, cluster_of
from anomalous_sound.configuration.compute import LOCAL, DaskEngine, EngineSettings
from anomalous_sound.datasets import BandErrorsDataset, FramesDataset
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.pipelines.inference.nodes import score_windows
from anomalous_sound.pipelines.preparation.nodes import extract_log_mel
from benchmarks.configuration import REPOSITORY
from benchmarks.corpora import Corpus
from benchmarks.harness import machine

RESULTS = REPOSITORY / "benchmarks" / "results" / "cluster.md"
ALONE, ONE, TWO = "no cluster, 1 thread", "1 worker", "2 workers"
MEMBERS = 4


def engine_of(workers: int) -> DaskEngine:
    """Return a cluster of this machine."""
    return DaskEngine(
        type="dask", address=None, workers=workers, batch=8, ahead=4, retries=0, wait_s=120.0
    )


ENGINES: dict[str, EngineSettings] = {ALONE: LOCAL, ONE: engine_of(1), TWO: engine_of(2)}


def extract(corpus: Corpus, engine: EngineSettings) -> None:
    """Compute and write the frames of all clips."""
    settings = corpus.parameters
    promised = extract_log_mel(
        corpus.recordings, corpus.clip_table, settings.audio, settings.log_mel
    )
    with tempfile.TemporaryDirectory() as folder:
        FramesDataset(filepath=folder, jobs=1, engine=engine.model_dump()).save(promised)


def networks(corpus: Corpus) -> TrainedNetworks:
    """Return four LSTMs, untrained: scoring takes the same time."""
    description = corpus.describe("lstm")
    torch.manual_seed(1)
    return TrainedNetworks.join(
        {
            f"fold_{number}": TrainedNetworks(description.build().state_dict(), description)
            for number in range(MEMBERS)
        }
    )


def score(corpus: Corpus, four: TrainedNetworks, clips: int, engine: EngineSettings) -> None:
    """Score clips by the mean of four networks, and write their errors."""
    chosen = corpus.clip_table.clip_id[:clips]
    windows = corpus.windows[corpus.windows.clip_id.isin(chosen)]
    inference = corpus.parameters.inference.model_copy(update={"accelerator": "cpu"})
    promised = score_windows(
        four, corpus.frames, windows, corpus.clip_table, inference, 1, engine=engine
    )
    with tempfile.TemporaryDirectory() as folder:
        place = str(Path(folder, "errors"))
        BandErrorsDataset(filepath=place, engine=engine.model_dump()).save(promised)


def used_s(engine: EngineSettings) -> float:
    """Return the CPU time of the workers so far, or of this process where there are none, s."""
    if not isinstance(engine, DaskEngine):
        return time.process_time()
    times = cluster_of(engine).client.run(time.process_time)
    return sum(times.values())


def in_turns(
    do: Callable[[EngineSettings], None], turns: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Do the same in every way, in turns after one to warm up; return seconds and CPU seconds."""
    seconds, used = ({way: [] for way in ENGINES} for _ in range(2))
    for turn in range(turns + 1):
        for way, engine in ENGINES.items():
            before, started = used_s(engine), time.perf_counter()
            do(engine)
            if turn:
                seconds[way].append(time.perf_counter() - started)
                used[way].append(used_s(engine) - before)
    return seconds, used


def row(
    what: str, seconds: dict[str, list[float]], used: dict[str, list[float]], clips: int
) -> str:
    """Return a line: clips an hour of CPU time, and how long a turn takes against the first way."""
    cells = [what]
    for way in ENGINES:
        hourly = f"{3600 * clips / statistics.median(used[way]):,.0f}"
        ratios = [one / own for one, own in zip(seconds[ONE], seconds[way], strict=True)]
        span = f"×{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        cells += [hourly] if way == ONE else [hourly, span]
    return f"| {' | '.join(cells)} |"


def bytes_a_clip(corpus: Corpus) -> str:
    """Return what a clip moves between storage and workers."""
    name, windows = corpus.clip_table.clip_id[0], 303
    recording = (corpus.audio_dir / name).stat().st_size
    frames = corpus.frames.clip(name).nbytes
    errors = MEMBERS * windows * frames // len(corpus.frames.clip(name)) // 2
    return (
        f"A clip of 10 s: recording {recording / 1e3:.0f} kB (read twice: checked, then "
        f"transformed), frames {frames / 1e3:.0f} kB (written, read to be scored), band errors of "
        f"{MEMBERS} networks {errors / 1e3:.0f} kB (written), window errors "
        f"{MEMBERS * windows * 4 / 1e3:.0f} kB (written, and answered by way of the scheduler)."
    )


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--scored", type=int, default=16)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder), arguments.clips)
        clips = len(corpus.clip_table)
        four = networks(corpus)
        measured: dict[str, tuple[int, Callable[[EngineSettings], None]]] = {
            "features": (clips, partial(extract, corpus)),
            f"scoring, {MEMBERS} networks": (
                arguments.scored,
                partial(score, corpus, four, arguments.scored),
            ),
        }
        rows = []
        for what, (count, do) in measured.items():
            rows.append(row(what, *in_turns(do, arguments.turns), count))
            print(rows[-1], flush=True)
        moved = bytes_a_clip(corpus)
    close_clusters()
    text = (
        f"# A cluster\n\n{machine()}\n\n{clips} simulated clips of 10 s, {arguments.scored} of "
        f"them scored; {arguments.turns} turns after one to warm up. The machine's load "
        f"was {load:.1f} when this began and {os.getloadavg()[0]:.1f} when it ended, on "
        f"{os.cpu_count()} cores, this measurement included. A rate is of CPU time, that "
        "of the workers where there are some, and a ratio of the wall-clock times of one turn, "
        "against one worker.\n\n"
        f"| | {ALONE}: clips an hour and core | against {ONE} | {ONE}: clips an hour and core | "
        f"{TWO}: clips an hour and core | against {ONE} |\n"
        "|---|---:|---:|---:|---:|---:|\n" + "\n".join(rows)
    )
    print(text := f"{text}\n\n{moved}\n")
    if arguments.write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
