"""Many small computations, some at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

Result = TypeVar("Result")


def in_threads(tasks: Iterable[Callable[[], Result]], jobs: int) -> Generator[Result]:
    """Do tasks and return their results in the tasks' order, no more than a few tasks ahead.

    The work is to be done in libraries that let other threads run meanwhile. Until the last result
    was taken, or the iterator closed, torch has one thread for each of them: its own threads would
    cost such small tasks several times what they give.

    Args:
        tasks: each is called once.
        jobs: threads; -1: as many as there are cores.
    """
    import torch
    from joblib import Parallel, delayed

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if jobs == 1:
            yield from (task() for task in tasks)
        else:
            parallel = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
            yield from parallel(delayed(task)() for task in tasks)
    finally:
        torch.set_num_threads(threads)
