"""A pipeline whole on a cluster: the same results, and one MLflow run."""

import sys

import mlflow
import pandas as pd
import pytest

from anomalous_sound.compute import cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Dask starts no processes there"),
]


def test_a_run_on_a_cluster_finds_the_same(project, simulated_run, caplog):
    # Kedro reads one environment, and what makes the run small is in another
    for name in ("globals", "parameters"):
        small = (project.path / "conf" / "local" / f"{name}.yml").read_text()
        with (project.path / "conf" / "cluster" / f"{name}.yml").open("a") as file:
            file.write(small)
    found = ["lstm.clip_scores", "lstm.window_errors"]
    project.run(env="cluster", to_outputs=found, engine={"workers": 2, "batch": 3})
    assert not cluster._open
    assert "2 workers; dashboard: http://127.0.0.1:" in caplog.text
    for name in ("clips", *found):
        pd.testing.assert_frame_equal(project.load(name), simulated_run.load(name))
    for pattern in ("03_primary/slider/log_mel/*.npy", "06_models/slider/lstm/network/*"):
        here, there = (
            {path.name: path.read_bytes() for path in one.data().glob(pattern)}
            for one in (project, simulated_run)
        )
        assert here
        assert here == there
    client = mlflow.MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["engine.type"] == "dask"
