"""kedro-viz and the MLflow UI as a person sees them, in headless Chromium."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
from chromium import CHROMIUM, QUIET

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


def page_at(url, tmp_path):
    """Return the page's document after its scripts have run."""
    command = [
        CHROMIUM,
        *QUIET,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1600,6000",  # what lies below the window may not be drawn
    ]
    command += ["--virtual-time-budget=30000", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def free_port():
    """Return a port that is free; kedro-viz refuses those above 49151, which a system may give."""
    for port in random.SystemRandom().sample(range(20000, 49000), 100):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")


@contextmanager
def served(project, *arguments, ready):
    """Run a kedro command that serves pages on the loopback address, and end it afterwards."""
    port = free_port()
    programs = str(Path(sys.executable).parent)
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (project.path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [f"{programs}/kedro", *arguments, "--port", str(port)],
            cwd=project.path,
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(url + ready, timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, (project.path / "server.log").read_text()
                time.sleep(1)
        else:
            pytest.fail("the server did not answer: " + (project.path / "server.log").read_text())
        yield url
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def test_the_graph_folds_into_methods_and_shows_its_layers(compared_run, tmp_path):
    with served(compared_run, "viz", "run", "--no-browser", ready="/api/main") as url:
        page = page_at(f"{url}/?pid=lstm", tmp_path)
        with urllib.request.urlopen(f"{url}/api/main", timeout=10) as answer:
            graph = json.load(answer)
    for name in ("raw_audio", "preparation", "clips", "log_mel", "windows", "lstm"):
        assert f">{name}<" in page, name
    # folded: what is inside a stage or a method is not drawn
    for name in ("check_clips", "train_network", "training"):
        assert f">{name}<" not in page, name
    assert graph["layers"] == [
        "01_raw",
        "02_intermediate",
        "03_primary",
        "04_feature",
        "06_models",
        "07_model_output",
        "08_reporting",
    ]
    assert "01_raw" in page
    folded = {node["name"] for node in graph["nodes"] if node["type"] == "modularPipeline"}
    assert {"preparation", "lstm"} <= folded
    stages = {f"lstm.{stage}" for stage in ("training", "inference", "decision", "report")}
    assert stages <= set(graph["modular_pipelines"])
    selectable = {pipeline["id"] for pipeline in graph["pipelines"]}
    assert {"explore", "lstm", "gru", "autoencoder", "compare", "score"} <= selectable


def test_two_runs_are_compared_under_the_same_names(compared_run, tmp_path):
    client = mlflow.MlflowClient(f"sqlite:///{compared_run.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound").experiment_id
    by_name = {
        run.info.run_name.split()[1]: run.info.run_id for run in client.search_runs([experiment])
    }
    query = urllib.parse.urlencode(
        {
            "runs": json.dumps([by_name["lstm"], by_name["gru"]]),
            "experiments": json.dumps([experiment]),
        },
        quote_via=urllib.parse.quote,
    )
    with served(compared_run, "mlflow", "ui", ready="/health") as url:
        page = page_at(f"{url}/#/compare-runs?{query}", tmp_path)
    for name in ("training.batch_size", "network.hidden_size", "auc_pooled", "auc_mean"):
        assert name in page, name
    assert "lstm.training" not in page
    assert "gru.training" not in page
