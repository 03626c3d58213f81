"""Processes: several long tasks at once, each with an interpreter and a torch of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from anomalous_sound.compute.parent import end_with_parent
from anomalous_sound.compute.threads import job_count

Result = TypeVar("Result")


def in_processes(tasks: Iterable[Callable[[], Result]], jobs: int) -> Iterator[Result]:
    """Run tasks and yield their results in the order of the tasks.

    Args:
        tasks: called once each; tasks, results and exceptions can be pickled.
        jobs: number of processes; -1: as many as there are cores. No process is started where one
            would do.

    Yields:
        What each task returned; an exception of a task is raised in its place.
    """
    tasks = list(tasks)
    jobs = min(job_count(jobs), len(tasks))
    if jobs < 2:
        yield from (task() for task in tasks)
        return
    import joblib

    side_by_side = joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=1)
    try:
        yield from side_by_side(joblib.delayed(_alone)(task) for task in tasks)
    except BaseException:
        from joblib.externals.loky import get_reusable_executor

        # or they would finish their tasks, beside those of the next attempt
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        raise


def _alone(task: Callable[[], Result]) -> Result:
    """Run a task in a process of its own, which ends with the one that started it."""
    logging.disable(logging.INFO)  # what is told is told by the process that started it
    tqdm.set_lock(threading.RLock())  # its own, for many processes, would outlive a killed one
    finished = end_with_parent()
    try:
        return task()
    finally:
        finished.set()
