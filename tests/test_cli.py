"""What a person sees at the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    ("params", "message"),
    [
        (
            "lstm.score.pooling=middle",
            "Error: parameter 'lstm.score.pooling' is 'middle'; accepted",
        ),
        ("lstm.trainig.epochs=3", "did you mean 'lstm.training'?"),
        ("audio_dir=nowhere", "Error: audio_dir: nowhere does not exist"),
    ],
)
def test_a_users_mistake_is_told_without_a_traceback(project, params, message):
    result = kedro(project, "run", "--pipeline", "lstm", "--params", params)
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert not project.data("02_intermediate").exists()


def test_both_spellings_of_the_pipeline_option_work(project, dcase_folder):
    for option in ("--pipeline", "--pipelines"):
        result = kedro(project, "run", option, "lstm", "--params", f"audio_dir={dcase_folder}")
        assert result.returncode == 0, result.stderr
        assert "Report: data/08_reporting/lstm/report.md" in result.stdout
        assert "Epoch 2 of 2: training loss" in result.stdout
