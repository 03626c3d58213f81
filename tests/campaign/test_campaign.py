"""One command over machine types and seeds: interrupted, continued, and joined in a table."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import yaml
from file_server import DOWNLOAD, sections, zip_of
from kedro.framework.project import pipelines
from mlflow import MlflowClient
from sklearn.metrics import roc_auc_score
from support import SMALL_PARAMETERS, Project

from anomalous_sound.campaign.finished import why_not_finished

pytestmark = pytest.mark.slow

YEAR, TYPES, SEEDS = "dcase2022", ("fan", "valve"), (1, 2)
EPOCHS = 40
CAMPAIGN = ("--pipeline", "lstm", "--env", YEAR, "--params", "corpus.machine_type=all,seeds=2")
NAMES = [f"{YEAR}-{kind}-seed{seed}" for kind in TYPES for seed in SEEDS]
RUNS = [f"{YEAR}-{kind}-seed{seed} lstm seed {seed}" for kind in TYPES for seed in SEEDS]


def serve(project, server, served=TYPES, epochs=EPOCHS):
    """Let the environment ask this machine for archives of two machine types."""
    folder = project.path / "conf" / YEAR
    values = yaml.safe_load((folder / "globals.yml").read_text())
    known = values["archives"]["development"]
    known["files"] = {kind: known["files"][kind] for kind in TYPES}
    made = {known["files"][kind]["name"]: zip_of(sections(kind)) for kind in served}
    known["record"] = server.add_record("1", made)
    known["url"] = server.url
    values["archives"] = {"development": known}
    values |= {"download": DOWNLOAD, "profile": "report"}
    (folder / "globals.yml").write_text(yaml.safe_dump(values))
    small = SMALL_PARAMETERS["lstm"]
    training = small["training"] | {"epochs": epochs}
    parameters = SMALL_PARAMETERS | {"lstm": small | {"training": training}}
    (folder / "parameters.yml").write_text(yaml.safe_dump(parameters))


def started(project, output, *arguments):
    return subprocess.Popen(
        [Path(sys.executable).parent / "kedro", "run", *arguments],
        cwd=project.path,
        env=os.environ | {"KEDRO_DISABLE_TELEMETRY": "1", "COLUMNS": "200"},
        stdout=output,
        stderr=output,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


def run(project, *arguments):
    """Run to the end; return the exit code and what was said."""
    output = project.path / "output.txt"
    with output.open("w") as file:
        code = started(project, file, *arguments).wait(300)
    return code, output.read_text()


def interrupted(project, *arguments, when):
    """Stop a run when it has said something; return the exit code and what was said."""
    output = project.path / "output.txt"
    with output.open("w") as file:
        running = started(project, file, *arguments)
        for _ in range(1200):
            if re.search(when, output.read_text(), re.DOTALL):
                break
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        return running.wait(60), output.read_text()


def table(project):
    return pd.read_csv(
        project.data("08_reporting", YEAR, "results", "results.csv"), dtype={"machine_id": str}
    )


def scores_of(project, kind, seed):
    """What the run has handed in: names and scores, and nothing else of the program."""
    name = f"{YEAR}-{kind}-seed{seed}"
    files = project.data("08_reporting", name, "lstm", "submission").glob("anomaly_score_*.csv")
    return {file.stem.split("_")[4]: pd.read_csv(file, names=["clip", "score"]) for file in files}


def figures(scores):
    """The three figures of a section in 2022, by scikit-learn."""
    anomalous = scores["clip"].str.contains("anomaly")
    found = {"pauc": roc_auc_score(anomalous, scores.score, max_fpr=0.1)}
    for domain in ("source", "target"):
        chosen = anomalous | scores["clip"].str.contains(f"{domain}_test")
        found[f"auc_{domain}"] = roc_auc_score(anomalous[chosen], scores.score[chosen])
    return found


def in_process(project, *arguments):
    """Run a command without the seconds that a process takes to start."""
    return project.command("run", *arguments)


def test_an_interrupted_campaign_goes_on_and_ends_as_an_unbroken_one(
    project, tmp_path, file_server
):
    unbroken = Project(tmp_path / "unbroken")
    serve(project, file_server)
    serve(unbroken, file_server)
    code, said = interrupted(
        project, *CAMPAIGN, when=rf"seed2 \(2 of 4\): it has not been run.*Epoch 4 of {EPOCHS}"
    )
    assert code == 130, said
    assert "Error: stopped. The same command goes on" in said
    client = MlflowClient(f"sqlite:///{project.path}/mlflow.db")
    experiment = client.get_experiment_by_name("anomalous-sound").experiment_id
    statuses = {r.info.run_name: r.info.status for r in client.search_runs([experiment])}
    first, second = RUNS[:2]
    assert statuses == {f"{YEAR} lstm": "KILLED", first: "FINISHED", second: "KILLED"}

    code, said = run(project, *CAMPAIGN)
    assert code == 0, said
    assert f"{NAMES[0]} (1 of 4): finished before." in said
    assert re.search(r"Going on with an interrupted training after epoch \d+", said)
    assert said.count(f"Epoch {EPOCHS} of {EPOCHS}") == 3
    # the run that was interrupted, without an interruption
    alone = "corpus.machine_type=[fan],seed=2,seeds=1"
    assert in_process(unbroken, *CAMPAIGN[:-1], alone)[0] == 0
    for section, scores in scores_of(unbroken, "fan", 2).items():
        pd.testing.assert_frame_equal(scores, scores_of(project, "fan", 2)[section])

    # the figures, from the files to hand in
    rows = table(project).set_index(["system", "machine_type", "machine_id", "figure"])
    sections = []
    for kind in TYPES:
        of_seeds = [scores_of(project, kind, seed) for seed in SEEDS]
        for section in ("00", "01"):
            found = pd.DataFrame([figures(scores[section]) for scores in of_seeds])
            sections.append(found)
            for figure in found:
                row = rows.loc[("lstm", kind, section, figure)]
                assert row["mean"] == pytest.approx(found[figure].mean())
                assert row["std"] == pytest.approx(found[figure].std(ddof=1))
    everything = pd.concat(sections, axis=1)
    score = (1 / (1 / everything).mean(axis=1)).mean()
    assert rows.loc[("lstm", "mean", "mean", "score")]["mean"] == pytest.approx(score)
    published = rows.loc[("baseline (autoencoder)", "fan", "00", "auc_source")]
    assert (published["mean"], published["origin"]) == (0.848, "published")
    card = project.data("08_reporting", NAMES[1], "lstm", "card.md").read_text()
    assert "seed 2" in card

    # in MLflow: one run, with those of all machine types and seeds below it
    runs = client.search_runs([experiment])
    (parent,) = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    assert (parent.info.run_name, parent.info.status) == (f"{YEAR} lstm", "FINISHED")
    assert parent.data.metrics["lstm.score"] == pytest.approx(score)
    below = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(below) == len(runs) - 1
    assert sorted(r.info.run_name for r in below if r.info.status == "FINISHED") == RUNS

    # compare joins what there is, and runs nothing
    written = table(project)
    shutil.rmtree(project.data("08_reporting", YEAR))
    assert in_process(project, "--pipeline", "compare", *CAMPAIGN[2:])[0] == 0
    pd.testing.assert_frame_equal(table(project), written)
    assert len(client.search_runs([experiment])) == len(runs) + 1

    # what counts as finished, and what does not
    def why(name, **changed):
        params = {"corpus": {"machine_type": "fan"}, "detector": {"name": name}, "seed": 1}
        with project.session(YEAR, **params | changed) as session:
            return why_not_finished("lstm", pipelines["lstm"], session.load_context().catalog)

    assert why(NAMES[0]) == ""
    assert why(NAMES[0], seed=2) == "it was run with seed 1, not 2"
    assert why("another") == "it has not been run to its end"
    longer = {"training": {"epochs": EPOCHS + 1}}
    assert (
        why(NAMES[0], lstm=longer) == f"it was run with training.epochs {EPOCHS}, not {EPOCHS + 1}"
    )
    clip = next(project.data("01_raw", YEAR).rglob("fan/train/*.wav"))
    kept = clip.read_bytes()
    clip.write_bytes(next(clip.parent.glob("*0001*.wav")).read_bytes())
    assert why(NAMES[0]) == "it was run on other recordings"
    clip.write_bytes(kept)
    page = project.data("08_reporting", NAMES[0], "lstm", "report.html")
    page.unlink()
    assert why(NAMES[0]) == "it was interrupted before its end"


def test_a_machine_type_that_fails_is_told_in_the_end(project, file_server):
    serve(project, file_server, served=("valve",))
    small = "corpus.machine_type=[fan,valve],lstm.training.epochs=1"
    code, said = in_process(project, *CAMPAIGN[:-1], small)
    assert code == 1
    assert said.startswith("Error: 1 of 2 runs failed. dcase2022-fan: ")
    assert "dev_fan.zip" in said
    measured = table(project)[table(project).origin == "measured here"]
    assert set(measured.machine_type) == {"valve"}
    assert project.data("06_models", f"{YEAR}-valve", "lstm", "detector").is_dir()
