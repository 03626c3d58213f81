"""MLflow's page of the runs: served, and where in it the runs are."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Experiment

from anomalous_sound.errors import InputError
from anomalous_sound.storage.remote import without_secrets
from anomalous_sound.tracking.guard import one_line
from anomalous_sound.tracking.patience import at_most
from anomalous_sound.tracking.store import prepare_store

# without it the page is that of language models
KIND = {"mlflow.experimentKind": "custom_model_development"}
_WORKFLOW = "workflowType=machine_learning"
_PATIENCE_S = 120


def runs_address(server: str, experiment_id: str) -> str:
    """Return the address of an experiment's runs.

    >>> runs_address("http://127.0.0.1:5000/", "1")
    'http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning'
    """
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{_WORKFLOW}"


def find_experiment(uri: str, name: str, timeout_s: int, *, patience_s: float) -> str:
    """Return the ID of the experiment, and mark it as one of networks that are trained.

    Args:
        uri: of the store.
        name: of the experiment.
        timeout_s: how long to wait for a store on this machine.
        patience_s: how long to wait for a server in all.

    Raises:
        InputError: nothing has been run yet, or MLflow cannot use the store.
    """
    try:
        experiment = at_most(patience_s, uri, lambda: _marked(uri, name, timeout_s))
    except Exception as error:  # of MLflow, its store, or what connects them
        raise InputError(
            f"MLflow cannot use {without_secrets(uri)} ({one_line(error, uri)})."
        ) from error
    if experiment is None:
        raise InputError("there is no run to show yet; begin with: kedro run --pipeline lstm.")
    return str(experiment.experiment_id)


def _marked(uri: str, name: str, timeout_s: int) -> Experiment | None:
    prepare_store(uri, timeout_s)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        for tag, value in KIND.items():
            if experiment.tags.get(tag) != value:
                client.set_experiment_tag(experiment.experiment_id, tag, value)
    return experiment


def has_browser() -> bool:
    """Say whether a page can be opened in a window; else a browser might take the terminal."""
    has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return sys.stdout.isatty() and bool(has_screen or sys.platform in ("darwin", "win32"))


def serve(
    uri: str, project: Path, host: str, port: int, address: str, *, opens: bool = False
) -> int:
    """Serve the pages of a store until the server is stopped, and say where to look.

    Args:
        uri: of the store.
        project: where the artifacts' relative paths begin.
        host: address to listen at.
        port: number of the port.
        address: of the page to look at, from :func:`runs_address`.
        opens: whether it is opened in the user's browser.

    Returns:
        The server's exit code.

    Raises:
        InputError: the port is taken.
    """
    with socket.socket() as tried:
        if tried.connect_ex((host, port)) == 0:
            raise InputError(
                f"port {port} is taken, perhaps by this page in another terminal; give another "
                f"one: kedro mlflow ui --port {port + 1}."
            )
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri]
    command += ["--registry-store-uri", uri, "--host", host, "--port", str(port)]
    command += ["--workers", "1", "--uvicorn-opts", "--log-level warning"]
    own = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # jobs of language models
        "PYTHONWARNINGS": "ignore",  # of what its own libraries will give up
    }
    # this Python, no shell
    server = subprocess.Popen(command, cwd=project, env=own | os.environ)  # nosec B603
    try:
        if _answers(f"http://{host}:{port}/health", server):
            print(f"Runs: {address} (Ctrl-C ends the server)", flush=True)
            if opens:
                webbrowser.open(address)
        return server.wait()
    except KeyboardInterrupt:
        return server.wait()


def _answers(health: str, server: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(health, timeout=5).close()  # nosec B310  # our own http address
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return True
    return False
