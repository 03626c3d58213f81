"""The software and the processor that a result was made with."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from pydantic import Field

from anomalous_sound import __version__
from anomalous_sound.compute.device import processor_features
from anomalous_sound.configuration.base import Settings
from anomalous_sound.provenance.lock import find_lock, here, installed_version

# those whose arithmetic, or whose decoding, is in a score
_PACKAGES = (
    *("numpy", "scipy", "scikit-learn", "torch", "lightning-fabric"),
    *("pandas", "soundfile", "soxr"),
)


class Software(Settings):
    """What a result was made with, as far as its numbers may depend on it."""

    version: str = Field(description="of anomalous-sound")
    git_revision: str
    git_uncommitted_changes: bool | None = Field(description="None: not a git checkout")
    python: str
    platform: str
    processor: list[str] = Field(description="instructions that arithmetic depends on")
    packages: dict[str, str] = Field(description="versions of those that compute")
    lock: str | None = Field(description="its digest; None: none for this Python and platform")
    not_as_locked: list[str] = Field(description="packages whose version is another, in words")

    @property
    def is_locked(self) -> bool:
        """Whether every package of the lock is installed in that version."""
        return self.lock is not None and not self.not_as_locked

    def in_one_line(self) -> str:
        """Say whether the environment is the lock's."""
        if self.lock is None:
            return f"no lock for {here()}"
        if self.is_locked:
            return f"as locked ({self.lock})"
        first, *others = self.not_as_locked
        more = f" and {len(others)} more" if others else ""
        return f"not as locked ({self.lock}): {first}{more}"


def software(project: Path) -> Software:
    """Describe this process.

    Args:
        project: folder of the project, with its lock and its history.
    """
    lock = find_lock(project)
    revision = git_revision(project)
    changed = revision.get("git_uncommitted_changes")
    versions = {name: installed_version(name) for name in _PACKAGES}
    return Software(
        version=__version__,
        git_revision=revision["git_revision"],
        git_uncommitted_changes=None if changed is None else changed == "true",
        python=platform.python_version(),
        platform=platform.platform(),
        processor=processor_features(),
        packages={name: there for name, there in versions.items() if there is not None},
        lock=None if lock is None else lock.digest,
        not_as_locked=[] if lock is None else lock.differences(),
    )


def what_differs(there: Software, here: Software) -> Iterator[str]:
    """Say in what two descriptions differ, a sentence each.

    Args:
        there: where a result was made.
        here: of this process.
    """
    single = {
        "anomalous-sound": (there.version, here.version),
        "git revision": (_revision(there), _revision(here)),
        "Python": (there.python, here.python),
        "platform": (there.platform, here.platform),
        "processor": (", ".join(there.processor), ", ".join(here.processor)),
        "lock": (there.lock or "none", here.lock or "none"),
    }
    for name in sorted({*there.packages, *here.packages}):
        old, new = (one.packages.get(name, "not installed") for one in (there, here))
        single[name] = (old, new)
    for name, (old, new) in single.items():
        if old != new:
            yield f"{name}: {new} here, {old} there"
    if there.not_as_locked != here.not_as_locked:
        yield f"environment: {here.in_one_line()} here, {there.in_one_line()} there"


def _revision(of: Software) -> str:
    return of.git_revision + (" with uncommitted changes" if of.git_uncommitted_changes else "")


def git_revision(folder: Path) -> dict[str, str]:
    """Return the revision of the code and whether it has uncommitted changes, as MLflow tags."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        # the user's git, and words of this module
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # nosec B603
        return done.stdout.strip()

    try:
        revision = git("rev-parse", "HEAD")
        changed = bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return {"git_revision": "unknown: not a git checkout"}
    return {"git_revision": revision, "git_uncommitted_changes": str(changed).lower()}


def environment(software: Software) -> dict[str, Any]:
    """Return the software with the version of every installed package."""
    return software.model_dump(mode="json") | {"packages": dict(_installed_packages())}


@cache  # several hundred files are read for it
def _installed_packages() -> dict[str, str]:
    # the first on the path is the one imported, so it is put in last
    packages = {found.name: found.version for found in reversed(list(distributions()))}
    return dict(sorted(packages.items()))
