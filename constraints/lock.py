"""Write the lock of this Python and platform: what is installed, after the tests have passed.

    make lock

The lock has every package that the declared dependencies of pyproject.toml need, extras included,
and no other that happens to be installed. Versions are without what a local build adds, so that
`torch==2.13.0` fits a build for processors alone too.
"""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from anomalous_sound.provenance.lock import here, installed_version, plain_name, public_version
from anomalous_sound.storage.atomic import replaced_file

FOLDER = Path(__file__).parent
# which builds of these need further libraries, each in one version: one lock fits all of them
_BUILT_WITH_LIBRARIES = {"torch"}


def declared(pyproject: Path) -> list[Requirement]:
    """Return the dependencies that a project declares, those of all its extras included."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    requirements = [Requirement(line) for group in groups for line in group]
    own = plain_name(project["name"])
    return [one for one in requirements if plain_name(one.name) != own]


def needed(requirements: list[Requirement]) -> dict[str, str]:
    """Return the installed version of all that is needed, by name.

    What is not installed is left out: :func:`problems` tells it. So are libraries that a build of
    torch for graphics processors asks for in one version alone.
    """
    versions: dict[str, str] = {}
    waiting, seen = list(requirements), set()
    while waiting:
        requirement = waiting.pop()
        key = (plain_name(requirement.name), frozenset(requirement.extras))
        there = installed_version(requirement.name)
        if key in seen or there is None:
            continue
        seen.add(key)
        versions[key[0]] = public_version(there)
        waiting.extend(_asked_for_by(requirement))
    return versions


def problems(versions: Mapping[str, str], requirements: list[Requirement]) -> list[str]:
    """Say which declared dependencies are not locked, or outside of the range declared."""
    told = []
    for one in requirements:
        if one.marker is not None and not one.marker.evaluate():
            continue
        locked = versions.get(plain_name(one.name))
        if locked is None:
            told.append(f"{one.name} is declared and not locked")
        elif not one.specifier.contains(locked, prereleases=True):
            told.append(f"{one.name} {locked} is locked, and {one.specifier} is declared")
    return told


def unlocked(versions: Mapping[str, str], requirements: list[Requirement]) -> list[str]:
    """Name what is installed, needed, and not locked."""
    return sorted(set(needed(requirements)) - set(versions))


def text(versions: Mapping[str, str]) -> str:
    """Return a lock as a file."""
    head = [
        f"# {here()}: the versions that the tests have passed with; written by `make lock`",
        f"# (Python {platform.python_version()}). Used by `make setup`, and by pip: -c FILE.",
    ]
    lines = [f"{name}=={version}" for name, version in sorted(versions.items())]
    return "\n".join([*head, *lines]) + "\n"


def _asked_for_by(requirement: Requirement) -> Iterator[Requirement]:
    """Return what an installed package needs, with the extras that are asked for."""
    try:
        lines = distribution(requirement.name).requires or []
    except PackageNotFoundError:
        return
    for one in map(Requirement, lines):
        extras = requirement.extras or {""}
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras):
            is_pinned = any(part.operator == "==" for part in one.specifier)
            if not (is_pinned and plain_name(requirement.name) in _BUILT_WITH_LIBRARIES):
                yield one


def main() -> None:
    """Write the lock.

    Raises:
        SystemExit: what is installed is not what is declared.
    """
    requirements = declared(FOLDER.parent / "pyproject.toml")
    versions = needed(requirements)
    if told := problems(versions, requirements):
        raise SystemExit(f"Error: nothing is locked: {'; '.join(told)}. First: make setup.")
    path = FOLDER / f"{here()}.txt"
    with replaced_file(path) as file:
        file.write(text(versions).encode())
    print(f"{path.name}: {len(versions)} packages")


if __name__ == "__main__":
    main()
