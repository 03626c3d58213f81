"""Many small computations, some at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Result = TypeVar("Result")


def in_threads(tasks: Iterable[Callable[[], Result]], jobs: int) -> Iterator[Result]:
    """Do tasks and return their results in the tasks' order, no more than a few tasks ahead.

    The work is to be done in libraries that let other threads run meanwhile.

    Args:
        tasks: each is called once.
        jobs: threads; -1: as many as there are cores.
    """
    if jobs == -1:
        import joblib

        jobs = joblib.cpu_count()  # those that this process may use
    if jobs == 1:
        yield from (task() for task in tasks)
        return
    threads = ThreadPoolExecutor(jobs)
    try:
        begun: deque[Future[Result]] = deque()
        for task in tasks:
            begun.append(threads.submit(task))
            if len(begun) > 2 * jobs:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        threads.shutdown(cancel_futures=True)


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch share out a computation to so many threads, and afterwards to as many as before.

    One is right where threads are started that compute at the same time: threads that share out
    the cores once more cost several times what they give.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
