"""Kill real runs at random moments, run again, and compare with a run that nobody has killed.

By hand: ``make kills KILLS=50``. The tests kill two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from support import Project

# what says when and how fast something was made, and so differs between any two runs
TIMES = {"trained_at", "seconds", "training_s", "scoring_s_per_clip"}
# pages and pictures that show these times, and files whose every byte depends on them
OF_TIMES = {
    *("report.md", "report.html", "card.md", "history_figure.png"),
    *("checkpoint.ckpt", "clip_checks.parquet"),
}
MOST, DELAY_S = 100, 0.3  # files before a run is killed, and the mean time after that
GARBAGE = b"left by a killed run"


@dataclass
class Count:
    """What the kills have shown.

    Attributes:
        kills: runs that were killed.
        too_late: runs that ended before they were to be killed.
        left: incomplete files that were left, and filled with garbage.
        differences: files that are not those of the run that nobody has killed.
        wrong: what else is not as it should be, in sentences.
        moments: how many files the run had written, and the last of them.
    """

    kills: int = 0
    too_late: int = 0
    left: int = 0
    differences: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    moments: list[tuple[int, str]] = field(default_factory=list)


def start(project: Project, pipeline: str) -> subprocess.Popen[bytes]:
    """Start a run in a process group of its own."""
    with (project.path / "output.txt").open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "kedro", "run", "--pipeline", pipeline],
            cwd=project.path,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def results(project: Project) -> dict[str, str]:
    """Return a digest of all that a run has written, but for times, by path below ``data/``."""
    return {
        path.relative_to(project.data()).as_posix(): _digest(path)
        for path in sorted(project.data().rglob("*"))
        if path.is_file()
        and path.name not in OF_TIMES
        and not path.name.endswith((".lock", ".sha256"))  # of another time
        and "kept" not in path.parts  # clips of a watch
    }


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".json":
        content = json.dumps(_timeless(json.loads(content)), sort_keys=True).encode()
    elif path.suffix == ".csv" and b"seconds" in content.splitlines()[0]:
        content = pd.read_csv(path).drop(columns="seconds").to_csv().encode()
    elif path.parent.name == "band_errors" and path.suffix == ".parquet":
        content = pd.read_parquet(path).drop(columns="seconds").to_csv().encode()
    return hashlib.sha256(content).hexdigest()


def _timeless(values: object) -> object:
    if isinstance(values, list):
        return [_timeless(value) for value in values]
    if not isinstance(values, dict):
        return values
    if isinstance(seal := values.get("sha256"), dict):
        values = values | {"sha256": seal | {"values": "of the times, too"}}
    return {key: _timeless(value) for key, value in values.items() if key not in TIMES}


def incomplete(project: Project) -> list[Path]:
    """Return the files that are named as unfinished."""
    return [
        path
        for path in project.path.rglob("*")
        if path.is_file() and ".incomplete" in path.relative_to(project.path).as_posix()
    ]


def kill_runs(
    make: Callable[[], Project],
    expected: dict[str, str],
    *,
    kills: int,
    in_a_row: int,
    seed: int,
    pipeline: str = "lstm",
    say: Callable[[str], object] = print,
) -> Count:
    """Kill runs, let the next one end, and compare.

    A run is killed when it has written a random number of files, and a random time after that.

    Args:
        make: makes an empty project; all are alike.
        expected: the results of a run that nobody has killed.
        kills: how many.
        in_a_row: before a run is let to its end.
        seed: of the moments.
        pipeline: which one is run.
        say: is told what happens.
    """
    rng = np.random.default_rng(seed)
    count = Count()
    while count.kills < kills:
        project = make()
        for _ in range(min(in_a_row, kills - count.kills)):
            _kill_one(project, pipeline, int(rng.integers(MOST)), rng.exponential(DELAY_S), count)
        end(project, start(project, pipeline))
        found = results(project)
        count.differences += [
            name for name in {*expected, *found} if expected.get(name) != found.get(name)
        ]
        count.wrong += [f"{path} is left" for path in incomplete(project)]
        count.wrong += _wrong_in_store(project)
        say(
            f"{count.kills} kills, {count.too_late} too late, {count.left} incomplete files, "
            f"{len(count.differences)} differences, {len(count.wrong)} wrong"
        )
    return count


def _kill_one(project: Project, pipeline: str, files: int, delay_s: float, count: Count) -> None:
    began = time.time_ns()
    running = start(project, pipeline)
    while running.poll() is None and len(_written(project, began)) < files:
        time.sleep(0.005)
    try:
        running.wait(delay_s)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    else:
        count.too_late += 1
        return
    count.kills += 1
    written = _written(project, began)
    count.moments.append((len(written), written[-1] if written else "none"))
    for path in incomplete(project):  # whoever trusts it, finds this
        path.write_bytes(GARBAGE)
        count.left += 1


def _written(project: Project, since_ns: int) -> list[str]:
    """Return the files that have been written since then, the last one last."""
    found = []
    for folder, _, names in os.walk(project.data()):  # which does not mind what goes meanwhile
        for path in (Path(folder, name) for name in names):
            with suppress(FileNotFoundError):  # an incomplete one that is complete by now
                if (at := path.stat().st_mtime_ns) >= since_ns:
                    found.append((at, path.relative_to(project.data()).as_posix()))
    return [name for _, name in sorted(found)]


def end(project: Project, running: subprocess.Popen[bytes]) -> None:
    """Let a run end.

    Raises:
        RuntimeError: it fails.
    """
    if running.wait() != 0:
        raise RuntimeError((project.path / "output.txt").read_text())


def _wrong_in_store(project: Project) -> Iterator[str]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{(project.path / 'mlflow.db').as_posix()}")
    experiment = client.get_experiment_by_name("anomalous-sound")
    ends = [run.info.status for run in client.search_runs([experiment.experiment_id])]
    if ends[:1] != ["FINISHED"]:
        yield f"the last run is {ends[:1]} in MLflow"
    if "RUNNING" in ends:
        yield "a run that was killed is still running in MLflow"


@contextmanager
def projects(pipeline: str = "lstm") -> Iterator[tuple[Callable[[], Project], Project]]:
    """Give what makes empty projects, all alike, and one in which a run went well."""
    with tempfile.TemporaryDirectory() as folder:
        made = iter(range(10**6))

        def make() -> Project:
            return Project(Path(folder, str(next(made))))

        unbroken = make()
        end(unbroken, start(unbroken, pipeline))
        yield make, unbroken


def main() -> int:
    """Kill as many runs as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--in-a-row", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pipeline", default="lstm")
    given = parser.parse_args()
    with projects(given.pipeline) as (make, unbroken):
        count = kill_runs(
            *(make, results(unbroken)),
            **{"kills": given.kills, "in_a_row": given.in_a_row, "seed": given.seed},
            pipeline=given.pipeline,
            say=lambda text: print(text, flush=True),
        )
    for files, last in count.moments:
        print(f"killed after {files} files; the last: {last}")
    for problem in [*count.differences, *count.wrong]:
        print(f"WRONG: {problem}")
    return bool(count.differences or count.wrong)


if __name__ == "__main__":
    sys.exit(main())
