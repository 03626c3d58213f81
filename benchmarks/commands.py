"""Commands as a user types them, in a project folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.configuration import REPOSITORY

KEDRO = [sys.executable, "-m", "kedro"]


def project_in(path: Path) -> Path:
    """Copy the configuration, so that the runs have data and an MLflow store of their own."""
    if not path.exists():
        local = shutil.ignore_patterns("local")
        shutil.copytree(REPOSITORY / "conf", path / "conf", ignore=local)
        (path / "conf" / "local").mkdir()
        shutil.copy(REPOSITORY / "pyproject.toml", path)
        (path / "src").mkdir()  # kedro asks for it
    return path


def call(command: list[str], folder: Path) -> None:
    """Run a command in a folder, and expect that it ends well."""
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[:4])} … failed:\n{done.stderr[-2000:]}")


def environment() -> dict[str, str]:
    """Return the environment of a command that is run in another folder."""
    return os.environ | {"PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}"}
