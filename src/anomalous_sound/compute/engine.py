"""The one place where work is spread: over this machine, or over the workers of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Protocol, TypeVar

from anomalous_sound.configuration.compute import EngineSettings, LocalEngine

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Locally(Protocol):
    """How tasks are run side by side on this machine; see :func:`.threads.in_threads`."""

    def __call__(self, tasks: Iterable[Callable[[], Result]], jobs: int) -> Iterator[Result]:
        """Run tasks and yield their results in the order of the tasks."""
        ...


def spread(
    function: Callable[[Shared, Item], Result],
    shared: Shared,
    items: Iterable[Item],
    *,
    engine: EngineSettings,
    locally: Locally,
    jobs: int,
    what: str,
    alone: bool = False,
) -> Iterator[Result]:
    """Call a function with each of many items, and yield the results in the order of the items.

    On a cluster, everything that is given and returned is pickled: results are to be small, and
    what is large is to be written by the function itself, to a place that all workers reach. A call
    whose worker is lost is repeated, so it may happen twice.

    Args:
        function: called once for each item.
        shared: its first argument, which is brought to each worker once.
        items: each the second argument of one call; any number, taken as they are needed.
        engine: where the work is done.
        locally: what runs the calls on this machine.
        jobs: of them at once; -1: as many as there are cores. A cluster has a number of its own.
        what: the calls are about, such as ``log-mel``, for messages.
        alone: whether a call has a process for itself, and a task of a cluster a single call.

    Yields:
        What each call returned; an exception is raised in its place.

    Raises:
        InputError: the cluster is not there, or is no longer.
    """
    if isinstance(engine, LocalEngine):
        yield from locally((partial(function, shared, item) for item in items), jobs)
        return
    from anomalous_sound.compute.cluster import cluster_of

    yield from cluster_of(engine).spread(function, shared, items, what=what, alone=alone)
