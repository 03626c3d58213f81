"""What a person sees at the command line."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow


def kedro(project, *arguments):
    environment = os.environ | {"KEDRO_DISABLE_TELEMETRY": "1", "COLUMNS": "200"}
    return subprocess.run(
        [Path(sys.executable).parent / "kedro", *arguments],
        cwd=project.path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--pipeline", "lstm", "--params", "audio_dir=nowhere"),
            "Error: audio_dir: nowhere does not exist",
        ),
        (
            ("--pipeline", "lstm", "--params", "profile=wrong"),
            "Error: there is no profile 'wrong'; there are standard, report, fast, base",
        ),
        (
            ("--env", "dcase2023", "--params", "profile=basline"),
            "Error: there is no profile 'basline'; did you mean 'baseline'? There are standard,",
        ),
    ],
)
def test_a_users_mistake_is_told_without_a_traceback(project, arguments, message):
    result = kedro(project, "run", *arguments)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert "Repeat the previous command" not in result.stdout
    assert not project.data("02_intermediate").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--pipeline", "lstm", "--params", "lstm.score.pooling=middle,lstm.trainig.epochs=3"),
            "Error: parameter 'lstm.score.pooling.type' is 'middle'; accepted: mean, median",
        ),
        (
            ("--pipelines", "lsmt"),
            "Error: there is no pipeline 'lsmt'; there are __default__, auto",
        ),
        (
            ("--pipeline", "lstm", "--env", "dcase2019"),
            "Error: there is no environment 'dcase2019'; there are base, cluster, dcase2020",
        ),
        (
            ("--env", "dcase2022", "--params", "corpus.parts=[development,test]"),
            "Error: corpus.parts names 'test', which the data set does not have; it has develop",
        ),
        (
            ("--pipeline", "lstm", "--params", "corpus.machine_ids=[]"),
            "Error: parameter 'corpus.machine_ids' is an empty list; accepted: one or more",
        ),
        (
            ("--pipeline", "lstm", "--from-nodes", "inference.score_clips"),
            "Error: Pipeline does not contain nodes named ['inference.score_clips']. Did you mean: "
            "['lstm.inference.score_clips']?",
        ),
    ],
)
def test_each_mistake_has_a_sentence(project, arguments, message):
    exit_code, said = project.command("run", *arguments)
    assert exit_code == 1
    assert message in said
    assert "Traceback" not in said
    assert not project.data("02_intermediate").exists()


@pytest.mark.parametrize("command", ["registry list", "catalog list-patterns"])
def test_a_command_prints_no_warning_of_a_library(project, command):
    result = kedro(project, *command.split())
    assert result.returncode == 0
    assert result.stderr == ""


def without_a_warning(project, *arguments):
    """Return what the first run of a project says."""
    (project.path / "mlflow.db").unlink()
    result = kedro(project, "run", *arguments)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert "WARNING" not in result.stdout
    return result


def test_the_first_run_of_a_project_prints_no_warning_of_a_library(project, dcase_folder):
    without_a_warning(project, "--pipeline", "explore", "--params", f"audio_dir={dcase_folder}")


def test_a_run_shows_its_epochs_and_ends_with_where_to_look(project, dcase_folder):
    given = ("--pipelines", "lstm", "--params", f"audio_dir={dcase_folder}")
    result = without_a_warning(project, *given)
    assert "Epoch 2 of 2: training loss" in result.stdout
    assert "Report: data/08_reporting/slider/lstm/report.md" in result.stdout
    assert "To hear: data/08_reporting/slider/lstm/report.html" in result.stdout
    decisions = project.load("lstm.decisions").set_index("clip_id")
    test = decisions[decisions.index.str.startswith("test/")]
    anomalous = test[test.decision == "anomalous"].score
    told = f"{len(anomalous)} of {len(test)} clips sound"
    assert told in result.stdout
    if len(anomalous):
        assert f"anomalous; the worst: {anomalous.idxmax()}." in result.stdout
    command = "anomalous-sound score RECORDINGS --detector slider/lstm"
    assert command in result.stdout


def started(project, output, *arguments):
    return subprocess.Popen(
        [Path(sys.executable).parent / "kedro", "run", *arguments],
        cwd=project.path,
        stdout=output,
        stderr=output,
        # tests that were started in the background would hand down that it is ignored
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )


STOPPED_DURING_AN_IMPORT = """
import os, signal, sys

