"""The lock: the exact version of every package that the project was tested with.

It is a constraints file of pip for one Python and one platform, written by ``make lock``.
"""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from anomalous_sound.errors import InputError

FOLDER = "constraints"  # in the project


@dataclass(frozen=True)
class Lock:
    """The versions of a lock.

    Attributes:
        versions: by name of the package, as :func:`plain_name` writes it.
    """

    versions: Mapping[str, str]

    @classmethod
    def read(cls, path: Path) -> Lock:
        """Read a constraints file.

        Raises:
            InputError: a line is not ``name==version``.
        """
        versions = {}
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            wanted = line.partition("#")[0].strip()
            if not wanted:
                continue
            name, equal, of = (part.strip() for part in wanted.partition("=="))
            if not equal or not re.fullmatch(r"[\w.!-]+", of):
                raise InputError(
                    f"{path}, line {number}: '{line}' is not NAME==VERSION; write the file anew: "
                    "make lock."
                )
            versions[plain_name(name)] = of
        return cls(versions)

    @property
    def digest(self) -> str:
        """16 hexadecimal digits that tell it from other locks, whatever its comments say."""
        lines = [f"{name}=={version}" for name, version in sorted(self.versions.items())]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    def differences(self) -> list[str]:
        """Say in which packages this environment is not the lock's; empty: in none.

        A local build of the same version, such as ``2.13.0+cpu``, is no difference.
        """
        told = []
        for name, wanted in sorted(self.versions.items()):
            there = installed_version(name)
            if there is None:
                told.append(f"{name} is not installed, {wanted} is locked")
            elif public_version(there) != wanted:
                told.append(f"{name} {there}, {wanted} is locked")
        return told


def find_lock(project: Path) -> Lock | None:
    """Return the lock for this Python on this platform, if the project has one.

    Raises:
        InputError: it cannot be read.
    """
    path = project / FOLDER / f"{here()}.txt"
    return Lock.read(path) if path.is_file() else None


def here() -> str:
    """Name this Python and platform as the file of their lock is: ``python3.11-linux-x86_64``."""
    major, minor = sys.version_info[:2]
    return f"python{major}.{minor}-{sys.platform}-{platform.machine()}"


def installed_version(name: str) -> str | None:
    """Return the version of an installed package; None: it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def plain_name(name: str) -> str:
    """Write a package's name as all spellings of it are compared.

    >>> plain_name("Flask_Cors"), plain_name("ruamel.yaml")
    ('flask-cors', 'ruamel-yaml')
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def public_version(version: str) -> str:
    """Leave out what a local build adds to a version.

    >>> public_version("2.13.0+cpu")
    '2.13.0'
    """
    return version.partition("+")[0]
