"""Measure what an export saves: python -m benchmarks.export --detector DIR --recordings DIR ….

Two environments are compared, made before (see the page that it writes): one with the extra
``train``, which has PyTorch, and one with ``runtime`` alone. All ways take turns, on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import machine

RESULTS = Path(__file__).parent / "results" / "export.md"
TORCH, RUNTIME, BFLOAT16 = "PyTorch", "ONNX Runtime", "PyTorch, bfloat16"

# judges recordings in one process; what it takes to start is not counted
_JUDGE = """
import json, sys, time
from dataclasses import replace
from pathlib import Path
from anomalous_sound import Detector
from anomalous_sound.command.recordings import find_recordings, judge
folder, place, precision = sys.argv[1:]
detector = Detector.load(folder)
if precision:
    inference = detector.inference.model_copy(update={"precision": precision})
    detector = replace(detector, inference=inference)
wanted = find_recordings([Path(place)], detector, None)
list(judge(detector, wanted[:1]))
started, cpu = time.perf_counter(), time.process_time()
scores = [one.score for one in judge(detector, wanted)]
print(json.dumps({"clips": len(scores), "wall_s": time.perf_counter() - started,
                  "cpu_s": time.process_time() - cpu}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detector", type=_absolute, required=True, help="one that was trained")
    parser.add_argument("--recordings", type=_absolute, required=True, help="that it can judge")
    parser.add_argument(
        "--with-torch", type=_absolute, required=True, help="python of one environment"
    )
    parser.add_argument("--without", type=_absolute, required=True, help="python")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="also to results/export.md")
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    os.environ.pop("PYTHONPATH", None)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        page = _measured(arguments, Path(folder, "export"))
    print(page)
    if arguments.write:
        RESULTS.write_text(page, encoding="utf-8")


def _absolute(path: str) -> Path:
    return Path(path).absolute()  # not resolved: the python of an environment is a link


def _measured(arguments: argparse.Namespace, out: Path) -> str:
    with_torch, without = arguments.with_torch, arguments.without
    command = ["-m", "anomalous_sound.command"]
    _run([with_torch, *command, "export", out, "--detector", arguments.detector])
    clip = min(arguments.recordings.rglob("*.wav"))
    ways = {
        TORCH: (with_torch, arguments.detector, ""),
        RUNTIME: (without, out, ""),
        BFLOAT16: (with_torch, arguments.detector, "bf16-mixed"),
    }
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for turn in range(arguments.turns + 1):
        for name, (python, folder, precision) in ways.items():
            # bfloat16 changes how networks are applied, not how a command starts
            if not precision:
                seconds, own_seconds, megabytes = _started(
                    [python, *command, "score", clip, "--detector", folder]
                )
            judged = json.loads(
                _run([python, "-c", _JUDGE, folder, arguments.recordings, precision])
            )
            if not turn:  # to warm up
                continue
            if not precision:
                found["start"][name].append(seconds)
                found["own"][name].append(own_seconds)
                found["memory"][name].append(megabytes)
            found["wall"][name].append(judged["clips"] / judged["wall_s"])
            found["cpu"][name].append(judged["clips"] / judged["cpu_s"])
    sizes = {TORCH: _size_mb(with_torch), RUNTIME: _size_mb(without)}
    rows = [
        ["size of the environment, MB", *(f"{sizes[name]:.0f}" for name in (TORCH, RUNTIME)), "–"],
        _row("`anomalous-sound score` of one clip by the clock, s", found["start"], ".2f"),
        _row("its own time, s", found["own"], ".2f"),
        _row("its peak memory, MB", found["memory"], ".0f"),
        _row("clips a second on one core, by the clock", found["wall"], ".1f"),
        _row("clips a second on one core, by its own time", found["cpu"], ".1f"),
    ]
    names = ["", TORCH, RUNTIME, BFLOAT16]
    table = [names, ["---"] * len(names), *rows]
    return (
        "# What an export saves\n\n"
        f"{time.strftime('%Y-%m-%d')}: {machine()}, one core. Median of {arguments.turns} turns "
        "(lowest to highest) after one to warm up; all ways in each turn; load "
        f"{os.getloadavg()[0]:.1f} at the end.\n\n"
        f"The detector: {_said(with_torch, command, arguments.detector)}. The recordings: "
        f"{judged['clips']} clips.\n\n"
        + "\n".join("| " + " | ".join(row) + " |" for row in table)
        + "\n\nEnvironments: `pip install anomalous-sound[train]` (PyTorch for processors alone) "
        "and `anomalous-sound[runtime]`, each with pip and setuptools. Decoding, resampling and "
        "spectrograms are the same code in all columns.\n\nNot measured: an ARM board, as none was "
        "at hand.\n"
    )


def _row(what: str, of_ways: dict[str, list[float]], form: str) -> list[str]:
    cells = [
        f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
        if (values := of_ways.get(name))
        else "–"
        for name in (TORCH, RUNTIME, BFLOAT16)
    ]
    return [what, *cells]


def _run(arguments: Sequence[object]) -> str:
    found = subprocess.run(
        list(map(str, arguments)), capture_output=True, text=True, check=False, cwd="/"
    )
    if found.returncode not in (0, 1):  # 1: something sounds anomalous
        sys.exit(found.stderr)
    return found.stdout


def _started(arguments: Sequence[object]) -> tuple[float, float, float]:
    """Run a command; return its seconds by the clock, those of its own, and its peak memory, MB."""
    started = time.perf_counter()
    process = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.DEVNULL, cwd="/")
    _, _, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def _said(python: Path, command: list[str], detector: Path) -> str:
    facts = json.loads(_run([python, *command, "info", "--json", "--detector", detector]))
    return f"{facts['method']}, {facts['networks']} networks, {facts['machine_type']}"


def _size_mb(python: Path) -> float:
    files = (path for path in python.parents[1].rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if not path.is_symlink()) / 1e6


if __name__ == "__main__":
    main()
