"""The whole job of ``lstm`` stage by stage, each a command ``kedro run`` of its own.

The corpora are simulated in the proportions of the report's job: 2,370 training and 1,101 test
clips of 10 s.
"""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from anomalous_sound.sources.simulation.corpus import is_current, write_corpus
from anomalous_sound.sources.simulation.settings import SimulationSettings
from benchmarks.commands import KEDRO, environment, project_in
from benchmarks.configuration import simulation

FULL_SIZE = 3471
CLIPS_PER_MACHINE_ID = {
    "training_clips": 790,
    "normal_test_clips": 100,
    "anomalous_test_clips": 267,
}
MACHINE_IDS = ["00", "02", "04"]
NAME = "measured"  # of the detector
_LOOKS_EVERY_S = 0.2
PREPARATION = [
    f"preparation.{name}"
    for name in ("check_clips", "extract_log_mel", "fit_scaling", "index_windows")
]
STAGES = {
    "start kedro, check clips": PREPARATION[:1],
    "extract log-mel frames": PREPARATION[1:2],
    "scaling and windows": PREPARATION[2:],
    "train the LSTM": [
        f"lstm.training.{name}" for name in ("describe_network", "draw_folds", "train_network")
    ],
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


class Cost(NamedTuple):
    """What a command took.

    Attributes:
        seconds: from its start to its end.
        peak_mb: resident memory of all its processes together, at most, MB; what they share counts
            once for each.
    """

    seconds: float
    peak_mb: float


def kedro_run(project: Path, nodes: list[str], parameters: str) -> Cost:
    """Run nodes of the pipeline ``lstm``.

    Raises:
        SystemExit: the run failed.
    """
    command = [*KEDRO, "run", "--pipelines", "lstm", "--nodes", ",".join(nodes)]
    command += ["--params", parameters]
    started = time.perf_counter()
    peak = 0
    with (project / "log.txt").open("ab") as log:
        process = psutil.Popen(command, cwd=project, env=environment(), stdout=log, stderr=log)
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(_LOOKS_EVERY_S)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed; see {project / 'log.txt'}")
    return Cost(time.perf_counter() - started, peak / 1e6)


def _resident(process: psutil.Process) -> int:
    resident = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            resident += one.memory_info().rss
        except psutil.Error:  # it has ended
            continue
    return resident


def remaining_nodes(project: Path) -> list[str]:
    """The nodes of the lstm pipeline that no stage before has run."""
    from kedro.framework.project import pipelines
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)
    done = {name for names in STAGES.values() for name in names}
    return [node.name for node in pipelines["lstm"].nodes if node.name not in done]


def measure(
    corpus: Path, clips: int, folder: Path, profile: str, epochs: int | None = None
) -> dict[str, Cost]:
    """Run the job on a part of a corpus.

    Args:
        corpus: as :func:`simulate` writes it.
        clips: of it.
        folder: where the part and a project are made.
        profile: of the parameters.
        epochs: None: those of the profile.

    Returns:
        What each of STAGES took; then preparation with nothing changed and with all changed.
    """
    audio = part_of(corpus, clips, folder)
    path = folder / f"project_{clips}"
    shutil.rmtree(path, ignore_errors=True)
    project = project_in(path)
    given = f"audio_dir={audio},detector={NAME},profile={profile}"
    if epochs is not None:
        given += f",lstm.training.epochs={epochs}"
    measured = {}
    for stage, nodes in STAGES.items():
        measured[stage] = kedro_run(project, nodes or remaining_nodes(project), given)
        print(clips, stage, *(f"{value:.0f}" for value in measured[stage]), flush=True)
    measured["preparation again, nothing changed"] = kedro_run(project, PREPARATION, given)
    (project / "data" / "02_intermediate" / NAME / "clip_checks.parquet").unlink()
    shutil.rmtree(project / "data" / "03_primary" / NAME / "log_mel")
    measured["preparation, all anew"] = kedro_run(project, PREPARATION, given)
    return measured
