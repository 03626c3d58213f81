"""MLflow's page opens on the runs, and not on what it has for language models."""

import socket

import pytest
from mlflow import MlflowClient

from anomalous_sound.errors import InputError
from anomalous_sound.tracking.page import find_experiment, runs_address, serve


def test_the_address_is_that_of_the_runs():
    assert runs_address("http://127.0.0.1:5000", "3") == (
        "http://127.0.0.1:5000/#/experiments/3/runs?workflowType=machine_learning"
    )


def test_the_experiment_is_marked_as_one_of_networks(project):
    uri = f"sqlite:///{project.path}/mlflow.db"
    with pytest.raises(InputError, match="begin with: kedro run"):
        find_experiment(uri, "anomalous-sound")
    made = MlflowClient(uri).create_experiment("anomalous-sound")
    assert find_experiment(uri, "anomalous-sound") == made
    tags = MlflowClient(uri).get_experiment(made).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_port_that_is_taken_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} is taken.* --port {port + 1}"):
            serve("sqlite:///none.db", tmp_path, "127.0.0.1", port, "")
