"""What one Dask scheduler bears: the cost of a task, measured, and computed for a large cluster.

    python -m benchmarks.cluster_scheduler [--tasks 4000] [--write]

A real scheduler and two workers, processes of this machine, do tasks that do nothing. A scheduler
is one thread, so that its own CPU time for a task, which other work on the machine hardly changes,
is what bounds a cluster. What is sent is measured on batches of clips as the pipelines make them.
From these numbers the load of 10 million clips on 1,000 workers of one core is computed.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cloudpickle
import numpy as np
import psutil

from anomalous_sound.compute.cluster import Cluster, close_clusters, cluster_of
from anomalous_sound.configuration.compute import DaskEngine
from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.corpus import extraction
from anomalous_sound.corpus.audio_corpus import ClipPlace
from anomalous_sound.corpus.decode import AudioFile
from anomalous_sound.features.frames import KeptFrames, PromisedFrames, keep_frames
from anomalous_sound.scoring.band_errors import ScoredClip
from anomalous_sound.scoring.errors import _Wanted, _write_clip
from anomalous_sound.storage.remote import RemotePath
from benchmarks.configuration import REPOSITORY, parameters

RESULTS = REPOSITORY / "benchmarks" / "results" / "cluster_scheduler.md"
WORKERS, CLIPS = 1000, 10_000_000
AHEAD = 4  # as conf/base/parameters.yml
BATCHES = (1, 32, 256)
MEMBERS, WINDOWS = 4, 303


def nothing(shared: object, item: int) -> None:
    """Do nothing."""


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU time that a process has taken, s."""
    times = process.cpu_times()
    return times.user + times.system


def cost_of_a_task(cluster: Cluster, process: psutil.Process, tasks: int) -> float:
    """Return the scheduler's CPU time for one task, s."""
    before = cpu_s(process)
    for _ in cluster.spread(nothing, None, range(tasks), what="nothing", alone=False):
        pass
    return (cpu_s(process) - before) / tasks


def memory_of_a_task(cluster: Cluster, process: psutil.Process, tasks: int) -> float:
    """Return the scheduler's memory for one task of 32 clips that nobody has begun, bytes."""
    content = cloudpickle.dumps((keep_frames, [promised(number) for number in range(32)]))
    client = cluster.client
    gate = client.submit(_wait, 3600, resources={"none": 1})  # no worker can do it
    before = process.memory_info().rss
    keys = [("waiting", number) for number in range(tasks)]
    # no two of them alike: what is the same is kept once
    contents = [content + str(number).encode() for number in range(tasks)]
    futures = client.map(_after, contents, gate=gate, key=keys)
    client.run_on_scheduler(_nothing)
    used = process.memory_info().rss - before
    client.cancel([gate, *futures])
    return used / tasks


def _wait(seconds: float) -> None:
    raise NotImplementedError


def _after(content: bytes, gate: None) -> None:
    raise NotImplementedError


def _nothing() -> None:
    pass


def promised(number: int) -> tuple[PromisedFrames, None]:
    """Return a clip as the dataset of the frames hands it out."""
    settings = parameters()
    features = FeatureSettings(audio=settings.audio, log_mel=settings.log_mel)
    name = f"slider/train/normal_id_00_{number:08d}.wav"
    file = AudioFile(RemotePath(f"s3://recordings-of-hall-3/{name}", 320044))
    sha256 = f"{number:064x}"
    compute = partial(extraction._log_mel_of_clip, file, ClipPlace(name, None, sha256), features)
    return PromisedFrames(sha256[:32], compute, 128), None


def wanted(number: int) -> _Wanted:
    """Return a clip as the scoring hands it out."""
    name = f"slider/train/normal_id_00_{number:08d}.wav"
    return _Wanted(name, f"{number:032x}", range(WINDOWS), "00", None)


def kept(number: int) -> KeptFrames:
    """Return what a worker answers of a clip's frames."""
    return KeptFrames(313, 4_000_000_000 - number, computed=True)


def scored(number: int) -> ScoredClip:
    """Return what a worker answers of a clip's errors."""
    name = f"slider/train/normal_id_00_{number:08d}.wav"
    members = tuple(f"fold_{member}" for member in range(MEMBERS))
    errors = np.random.default_rng(number).random((MEMBERS, WINDOWS), dtype=np.float32)
    return ScoredClip(name, members, errors, 0.3, f"{number:032x}")


def bytes_of(make: Callable[[int], object], batch: int, function: object = None) -> float:
    """Return the bytes of one clip in a pickled batch."""
    return len(cloudpickle.dumps((function, [make(number) for number in range(batch)]))) / batch


def measure(tasks: int) -> tuple[float, float]:
    """Return the scheduler's CPU time (s) and memory (bytes) of a task."""
    engine = DaskEngine(
        type="dask", address=None, workers=2, batch=1, ahead=100, retries=0, wait_s=60.0
    )
    cluster = cluster_of(engine)
    process = psutil.Process(cluster.client.run_on_scheduler(os.getpid))
    cost_of_a_task(cluster, process, 500)
    costs = [cost_of_a_task(cluster, process, tasks) for _ in range(5)]
    memory = memory_of_a_task(cluster, process, tasks)
    close_clusters()
    print("CPU of a task, ms:", *(f"{1e3 * cost:.3f}" for cost in costs))
    return statistics.median(costs), memory


def report(cost_s: float, memory: float) -> str:
    """Return the table for a large cluster."""
    a_clip = bytes_of(promised, 32, keep_frames)

    def of_batch(clips: int) -> float:
        return memory + (clips - 32) * a_clip

    lines = [
        "| clips a task | tasks | scheduler, CPU hours | most clips a second | "
        f"memory if all tasks were known | memory, {AHEAD} a core |",
        "|---:|---:|---:|---:|---:|---:|",
    ]
    for batch in BATCHES:
        count = CLIPS / batch
        lines.append(
            f"| {batch} | {count:,.0f} | {count * cost_s / 3600:.2f} | {batch / cost_s:,.0f} | "
            f"{count * of_batch(batch) / 1e9:.1f} GB | "
            f"{WORKERS * AHEAD * of_batch(batch) / 1e6:.0f} MB |"
        )
    lines += [
        "",
        "| | to the scheduler, bytes a clip | back | in all | the workers' clips a second |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, ask, answer, function in (
        ("features", promised, kept, keep_frames),
        ("scoring", wanted, scored, _write_clip),
    ):
        there, back = bytes_of(ask, 32, function), bytes_of(answer, 32)
        lines.append(
            f"| {name} | {there:.0f} | {back:.0f} | {CLIPS * (there + back) / 1e9:.1f} GB | "
            f"{WORKERS * rate(name):,.0f} |"
        )
    return "\n".join(lines)


def rate(what: str) -> float:
    """Return the clips a second and worker of a step, as benchmarks.cluster has measured them."""
    text = (RESULTS.parent / "cluster.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith(f"| {what}"))
    return float(line.split("|")[4].replace(",", "")) / 3600


def main() -> None:
    """Measure, compute and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=4000)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    cost_s, memory = measure(arguments.tasks)
    text = (
        "# A scheduler of 1,000 workers and 10 million clips\n\n"
        f"Measured: {1e3 * cost_s:.2f} ms of the scheduler's CPU time and {memory / 1e3:.1f} kB of "
        f"its memory a task (of 32 clips), with two workers; load of the machine "
        f"{os.getloadavg()[0]:.0f} on {os.cpu_count()} cores. All else is computed from it.\n\n"
        f"{report(cost_s, memory)}\n"
    )
    print(text)
    if arguments.write:
        Path(RESULTS).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