class Stopper:
    def find_spec(self, name, *arguments):
        if name in ("kedro_mlflow.mlflow", "kedro.framework.cli.utils"):
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Stopper())
program, *sys.argv = sys.argv[1:]
exec(program)
"""
SETTINGS = "import anomalous_sound.settings"
MAIN = "from anomalous_sound.__main__ import main; main()"


@pytest.mark.parametrize(
    "command",
    [
        (SETTINGS, "bin/kedro", "run"),
        (SETTINGS, "python -m kedro", "run"),
        (MAIN, "anomalous_sound/__main__.py"),
    ],
)
def test_a_command_that_is_stopped_while_it_starts_says_so(command):
    result = subprocess.run(
        [sys.executable, "-c", STOPPED_DURING_AN_IMPORT, *command],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 130
    assert result.stderr.startswith("Error: stopped.")
    assert "Traceback" not in result.stderr


STOPPED_DURING_A_FINALISER = """
import os, signal
from anomalous_sound import interruption

class Finalised:
    def __del__(self):
        if self.stops:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(9):
                pass
        raise ValueError("another one")

interruption.raise_stopped()
for stops in (True, False):
    one = Finalised()
    one.stops = stops
    del one
try:
    interruption.raise_if_swallowed()
except KeyboardInterrupt:
    print("stopped")
"""


def test_nothing_is_printed_of_a_stop_that_no_code_can_catch():
    result = subprocess.run(
        [sys.executable, "-c", STOPPED_DURING_A_FINALISER],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stdout == "stopped\n"
    assert "Stopped" not in result.stderr
    assert "another one" in result.stderr


@pytest.mark.parametrize(("stopped_by", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_how_to_go_on_and_goes_on(
    project, dcase_folder, stopped_by, exit_code
):
    parameters = f"audio_dir={dcase_folder},lstm.training.epochs=2000"
    output = project.path / "output.txt"
    with output.open("w") as file:
        running = started(project, file, "--pipeline", "lstm", "--params", parameters)
        for _ in range(240):
            if "Epoch 3 of 2000" in output.read_text():
                break
            time.sleep(0.5)
        running.send_signal(stopped_by)
        assert running.wait(60) == exit_code
    assert "Error: stopped. The same command goes on" in output.read_text()
    assert "Traceback" not in output.read_text()
    assert project.the_only_run().info.status == "KILLED"
    checkpoint = project.data("06_models", "slider", "lstm", "checkpoint.ckpt")
    kept = torch.load(checkpoint, weights_only=True)
    done = kept["epoch"]
    assert done >= 3
    project.run("lstm", audio_dir=str(dcase_folder), lstm={"training": {"epochs": done + 1}})
    history = project.load("lstm.training_history")
    assert len(history) == done + 1
    # the first epochs are those of the interrupted run, to the time that they took
    assert list(history.seconds[:done]) == pytest.approx([row[-1] for row in kept["history"]])


def test_a_machine_id_is_text_and_no_number():
    from anomalous_sound.cli import run

    option = next(option for option in run.params if option.name == "params")

    def given(text):
        return option.callback(None, option, text)

    assert given("inference.machine_id=00,jobs=2") == {"inference": {"machine_id": "00"}, "jobs": 2}
    assert given("jobs=2,inference.method=gru,inference.machine_id=7")["inference"] == {
        "method": "gru",
        "machine_id": "7",
    }
    assert given("jobs=2") == {"jobs": 2}
    assert given("") == {}
    assert given("audio_dir=2024,seed=2") == {"audio_dir": "2024", "seed": 2}
    # and so is what a detector is called, alone or beside its group
    assert given("detector=007,jobs=2") == {"detector": {"name": "007"}, "jobs": 2}
    for together in ("detector=1e3,detector.folds=1", "detector.folds=1, detector.name=1e3"):
        assert given(together) == {"detector": {"name": "1e3", "folds": 1}}
    # Kedro would split a list at its commas
    lists = "corpus.parts=[additional_training, evaluation],jobs=2,corpus.machine_ids=[00,'02']"
    assert given(lists) == {
        "jobs": 2,
        "corpus": {"parts": ["additional_training", "evaluation"], "machine_ids": ["00", "02"]},
    }
    # channels are counted
    both = "corpus.machine_type=fan,audio.channel=[0, 1]"
    assert given(both) == {"corpus": {"machine_type": "fan"}, "audio": {"channel": [0, 1]}}
    assert given("audio.channel=[0,near]") == {"audio": {"channel": [0, "near"]}}
