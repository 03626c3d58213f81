"""Timing in turns, so that a busy machine slows both ways alike, and the ratios of each turn."""

from __future__ import annotations

import logging
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from anomalous_sound.compute.device import processor_features

# multiply-adds count as two: of one window of 10 frames, 128 bands, 256 units, 2 layers
TRAINING_FLOP = {"lstm": 52.6e6, "gru": 88.5e6}
FORWARD_FLOP = {"lstm": 18.4e6, "gru": 30.1e6}

PLAIN, OURS, CEILING = "plain", "ours", "ceiling"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        stage: its name on the command line.
        what: what is compared with what.
        plain: rate or amount of the way it is compared with.
        ours: rate or amount of this project.
        ratios: one a turn; above 1, ours is better.
        reached: part of the arithmetic that the machine can do (all cores, in the precision of
            ours), 0 to 1.
    """

    stage: str
    what: str
    plain: str
    ours: str
    ratios: list[float]
    reached: float | None = None


def in_turns(
    ways: Mapping[Any, Callable[[], object]], repeats: int, *, warm_up: int = 1
) -> dict[Any, list[float]]:
    """Run every way in turn, ``repeats`` times after turns to warm up; return seconds."""
    seconds = {name: [] for name in ways}
    for turn in range(repeats + warm_up):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return seconds


class Way:
    """A function in a process of its own, which stays, for :func:`in_turns`.

    What one way sets in its process (threads, memory) the others do not profit from.
    """

    def __init__(self, function: Callable[..., object], *arguments: Any) -> None:
        """Start the process; function and arguments travel there."""
        context = get_context("spawn")
        self._end, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, function, arguments))
        self._process.start()
        other.close()

    def __call__(self) -> None:
        """Run the function once."""
        self.start()
        self.wait()

    def start(self) -> None:
        """Begin to run the function once."""
        self._end.send("once more")

    def wait(self) -> None:
        """Wait until it has run."""
        if failure := self._end.recv():
            raise RuntimeError(failure)

    def close(self) -> None:
        """End the process."""
        self._end.close()
        self._process.join()


@contextmanager
def processes(ways: Mapping[Any, tuple[Any, ...]]) -> Iterator[dict[Any, Way]]:
    """Give every way, a function and its arguments, a process of its own."""
    started = {name: Way(*way) for name, way in ways.items()}
    try:
        yield started
    finally:
        for way in started.values():
            way.close()


def at_once(*ways: Way) -> None:
    """Run several ways side by side."""
    for way in ways:
        way.start()
    for way in ways:
        way.wait()


def _serve(end: Connection, function: Callable[..., object], arguments: list[Any]) -> None:
    logging.disable(logging.WARNING)
    while True:
        try:
            end.recv()
        except EOFError:  # no more turns
            return
        try:
            function(*arguments)
            end.send(None)
        except Exception as error:
            end.send(repr(error))


def compared(
    stage: str, what: str, seconds: Mapping[str, list[float]], *, work: float, unit: str
) -> Row:
    """Turn seconds of ``plain`` and ``ours`` for the same work into a row of rates."""
    ratios = [plain / ours for plain, ours in zip(seconds[PLAIN], seconds[OURS], strict=True)]
    plain, ours = (
        f"{work / statistics.median(seconds[way]):.3g} {unit}/s" for way in (PLAIN, OURS)
    )
    return Row(stage, what, plain, ours, ratios)


def reached(seconds: Mapping[str, list[float]], flop: float) -> float:
    """Return the part of the ceiling, measured in the same turns, that ``ours`` reaches."""
    parts = [
        flop / ours / (PRODUCT_FLOP / product)
        for ours, product in zip(seconds[OURS], seconds[CEILING], strict=True)
    ]
    return statistics.median(parts)


_SIZE, _PRODUCTS = 1024, 8
PRODUCT_FLOP = _PRODUCTS * 2 * _SIZE**3


def multiply(dtype: torch.dtype = torch.float32, threads: int | None = None) -> None:
    """Do PRODUCT_FLOP in large matrix products."""
    if threads:
        torch.set_num_threads(threads)
    left, right = (torch.ones(_SIZE, _SIZE, dtype=dtype) for _ in range(2))
    # oneDNN, which torch.mm calls for bfloat16 only: for float32 it calls MKL, which on some
    # processors (AMD's with AVX512) reaches half of that
    by_onednn = getattr(torch.ops.mkldnn, "_linear_pointwise", None)
    for _ in range(_PRODUCTS):
        if by_onednn is None:
            torch.mm(left, right)
        else:
            by_onednn(left, right, None, "none", [], "")


def machine() -> str:
    """Return one line on processor, memory and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    architecture, vectors, *bfloat16 = processor_features()
    features = f"{architecture}, {vectors}, {'with' if bfloat16 else 'without'} bfloat16"
    return (
        f"{_cpu_info('model name') or platform.processor()} ({features}), {os.cpu_count()} cores, "
        f"{memory:.0f} GiB; {platform.system()}, Python {platform.python_version()}, "
        f"torch {torch.__version__} ({torch.get_num_threads()} threads unless said otherwise)"
    )


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| stage | what | compared with | ours | ratio: median (range) | of the ceiling |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = "–"
        if row.ratios:
            ratio = (
                f"×{statistics.median(row.ratios):.2f} "
                f"({min(row.ratios):.2f} to {max(row.ratios):.2f})"
            )
        part = "–" if row.reached is None else f"{row.reached:.0%}"
        lines.append(f"| {row.stage} | {row.what} | {row.plain} | {row.ours} | {ratio} | {part} |")
    return "\n".join(lines)


def _cpu_info(name: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")
