"""Threads: several tasks at once, and how many share one computation of torch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


def job_count(jobs: int) -> int:
    """Return the number of jobs; -1 means as many as there are cores for this process."""
    if jobs != -1:
        return jobs
    import joblib

    return int(joblib.cpu_count())


def in_threads(tasks: Iterable[Callable[[], Result]], jobs: int) -> Iterator[Result]:
    """Run tasks and yield their results in the order of the tasks, at most a few tasks ahead.

    Worth it only where the work is done in libraries that release the GIL.

    Args:
        tasks: called once each.
        jobs: number of threads; -1: as many as there are cores.

    Yields:
        What each task returned; an exception of a task is raised in its place.
    """
    jobs = job_count(jobs)
    if jobs == 1:
        yield from (task() for task in tasks)
        return
    threads = ThreadPoolExecutor(jobs)
    try:
        started: deque[Future[Result]] = deque()
        for task in tasks:
            started.append(threads.submit(task))
            if len(started) > 2 * jobs:
                yield started.popleft().result()
        while started:
            yield started.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch use this number of threads for one computation, and the previous number afterwards.

    Set it to 1 around :func:`in_threads`: where each of several threads starts threads of its own,
    they compete for the cores, which costs several times what they gain.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
