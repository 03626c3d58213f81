"""Runs whose disk is full at one size after the other, and what a run makes once there is room.

By hand, as root on Linux: ``python tests/robustness/full_disk.py``. Each size is a ``tmpfs`` on
which the project's ``data/`` lies. The run on the small one has to end by itself with one sentence
that names a path; after the disk has grown, the same command has to give the results of a run that
never lacked room.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from robustness.kills import end, incomplete, projects, results, start
from support import Project

LEAST, MOST = 0.02, 0.98  # of what a run writes
ENOUGH_MB = 512


@dataclass
class Count:
    """What full disks have shown.

    Attributes:
        full: runs that ended because the disk was full.
        differences: files that are not those of a run that had room.
        wrong: what else is not as it should be, in sentences.
    """

    full: int = 0
    differences: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def can_mount() -> bool:
    """Return whether this process may mount a disk of its own."""
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("mount") is not None


@contextmanager
def disk(folder: Path, size_mb: float) -> Iterator[None]:
    """Let a folder lie on a disk of its own, of this size.

    Raises:
        OSError: it cannot be mounted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _call("mount", "-t", "tmpfs", "-o", f"size={int(size_mb * 1024)}k", "tmpfs", str(folder))
    try:
        yield
    finally:
        _call("umount", "--lazy", str(folder))


def grow(folder: Path, size_mb: float) -> None:
    """Give a disk more room."""
    _call("mount", "-o", f"remount,size={int(size_mb * 1024)}k", str(folder))


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip()}")


def written_mb(project: Project) -> float:
    """Return how much a run has written below ``data/``."""
    files = (path for path in project.data().rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files) / 2**20


def fill_disks(
    make: Callable[[], Project],
    expected: dict[str, str],
    sizes_mb: Sequence[float],
    *,
    say: Callable[[str], object] = print,
) -> Count:
    """Run on disks of these sizes, give them room, run again, and compare.

    Args:
        make: makes an empty project; all are alike.
        expected: the results of a run that had room.
        sizes_mb: of the disks.
        say: is told what happens.
    """
    count = Count()
    for size_mb in sizes_mb:
        project = make()
        with disk(project.data(), size_mb):
            ended = start(project, "lstm").wait()
            said = (project.path / "output.txt").read_text()
            count.full += ended != 0
            if "Traceback" in said:
                count.wrong.append(f"{size_mb:.2f} MB: a traceback")
            if ended and "No space left on device" not in said:
                count.wrong.append(f"{size_mb:.2f} MB: nothing is said of the disk")
            if ended and str(project.data()) not in said.splitlines()[-1]:
                count.wrong.append(f"{size_mb:.2f} MB: the last line names no file")
            last = said.splitlines()[-1] if ended else "it had room"
            grow(project.data(), ENOUGH_MB)
            end(project, start(project, "lstm"))
            found = results(project)
            count.wrong += [f"{size_mb:.2f} MB: {path} is left" for path in incomplete(project)]
        different = [n for n in {*expected, *found} if expected.get(n) != found.get(n)]
        count.differences += different
        say(f"{size_mb:.2f} MB: exit code {ended}, {len(different)} differences; {last}")
    return count


def main() -> int:
    """Fill as many disks as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, default=15)
    given = parser.parse_args()
    with projects() as (make, unbroken):
        whole = written_mb(unbroken)
        parts = [LEAST + (MOST - LEAST) * n / max(given.sizes - 1, 1) for n in range(given.sizes)]
        count = fill_disks(
            *(make, results(unbroken), [whole * part for part in parts]),
            say=lambda text: print(text, flush=True),
        )
    for problem in [*count.differences, *count.wrong]:
        print(f"WRONG: {problem}")
    print(f"{given.sizes} sizes up to {whole:.1f} MB, {count.full} of them too small")
    return bool(count.differences or count.wrong)


if __name__ == "__main__":
    sys.exit(main())
