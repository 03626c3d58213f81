"""MLflow's page opens on the runs, and not on what it has for language models."""

import socket
import sys
from types import SimpleNamespace

import pytest
from dripping_server import DrippingServer
from mlflow import MlflowClient

from anomalous_sound.errors import InputError
from anomalous_sound.tracking import page
from anomalous_sound.tracking.page import find_experiment, runs_address, serve


def test_the_address_is_that_of_the_runs():
    assert runs_address("http://127.0.0.1:5000", "3") == (
        "http://127.0.0.1:5000/#/experiments/3/runs?workflowType=machine_learning"
    )


def test_the_experiment_is_marked_as_one_of_networks(project):
    uri = f"sqlite:///{project.path}/mlflow.db"
    with pytest.raises(InputError, match="begin with: kedro run"):
        find_experiment(uri, "anomalous-sound", 1, patience_s=20)
    made = MlflowClient(uri).create_experiment("anomalous-sound")
    assert find_experiment(uri, "anomalous-sound", 1, patience_s=20) == made
    tags = MlflowClient(uri).get_experiment(made).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_store_that_cannot_be_used_is_told(tmp_path, monkeypatch):
    (tmp_path / "mlflow.db").write_bytes(b"garbage" * 100)
    with pytest.raises(InputError, match=r"^MLflow cannot use sqlite:.*\(file is not a database\)"):
        find_experiment(f"sqlite:///{tmp_path}/mlflow.db", "anomalous-sound", 1, patience_s=20)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InputError, match=r"^MLflow cannot use http://ada:\*\*\*@127\.0\.0\.1:9 \("):
        find_experiment("http://ada:secret@127.0.0.1:9", "anomalous-sound", 1, patience_s=20)


def test_a_server_that_drips_is_told():
    dripping = DrippingServer(0.05)
    with pytest.raises(InputError, match=r"its answers took longer than 1 s in all"):
        find_experiment(dripping.url, "anomalous-sound", 1, patience_s=1)
    dripping.close()


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is taken.* --port {port + 1}"):
            serve("sqlite:///none.db", tmp_path, "127.0.0.1", port, "")


@pytest.mark.parametrize("opens", [True, False])
def test_the_page_of_the_runs_is_opened_once_it_is_served(tmp_path, monkeypatch, capsys, opens):
    opened = []
    monkeypatch.setattr(page.webbrowser, "open", opened.append)
    monkeypatch.setattr(page, "_answers", lambda health, server: True)
    started = SimpleNamespace(wait=lambda: 0)
    monkeypatch.setattr(page.subprocess, "Popen", lambda *_, **__: started)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = runs_address(f"http://127.0.0.1:{port}", "1")
    assert serve("sqlite:///none.db", tmp_path, "127.0.0.1", port, address, opens=opens) == 0
    assert opened == [address] * opens
    assert address in capsys.readouterr().out


@pytest.mark.parametrize(
    ("platform", "display", "is_terminal", "has"),
    [
        ("linux", ":0", True, True),
        ("linux", "", True, False),
        ("linux", ":0", False, False),
        ("darwin", "", True, True),
    ],
)
def test_a_browser_that_would_take_the_terminal_is_not_opened(
    monkeypatch, platform, display, is_terminal, has
):
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert page.has_browser() is has
