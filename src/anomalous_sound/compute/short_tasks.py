"""Many short tasks that are half Python: in a few threads, or in processes where that pays.

A task of some milliseconds comes back to Python often, and threads then wait for its lock: on 16
cores, spectrograms are computed fastest by four threads (×2.7 of one), and 16 processes take a
third of their time (benchmarks/README.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from anomalous_sound.compute.engine import Locally
from anomalous_sound.compute.processes import in_processes
from anomalous_sound.compute.threads import in_threads, job_count

Result = TypeVar("Result")

_MOST_THREADS = 4
_FEWEST_CORES = 4  # with fewer, threads are as fast
_FEWEST_TASKS = 1000  # with fewer, threads are done when the processes have started
_AT_ONCE = 16  # tasks given to a process: one by one, giving them would take as long as doing them


def short_tasks(count: int) -> Locally:
    """Return how to run so many short tasks, all of which can be pickled, with their results."""
    return partial(_run, count=count)


def _run(tasks: Iterable[Callable[[], Result]], jobs: int, *, count: int) -> Iterator[Result]:
    jobs = job_count(jobs)
    if jobs < _FEWEST_CORES or count < _FEWEST_TASKS:
        yield from in_threads(tasks, min(jobs, _MOST_THREADS))
        return
    every = list(tasks)
    groups = (every[first : first + _AT_ONCE] for first in range(0, len(every), _AT_ONCE))
    for results in in_processes((partial(_all_of, group) for group in groups), jobs):
        yield from results


def _all_of(tasks: list[Callable[[], Result]]) -> list[Result]:
    return [task() for task in tasks]
