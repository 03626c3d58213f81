"""Have a detector judge damaged recordings, and count what becomes of them.

By hand: ``make fuzz FUZZ_COUNT=10000``. The tests look at a few.
"""

from __future__ import annotations

import argparse
import re
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from robustness.mutants import mutants
from support import Project

from anomalous_sound.command.recordings import find_recordings, judge
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.verdict import Verdict

BATCH = 500  # files of a folder


@dataclass
class Count:
    """What became of damaged recordings.

    Attributes:
        written: files.
        scored: files with a score.
        rejected: files without one, by the reason, numbers left out.
        failures: tracebacks.
        slowest: seconds, and the file that took them.
    """

    written: int = 0
    scored: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")

    def __str__(self) -> str:
        """Return a line."""
        return (
            f"{self.written} files: {self.scored} scored, {self.rejected.total()} rejected, "
            f"{len(self.failures)} tracebacks; slowest {self.slowest[0]:.2f} s "
            f"({self.slowest[1]!a}); {peak_bytes() / 2**30:.2f} GiB at most"
        )


def peak_bytes() -> int:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def fuzz(
    detector: Detector, folder: Path, *, seed: int, count: int, say: Callable[[str], object]
) -> Count:
    """Have a detector judge damaged recordings.

    Args:
        detector: what judges them.
        folder: an empty one, for the files.
        seed: of the damage.
        count: of the files.
        say: is told how far it is.
    """
    found = Count()
    for begin in range(0, count, BATCH):
        batch = folder / str(begin)
        batch.mkdir()
        wanted = mutants(seed + begin // BATCH, min(BATCH, count - begin))
        for name, content in wanted:
            (batch / name).write_bytes(content)
            found.written += 1
        for one in find_recordings([batch], detector, "00"):
            started = time.perf_counter()
            try:
                for result in list(judge(detector, [one]))[:1]:  # a recording of several clips
                    if isinstance(result, Verdict):
                        found.scored += 1
                    else:
                        found.rejected[re.sub(r"-?[0-9][0-9.,]*", "N", result.reason)] += 1
            except Exception:
                found.failures.append(f"{one!a}\n{traceback.format_exc()}")
            took = time.perf_counter() - started, getattr(one, "name", str(one))
            found.slowest = max(found.slowest, took)
        for path in batch.iterdir():
            path.unlink()
        say(str(found))
    return found


def main() -> int:
    """Look at as many as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder, "project"))
        project.run()
        found = fuzz(
            project.load("lstm.detector"),
            Path(folder),
            seed=given.seed,
            count=given.count,
            say=lambda text: print(text, flush=True),
        )
    for reason, files in found.rejected.most_common():
        print(f"{files:6d}  {reason}")
    for failure in found.failures:
        print(f"WRONG: {failure}")
    lost = found.written - found.scored - found.rejected.total()
    return bool(found.failures or lost)


if __name__ == "__main__":
    sys.exit(main())
