"""Whole runs whose MLflow server or store fails, drips, freezes or goes, and what catches up.

By hand: ``python tests/robustness/servers.py``; some minutes. Each run has to end by itself, with
exit code 0 and the results of a run without trouble, and `kedro mlflow catch-up` has to record it
once, as that one was.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.request import urlopen

sys.path.insert(0, str(Path(__file__).parents[1]))
import yaml
from dripping_server import DrippingServer
from mlflow import MlflowClient
from robustness.kills import results
from support import Project

PATIENCE_S, PAUSE_S, LONGEST_S = 20, 2.0, 600
DRIPPING = {  # where the first byte is waited for, and after how many of such requests
    "drips from the start": ("", 0),
    "drips as a parameter is logged": ("log-batch", 0),
    "drips as a file is uploaded": ("PUT", 0),
    "drips as a later file is uploaded": ("PUT", 12),
    "drips as a model is registered": ("logged-models", 0),
    "drips as the run is ended": ("runs/update", 0),
}
DESTROYED, KILLED, FROZEN = (
    "the store is destroyed in the middle",
    "the server is killed in the middle",
    "the server is frozen in the middle",
)
NAMES = [*DRIPPING, DESTROYED, KILLED, FROZEN]
Say = Callable[[str], object]


class Server:
    """An MLflow server of its own, with a process group of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--port", str(self.port)),
                    *("--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"),
                    *("--artifacts-destination", str(self.folder / "artifacts")),
                    *("--workers", "1"),
                ],
                stdout=output,
                stderr=output,
                env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                start_new_session=True,
            )
        while True:
            with suppress(OSError), urlopen(f"{self.url}/health") as answer:
                if answer.status == 200:
                    return
            time.sleep(0.2)

    def signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)

    def stop(self) -> None:
        with suppress(ProcessLookupError):
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)
        self._process.wait()


def make_project(path: Path, uri: str | None) -> Project:
    """Make a project whose runs go to a server, or into a store of its own."""
    project = Project(path, registers_detectors=True)
    have_patience(project, PATIENCE_S)
    if uri is not None:
        record_at(project, uri)
    return project


def have_patience(project: Project, seconds: int) -> None:
    """Let a project's runs, and what catches up on them, wait so long for a server."""
    globals_ = project.path / "conf" / "local" / "globals.yml"
    lines = [one for one in globals_.read_text().splitlines() if "mlflow_patience_s" not in one]
    lines.insert(lines.index("runs:") + 1, f"  mlflow_patience_s: {seconds}")
    globals_.write_text("\n".join(lines) + "\n")


def record_at(project: Project, uri: str) -> None:
    """Let a project's runs go to a server, and their files, too."""
    tracking = yaml.safe_load((project.path / "conf/base/mlflow.yml").read_text())["tracking"]
    tracking["experiment"]["create_experiment_kwargs"] = {"artifact_location": "mlflow-artifacts:/"}
    server = {"mlflow_tracking_uri": uri}
    project.configure("mlflow", {"server": server, "tracking": tracking})


def run(project: Project, meanwhile: Callable[[], object] | None = None) -> tuple[int, float, str]:
    """Run `lstm`; return the exit code, the seconds, and what was said."""
    began = time.monotonic()
    output = project.path / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", "run", "--pipeline", "lstm"],
            cwd=project.path,
            stdout=file,
            stderr=file,
        )
    if meanwhile is not None:
        trained = project.data("06_models", "slider", "lstm", "network", "network.json")
        while process.poll() is None and not trained.parent.exists():
            time.sleep(0.02)
        meanwhile()
    try:
        code = process.wait(LONGEST_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    return code, time.monotonic() - began, output.read_text()


def recorded(uri: str) -> list[tuple[str, int, int]]:
    """Return status, and number of metrics and parameters, of the runs in a store."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("anomalous-sound")
    found = client.search_runs([experiment.experiment_id]) if experiment else []
    return [(one.info.status, len(one.data.metrics), len(one.data.params)) for one in found]


def catch_up(project: Project) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "kedro", "mlflow", "catch-up"],
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return f"{done.returncode}: {lines[-1] if lines else ''}"


@dataclass
class Trouble:
    """What happens to a run.

    Attributes:
        project: whose run it is.
        meanwhile: happens once the network is trained; None: nothing.
        mend: ends the trouble.
        store: where its record is to be found in the end.
    """

    project: Project
    meanwhile: Callable[[], object] | None
    mend: Callable[[], object]
    store: str


@contextmanager
def trouble(name: str, folder: Path) -> Iterator[Trouble]:
    """Prepare a trouble, and end the processes that it takes."""
    with ExitStack() as stack:
        if name == DESTROYED:
            project = make_project(folder / "project", None)
            store = project.path / "mlflow.db"
            destroy = partial(store.write_bytes, b"garbage" * 1000)
            yield Trouble(project, destroy, store.unlink, f"sqlite:///{store}")
            return
        server = Server(folder / "server")
        stack.callback(server.stop)
        if name not in DRIPPING:
            project = make_project(folder / "project", server.url)
            harm, mend = {
                KILLED: (server.stop, server.start),
                FROZEN: (
                    partial(server.signal, signal.SIGSTOP),
                    partial(server.signal, signal.SIGCONT),
                ),
            }[name]
            yield Trouble(project, harm, mend, server.url)
            return
        at, after = DRIPPING[name]
        dripping = DrippingServer(PAUSE_S, before=server.url, drips_at=at, drips_after=after)
        stack.callback(dripping.close)
        project = make_project(folder / "project", dripping.url)
        yield Trouble(project, None, partial(record_at, project, server.url), server.url)


def judge(
    name: str, folder: Path, expected: dict[str, str], record: list[tuple[str, int, int]], say: Say
) -> bool:
    """Make one run in trouble; return whether its results and its record are as they have to be."""
    with trouble(name, folder) as given:
        code, seconds, output = run(given.project, given.meanwhile)
        found = results(given.project)
        differences = sorted(k for k in {*expected, *found} if expected.get(k) != found.get(k))
        given.mend()
        have_patience(given.project, LONGEST_S)  # the server may be slow, but it works
        caught = catch_up(given.project)
        runs = recorded(given.store)
    told = [line for line in output.splitlines() if "MLflow cannot use" in line]
    say(
        f"{name}: exit {code}, {seconds:.0f} s, {len(differences)} differences, "
        f"{output.count('Traceback')} tracebacks, told {len(told)} times; "
        f"catch-up {caught}; in MLflow {runs}"
    )
    for one in [*differences, *told]:
        say(f"   {one}")
    is_recorded = caught.startswith("0:") and runs == record
    return code == 0 and not differences and "Traceback" not in output and is_recorded


def main() -> int:
    """Try all troubles, or those whose name holds a word."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        whole = make_project(Path(scratch, "whole"), None)
        code, seconds, _ = run(whole)
        expected = results(whole)
        store = f"sqlite:///{whole.path}/mlflow.db"
        record = recorded(store)
        print(f"no trouble: exit {code}, {seconds:.0f} s, {record}", flush=True)
        good = code == 0
        for name in NAMES:
            if given.only in name:
                folder = Path(scratch, "trouble")
                folder.mkdir()
                say = partial(print, flush=True)
                good &= judge(name, folder, expected, record, say)
                shutil.rmtree(folder, ignore_errors=True)
    return not good


if __name__ == "__main__":
    sys.exit(main())
