"""Peak resident memory of every stage at two corpus sizes, and what a second run saves.

    python -m benchmarks.memory --folder FOLDER [--clips 500 3471] [--epochs 2] [--write]

A simulated corpus as large as the largest size asked for is written to FOLDER once; see
:mod:`benchmarks.whole_job`. The profile is ``fast``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path

from benchmarks.configuration import REPOSITORY
from benchmarks.whole_job import FULL_SIZE, measure, simulate

RESULTS = REPOSITORY / "benchmarks" / "results" / "memory.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--clips", type=int, nargs="+", default=[500, FULL_SIZE])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"also to results/{RESULTS.name}")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    corpus = simulate(folder, max(arguments.clips))
    measured = {
        clips: measure(corpus, clips, folder, "fast", arguments.epochs) for clips in arguments.clips
    }
    (folder / "memory.json").write_text(json.dumps(measured))
    lines = [
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"simulated clips of 10 s, {arguments.epochs} epochs; peak resident memory of all "
        "processes, MB, and seconds.",
        "",
        "| stage | " + " | ".join(f"{c:,} clips, MB | s" for c in arguments.clips) + " |",
        "|---|" + "---:|---:|" * len(arguments.clips),
    ]
    for stage in measured[arguments.clips[0]]:
        values = (
            f"{measured[c][stage].peak_mb:.0f} | {measured[c][stage].seconds:.0f}" for c in measured
        )
        lines.append(f"| {stage} | " + " | ".join(values) + " |")
    if arguments.write:
        RESULTS.write_text("# Memory\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
