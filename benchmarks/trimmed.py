"""Compare the time of `kedro run --pipeline lstm` between two copies of the project.

Both copies hold conf/, src/ and the data prepared by an earlier run; their networks and results are
deleted. The two runs of a round start together, so that whatever else the machine does slows both,
or with `--by-turns` one after the other, for what competes for cores; `--busy` adds one busy
process to each run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def run(project: Path, busy: bool) -> tuple[float, float]:
    """Train and evaluate anew; return wall-clock and CPU seconds."""
    for folder in ("06_models", "07_model_output", "08_reporting"):
        shutil.rmtree(project / "data" / folder, ignore_errors=True)
    beside = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    started = time.perf_counter()
    try:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "kedro", "run", "--pipelines", "lstm"],
            cwd=project,
            env=os.environ | {"PYTHONPATH": str(project / "src")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, used = os.wait4(process.pid, 0)
    finally:
        if beside:
            beside.kill()
            beside.wait()
    if status:
        raise RuntimeError(f"kedro run failed in {project}")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime


def main() -> None:
    """Print the ratios of the second copy's times to those of the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--by-turns", action="store_true")
    parser.add_argument("--busy", action="store_true")
    arguments = parser.parse_args()
    copies = [arguments.before.resolve(), arguments.after.resolve()]
    ratios = []
    for number in range(arguments.rounds):
        order = copies if number % 2 == 0 else copies[::-1]
        with ThreadPoolExecutor(1 if arguments.by_turns else 2) as threads:
            times = list(threads.map(lambda copy: run(copy, arguments.busy), order))
        before, after = times if number % 2 == 0 else times[::-1]
        ratios.append((after[0] / before[0], after[1] / before[1]))
        print(f"round {number + 1}: {before[0]:.0f} s before, {after[0]:.0f} s after", flush=True)
    for index, name in enumerate(("wall-clock", "CPU")):
        values = [pair[index] for pair in ratios]
        median = statistics.median(values)
        print(f"{name} time: ×{median:.3f} ({min(values):.3f} to {max(values):.3f})")


if __name__ == "__main__":
    main()
