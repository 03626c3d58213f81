"""Data flows one way, and so do imports: a room knows only the rooms below it."""

import ast
from pathlib import Path

import pytest

import anomalous_sound

PACKAGE = Path(anomalous_sound.__file__).parent
# from the top down; those of one line do not know each other
ORDER = [
    {"__main__", "cli", "settings", "pipeline_registry"},
    {"campaign"},
    {"hooks", "pipelines", "config_loader"},
    {"command"},
    {"tracking"},
    {"parameters", "reporting", "datasets", "serving"},
    {"evaluation"},
    {"decision", "training"},
    {"scoring"},
    {"methods"},
    {"corpus"},
    {"sources", "features", "provenance"},
    {"compute", "delivery"},
    {"storage", "configuration"},
    {"vocabulary", "errors", "interruption", "console"},
]
WITH_KEDRO = {
    *("__main__", "cli", "settings", "pipeline_registry", "config_loader"),
    *("hooks", "pipelines", "datasets", "tracking", "campaign"),
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_by(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported_by(path):
    for name in imported_by(path):
        top, *rest = name.split(".")
        if top == "anomalous_sound" and rest and rest[0] not in ("__version__", "Detector"):
            yield rest[0]


def test_every_room_has_its_place():
    there = {room_of(path) for path in MODULES} - {"__init__"}
    assert there == set().union(*ORDER)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_knows_only_its_own_room_and_those_below(path):
    room = room_of(path)
    if room == "__init__":
        return
    (place,) = (number for number, rooms in enumerate(ORDER) if room in rooms)
    below = set().union(*ORDER[place + 1 :])
    assert set(rooms_imported_by(path)) - {room} <= below


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_kedro_and_mlflow_are_imported_by_the_wiring_alone(path):
    frameworks = {name.split(".")[0] for name in imported_by(path)} & {
        "kedro",
        "kedro_datasets",
        "kedro_mlflow",
        "mlflow",
    }
    assert not frameworks or room_of(path) in WITH_KEDRO
