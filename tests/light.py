"""A machine of the light installation: the heavy packages are not there."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from support import REPOSITORY

_REFUSES = """
import sys


class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)


sys.meta_path.insert(0, NotInstalled())
"""
# distributions whose module has another name
_MODULES = {"scikit-learn": "sklearn"}


def heavy_modules(*extras: str) -> set[str]:
    """Return the modules that only these extras install, as pyproject.toml says."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    names = {
        line.split("[")[0].split(">")[0].split("=")[0]
        for extra in extras
        for line in project["optional-dependencies"][extra]
    } - {"anomalous-sound"}
    return {_MODULES.get(name, name.replace("-", "_")) for name in names}


def run_light(
    code: str,
    *arguments: object,
    folder: Path | None = None,
    without: tuple[str, ...] = ("report", "train"),
):
    """Run code in a process that lacks the packages of some extras."""
    refuses = _REFUSES.format(heavy=heavy_modules(*without))
    return subprocess.run(
        [sys.executable, "-c", refuses + code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "error::ImportWarning"},
    )


def command_light(*arguments: object, **options: Any):
    """Run the command ``anomalous-sound`` in such a process."""
    code = "from anomalous_sound.command.app import run; run()"
    return run_light(code, *arguments, **options)
