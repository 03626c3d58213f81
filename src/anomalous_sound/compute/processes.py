"""Processes: several long tasks at once, each with an interpreter and a torch of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from anomalous_sound.compute.threads import job_count

Result = TypeVar("Result")


def in_processes(tasks: Sequence[Callable[[], Result]], jobs: int) -> Iterator[Result]:
    """Run tasks and yield their results in the order of the tasks.

    Args:
        tasks: called once each; tasks, results and exceptions can be pickled.
        jobs: number of processes; -1: as many as there are cores. No process is started where one
            would do.

    Yields:
        What each task returned; an exception of a task is raised in its place.
    """
    jobs = min(job_count(jobs), len(tasks))
    if jobs < 2:
        yield from (task() for task in tasks)
        return
    import joblib

    side_by_side = joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=1)
    yield from side_by_side(joblib.delayed(_called)(task) for task in tasks)


def _called(task: Callable[[], Result]) -> Result:
    return task()
