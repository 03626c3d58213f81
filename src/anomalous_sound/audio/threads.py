"""Many small computations, some at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
    if jobs == 1:
        return (task() for task in tasks)
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")
    return parallel(delayed(task)() for task in tasks)


@contextmanager
def one_torch_thread_each() -> Iterator[None]:
    """Keep torch from sharing out a computation of a thread that is started meanwhile.

    Where such threads share out the cores, more of them cost several times what they give.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
