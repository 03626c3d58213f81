"""Peak resident memory of every stage at two corpus sizes, and what a second run saves.

    python benchmarks/memory.py --folder FOLDER [--clips 500 3471] [--epochs 2]

A simulated corpus of the size of the report's job (2,370 training and 1,101 test clips of 10 s) is
written to FOLDER once. Each stage is a `kedro run` in a process of its own, in a project folder of
its own; its peak is what the operating system says of that process. The profile is `fast`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
FULL_SIZE = {"training_clips": 790, "normal_test_clips": 100, "anomalous_test_clips": 267}
MACHINE_IDS = ["00", "02", "04"]
STAGES = {
    "start kedro, check clips": "check_clips",
    "extract log-mel frames": "extract_log_mel",
    "scaling and windows": "fit_scaling,index_windows",
    "train the LSTM": "lstm.collect_settings,lstm.train_network",
    "score all windows": "lstm.score_windows",
    "scores, thresholds, report": "",
}


def simulate(folder: Path) -> Path:
    import yaml

    from anomalous_sound.sources.simulation.corpus import is_current, write_corpus

    configured = yaml.safe_load((REPOSITORY / "conf/base/globals.yml").read_text())["simulation"]
    settings = configured | FULL_SIZE | {"machine_ids": MACHINE_IDS}
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


def kedro_run(project: Path, audio: Path, nodes: str, epochs: int) -> tuple[float, float]:
    """Return seconds and peak resident memory (MB) of one run."""
    command = [sys.executable, "-m", "kedro", "run", "--pipelines", "lstm"]
    command += ["--params", f"audio_dir={audio},profile=fast,lstm.training.epochs={epochs}"]
    if nodes:
        command += ["--nodes", nodes]
    started = time.perf_counter()
    with (project / "log.txt").open("ab") as log:
        process = subprocess.Popen(command, cwd=project, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed; see {project / 'log.txt'}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def copy_project(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(REPOSITORY / "conf", folder / "conf")
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    (folder / "src").mkdir()
    return folder


def remaining_nodes(project: Path) -> str:
    """The nodes of the lstm pipeline that no stage before has run."""
    from kedro.framework.project import pipelines
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)
    done = ",".join(STAGES.values()).split(",")
    return ",".join(node.name for node in pipelines["lstm"].nodes if node.name not in done)


def measure(corpus: Path, clips: int, folder: Path, epochs: int) -> dict[str, tuple[float, float]]:
    audio = part_of(corpus, clips, folder)
    project = copy_project(folder / f"project_{clips}")
    measured = {}
    for stage, nodes in STAGES.items():
        nodes = nodes or remaining_nodes(project)
        measured[stage] = kedro_run(project, audio, nodes, epochs)
        print(clips, stage, *(f"{value:.0f}" for value in measured[stage]), flush=True)
    preparation = "check_clips,extract_log_mel,fit_scaling,index_windows"
    measured["preparation again, nothing changed"] = kedro_run(project, audio, preparation, epochs)
    (project / "data" / "02_intermediate" / "clip_checks.parquet").unlink()
    shutil.rmtree(project / "data" / "03_primary" / "log_mel")
    measured["preparation, all anew"] = kedro_run(project, audio, preparation, epochs)
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--clips", type=int, nargs="+", default=[500, 3471])
    parser.add_argument("--epochs", type=int, default=2)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    corpus = simulate(folder)
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
    results = REPOSITORY / "benchmarks" / "results"
    results.mkdir(exist_ok=True)
    (results / "memory.md").write_text("# Memory\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
