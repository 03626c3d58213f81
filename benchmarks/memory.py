"""Peak resident memory of every stage at two corpus sizes, and what a second run saves.

    python -m benchmarks.memory --folder FOLDER [--clips 500 3471] [--epochs 2] [--write]

A simulated corpus in the proportions of the report's job (2,370 training and 1,101 test clips of
10 s), as large as the largest size asked for, is written to FOLDER once. Each stage is a command
`kedro run`, a process of its own in a project folder of its own; its peak is what the operating
system says of that process. The profile is `fast`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

from anomalous_sound.sources.simulation.corpus import is_current, write_corpus
from anomalous_sound.sources.simulation.settings import SimulationSettings
from benchmarks.configuration import REPOSITORY, simulation
from benchmarks.stages.commands import KEDRO, environment, project_in

RESULTS = REPOSITORY / "benchmarks" / "results" / "memory.md"
CLIPS_PER_MACHINE_ID = {
    "training_clips": 790,
    "normal_test_clips": 100,
    "anomalous_test_clips": 267,
}
MACHINE_IDS = ["00", "02", "04"]
NAME = "memory"  # of the detector
PREPARATION = [
    f"preparation.{name}"
    for name in ("check_clips", "extract_log_mel", "fit_scaling", "index_windows")
]
STAGES = {
    "start kedro, check clips": PREPARATION[:1],
    "extract log-mel frames": PREPARATION[1:2],
    "scaling and windows": PREPARATION[2:],
    "train the LSTM": ["lstm.training.describe_network", "lstm.training.train_network"],
    "score all windows": ["lstm.inference.score_windows"],
    "scores, thresholds, report": [],  # all that are left
}


def simulate(folder: Path, clips: int) -> Path:
    """Write the corpus, of this many clips or a few more."""
    whole = len(MACHINE_IDS) * sum(CLIPS_PER_MACHINE_ID.values())
    cut = {
        kind: max(2, math.ceil(count * clips / whole))
        for kind, count in CLIPS_PER_MACHINE_ID.items()
    }
    settings = SimulationSettings.parse(simulation() | cut | {"machine_ids": MACHINE_IDS})
    corpus = folder / "corpus"
    if not is_current(corpus, settings):
        write_corpus(corpus, settings)
    return corpus


def part_of(corpus: Path, clips: int, folder: Path) -> Path:
    """The same share of training and test clips of every machine ID, as links."""
    part = folder / f"corpus_{clips}"
    shutil.rmtree(part, ignore_errors=True)
    files = sorted(corpus.rglob("*.wav"))
    for number in range(clips):
        file = files[number * len(files) // clips]
        target = part / file.relative_to(corpus)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(file)
    shutil.copy(corpus / "corpus.json", part)
    return part


def kedro_run(project: Path, audio: Path, nodes: list[str], epochs: int) -> tuple[float, float]:
    """Return seconds and peak resident memory (MB) of one run."""
    command = [*KEDRO, "run", "--pipelines", "lstm", "--nodes", ",".join(nodes)]
    given = f"audio_dir={audio},detector={NAME},profile=fast,lstm.training.epochs={epochs}"
    command += ["--params", given]
    started = time.perf_counter()
    with (project / "log.txt").open("ab") as log:
        process = subprocess.Popen(command, cwd=project, env=environment(), stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed; see {project / 'log.txt'}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def remaining_nodes(project: Path) -> list[str]:
    """The nodes of the lstm pipeline that no stage before has run."""
    from kedro.framework.project import pipelines
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)
    done = {name for names in STAGES.values() for name in names}
    return [node.name for node in pipelines["lstm"].nodes if node.name not in done]


def measure(corpus: Path, clips: int, folder: Path, epochs: int) -> dict[str, tuple[float, float]]:
    audio = part_of(corpus, clips, folder)
    path = folder / f"project_{clips}"
    shutil.rmtree(path, ignore_errors=True)
    project = project_in(path)
    measured = {}
    for stage, nodes in STAGES.items():
        measured[stage] = kedro_run(project, audio, nodes or remaining_nodes(project), epochs)
        print(clips, stage, *(f"{value:.0f}" for value in measured[stage]), flush=True)
    again = partial(kedro_run, project, audio, PREPARATION, epochs)
    measured["preparation again, nothing changed"] = again()
    (project / "data" / "02_intermediate" / NAME / "clip_checks.parquet").unlink()
    shutil.rmtree(project / "data" / "03_primary" / NAME / "log_mel")
    measured["preparation, all anew"] = again()
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--clips", type=int, nargs="+", default=[500, 3471])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"also to results/{RESULTS.name}")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    corpus = simulate(folder, max(arguments.clips))
    measured = {
        clips: measure(corpus, clips, folder, arguments.epochs) for clips in arguments.clips
    }
    (folder / "memory.json").write_text(json.dumps(measured))
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"simulated clips of 10 s, {arguments.epochs} epochs; peak resident memory of the process, "
        "MB, and seconds.",
        "",
        "| stage | " + " | ".join(f"{c:,} clips, MB | s" for c in arguments.clips) + " |",
        "|---|" + "---:|---:|" * len(arguments.clips),
    ]
    for stage in measured[arguments.clips[0]]:
        values = (f"{measured[c][stage][1]:.0f} | {measured[c][stage][0]:.0f}" for c in measured)
        lines.append(f"| {stage} | " + " | ".join(values) + " |")
    if arguments.write:
        RESULTS.write_text("# Memory\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
