"""Processes: several long tasks at once, each with an interpreter and a torch of its own."""

from __future__ import annotations

import atexit
import importlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from anomalous_sound.compute.parent import end_with_parent
from anomalous_sound.compute.threads import job_count
from anomalous_sound.errors import InputError

Result = TypeVar("Result")

_KILLED = (
    "one of the processes that were computing was killed, often because memory ran out: then let "
    "fewer of them run at once (jobs, engine.devices). The same command goes on with what was "
    "finished, a training after its last epoch."
)


def in_processes(tasks: Iterable[Callable[[], Result]], jobs: int) -> Iterator[Result]:
    """Run tasks and yield their results in the order of the tasks.

    Args:
        tasks: called once each; tasks, results and exceptions can be pickled.
        jobs: number of processes; -1: as many as there are cores. No process is started where one
            would do.

    Yields:
        What each task returned; an exception of a task is raised in its place.

    Raises:
        InputError: a process was killed.
    """
    tasks = list(tasks)
    jobs = min(job_count(jobs), len(tasks))
    if jobs < 2:
        yield from (task() for task in tasks)
        return
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    _EARLY.wait()
    side_by_side = joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=1)
    try:
        yield from side_by_side(joblib.delayed(_alone)(task) for task in tasks)
    except BaseException as error:
        _kill()  # or they would finish their tasks, beside those of the next attempt
        if isinstance(error, TerminatedWorkerError):
            raise InputError(_KILLED) from error
        raise


def start_processes(jobs: int, modules: Sequence[str]) -> None:
    """Start processes while something else is done, for a later call of :func:`in_processes`.

    Returns at once. What is not needed after all is given back by :func:`stop_processes`.

    Args:
        jobs: number of processes, as that call will ask for; -1: as many as there are cores.
        modules: imported by each of them, by name.
    """
    jobs = job_count(jobs)
    if jobs > 1:
        _EARLY.start(jobs, modules)


def stop_processes() -> None:
    """End what :func:`start_processes` has started, unless it was made use of."""
    _EARLY.stop()


class _EarlyProcesses:
    """Processes that start before they are asked for."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(self, jobs: int, modules: Sequence[str]) -> None:
        if self._thread is None:
            import joblib.externals.loky  # noqa: F401  # not possible any more at exit

            atexit.register(self.stop)
            self._thread = threading.Thread(target=_import_in, args=(jobs, modules), daemon=True)
            self._thread.start()

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            atexit.unregister(self.stop)

    def stop(self) -> None:
        if self._thread is not None:
            _kill()
            self.wait()


_EARLY = _EarlyProcesses()


def _import_in(jobs: int, modules: Sequence[str]) -> None:
    import joblib

    with suppress(Exception):  # it was stopped; or whoever needs the processes is told
        joblib.Parallel(n_jobs=jobs, batch_size=1)(
            joblib.delayed(_imported)(modules) for _ in range(jobs)
        )


def _imported(modules: Sequence[str]) -> None:
    end_with_parent()
    for name in modules:
        importlib.import_module(name)


def _kill() -> None:
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def _alone(task: Callable[[], Result]) -> Result:
    """Run a task in a process of its own."""
    end_with_parent()
    logging.disable(logging.INFO)  # what is told is told by the process that started it
    from tqdm import tqdm

    tqdm.set_lock(threading.RLock())  # its own, for many processes, would outlive a killed one
    return task()
