"""Whole commands, each a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import harness
from benchmarks.corpora import REPOSITORY
from benchmarks.harness import OURS, PLAIN, Row, in_turns
from benchmarks.stages.options import Options

KEDRO = [sys.executable, "-m", "kedro"]


def whole_run(options: Options) -> list[Row]:
    """Measure ``kedro run --pipeline lstm``, tracking and all, against one plain script."""
    project = _project(options.corpus.folder / "run")
    clips = len(options.corpus.files)
    audio_dir = str(options.corpus.audio_dir)
    plain = [sys.executable, "-m", "benchmarks.plain.pipeline", audio_dir, str(project / "plain")]
    parameters = f"audio_dir={audio_dir},lstm.training.epochs={options.epochs}"
    ours = [*KEDRO, "run", "--pipelines", "lstm", "--params", parameters]

    def run_ours():
        shutil.rmtree(project / "data", ignore_errors=True)
        _call(ours, project)

    epochs = ["--epochs", str(options.epochs)]
    seconds = in_turns(
        {PLAIN: lambda: _call([*plain, *epochs], REPOSITORY), OURS: run_ours}, options.repeats
    )
    what = f"the whole job, lstm, {options.epochs} epochs: plain/pipeline.py; kedro run"
    return [harness.compared("run", what, seconds, work=clips, unit="clips")]


def start(options: Options) -> list[Row]:
    """Measure a command up to where its first node asks for its input, which is not there."""
    project = _project(options.corpus.folder / "start")
    absent = [*KEDRO, "run", "--pipelines", "lstm", "--params", "audio_dir=absent"]
    seconds = in_turns(
        {
            PLAIN: lambda: _call([sys.executable, "-c", "import kedro"], project),
            OURS: lambda: _call(absent, project, returns=1),
        },
        options.repeats,
    )
    what = "python -c 'import kedro'; kedro run up to its first node, and its end"
    return [harness.compared("start", what, seconds, work=1, unit="starts")]


def _project(path: Path) -> Path:
    """Copy the configuration, so that the runs have data and an MLflow store of their own."""
    if not path.exists():
        local = shutil.ignore_patterns("local")
        shutil.copytree(REPOSITORY / "conf", path / "conf", ignore=local)
        (path / "conf" / "local").mkdir()
        shutil.copy(REPOSITORY / "pyproject.toml", path)
        (path / "src").mkdir()  # kedro asks for it
    return path


def _call(command: list[str], folder: Path, returns: int = 0) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != returns:
        raise RuntimeError(f"{' '.join(command[:4])} … failed:\n{done.stderr[-2000:]}")
