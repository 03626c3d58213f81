"""What decides cannot reach what reads labels."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import anomalous_sound

PACKAGE = Path(anomalous_sound.__file__).parent
DECIDING = sorted(
    "anomalous_sound.decision" + ("" if path.stem == "__init__" else f".{path.stem}")
    for path in (PACKAGE / "decision").glob("*.py")
)
FORBIDDEN = ("anomalous_sound.evaluation", "anomalous_sound.reporting", "kedro", "mlflow")


def path_of(name):
    """Return the file of one of the package's modules, or None."""
    place = PACKAGE.parent.joinpath(*name.split("."))
    return next((p for p in (place / "__init__.py", place.with_suffix(".py")) if p.exists()), None)


def imported_by(path):
    """Yield every module that a file imports anywhere, also within functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reached_from(name):
    """Return the modules that importing ``name`` and calling all of it can import."""
    reached, waiting = set(), [name]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        path = path_of(name)
        if path and name.startswith("anomalous_sound"):
            waiting += imported_by(path)
            waiting.append(name.rpartition(".")[0] or name)  # its package is imported first
    return reached


def forbidden_in(names):
    return [name for name in names if name.startswith(tuple(f"{top}." for top in FORBIDDEN))] + [
        name for name in names if name in FORBIDDEN
    ]


def test_the_walk_finds_what_is_there():
    assert "kedro.pipeline" in forbidden_in(reached_from("anomalous_sound.pipelines.report"))
    assert "anomalous_sound.vocabulary" in reached_from("anomalous_sound.decision.thresholds")
    assert forbidden_in(reached_from("anomalous_sound.evaluation.threshold_table"))
    assert "sklearn.metrics" in reached_from("anomalous_sound.evaluation.oracle")


@pytest.mark.parametrize("name", DECIDING)
def test_what_decides_reaches_nothing_that_reads_labels(name):
    assert forbidden_in(reached_from(name)) == []


@pytest.mark.parametrize("name", DECIDING)
def test_what_decides_reads_no_label(name):
    for node in ast.walk(ast.parse(path_of(name).read_text())):
        assert not (isinstance(node, ast.Attribute) and node.attr == "label")
        assert not (isinstance(node, ast.Constant) and node.value == "label")


def test_a_fresh_interpreter_that_decides_has_not_loaded_it():
    imports = "\n".join(f"import {name}" for name in DECIDING)
    listing = [sys.executable, "-c", f"import sys\n{imports}\nprint('\\n'.join(sys.modules))"]
    loaded = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()
    assert set(DECIDING) <= set(loaded)
    assert forbidden_in(loaded) == []
