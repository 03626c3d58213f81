"""Work on the workers of a Dask scheduler; no other module knows Dask.

Items are handed out in batches, and only so many batches at a time that no worker waits: a
scheduler that knew of millions of tasks would need gigabytes and minutes. What is the same for all
items is brought to each worker once, by other workers.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from anomalous_sound.compute.threads import job_count
from anomalous_sound.configuration.compute import DaskEngine
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.storage.identity import code_identity

if TYPE_CHECKING:
    from distributed import Client, Future, SpecCluster

logger = logging.getLogger(__name__)

_TOLD_S = 30.0  # from one line about the progress to the next
_POLL_S = 0.02
_PRELOADED = ["anomalous_sound.compute.parent"]
# Dask has glibc hand memory back at once, and with it every block of 128 kB and more: a clip then
# takes two to three times the CPU time
_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}


class Cluster:
    """A scheduler and its workers, which are this run's own where no address is given."""

    def __init__(self, engine: DaskEngine) -> None:
        """Connect, or start the processes.

        Raises:
            InputError: Dask is not installed, or no scheduler or no worker answers.
        """
        try:
            import dask
            from distributed import Client
        except ModuleNotFoundError as error:
            raise InputError(
                "engine.type is dask, and Dask is not installed: "
                "pip install 'anomalous-sound[cluster]'."
            ) from error
        for name in ("distributed", "distributed.client"):  # what matters is told here
            logging.getLogger(name).setLevel(logging.CRITICAL)
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})
        self.engine = engine
        self.is_own = engine.address is None
        self._processes = _start_processes(engine) if self.is_own else None
        try:
            self.client: Client = Client(
                self._processes or engine.address, timeout=engine.wait_s, set_as_default=False
            )
        except (OSError, ValueError) as error:
            raise InputError(
                f"no Dask scheduler answers at {engine.address} (engine.address): start one, "
                "`dask scheduler`, and workers, `dask worker ADDRESS --nthreads 1`; or give no "
                "address, for processes of this machine."
            ) from error
        self.address: str = self.client.scheduler.address
        try:
            expected = job_count(engine.workers) if self.is_own else 1
            self.client.wait_for_workers(expected, timeout=engine.wait_s)
        except TimeoutError as error:
            self.close()
            raise InputError(
                f"the Dask scheduler at {self.address} has had no worker for {engine.wait_s:.0f} "
                f"s: start some, `dask worker {self.address} --nthreads 1`."
            ) from error
        logger.info(
            "Dask: scheduler %s, %d workers; dashboard: %s",
            *(self.address, len(self.client.nthreads()), self.client.dashboard_link),
        )

    def spread(
        self,
        function: Callable[[Any, Any], Any],
        shared: Any,
        items: Iterable[Any],
        *,
        what: str,
        alone: bool,
    ) -> Iterator[Any]:
        """Call a function with each item on some worker; see :func:`.engine.spread`."""
        batches = _batched(items, 1 if alone else self.engine.batch)
        first = next(batches, None)
        if first is None:
            return
        all_batches = itertools.chain([first], batches)
        spreading = _Spreading(self, function, shared, all_batches, what=what, alone=alone)
        told = _Told(what, self)
        found: dict[int, list[Any]] = {}
        try:
            for number in itertools.count():
                spreading.hand_out()
                while number not in found:
                    if not spreading.numbers:
                        return
                    for place, results in spreading.wait():
                        found[place] = results
                        told.add(len(results))
                    spreading.hand_out()
                for result in found.pop(number):
                    if isinstance(result, _Mistake):
                        raise result.error
                    yield result
        finally:
            spreading.cancel()

    def check_running(self) -> None:
        """Raise an error if the scheduler is gone.

        Raises:
            InputError: it is.
        """
        if self.client.status != "running":
            raise self.gone()

    @contextmanager
    def reached(self) -> Iterator[None]:
        """Ask something of the scheduler.

        Raises:
            InputError: it is gone.
        """
        self.check_running()
        try:
            yield
        except (OSError, RuntimeError, CancelledError, TimeoutError) as error:
            raise self.gone() from error

    def gone(self) -> InputError:
        """Say that the scheduler is gone."""
        remedy = "give" if self.is_own else "start it again, and give"
        return InputError(
            f"the Dask scheduler at {self.address} has gone away: {remedy} the same command again; "
            "it goes on with what was finished."
        )

    def close(self) -> None:
        """Leave the scheduler, and end the processes that were started for the run."""
        _open.pop(self.engine, None)
        was_running = self.client.status == "running"
        with suppress(Exception):  # of a scheduler that is gone
            self.client.close(timeout=2)
        if self._processes is not None and was_running:
            with suppress(Exception):
                self._processes.close(timeout=10)
        elif self._processes is not None:
            _kill(self._processes)


class _Spreading:
    """The batches of one call that a scheduler knows of.

    Attributes:
        numbers: which batch each of their futures is about.
    """

    def __init__(
        self,
        cluster: Cluster,
        function: Callable[[Any, Any], Any],
        shared: Any,
        batches: Iterator[list[Any]],
        *,
        what: str,
        alone: bool,
    ) -> None:
        from distributed import as_completed

        self._cluster = cluster
        self._batches = batches
        self._alone = alone
        self._completed = as_completed(loop=cluster.client.loop, raise_errors=False)
        self._name = f"{what}-{uuid4().hex}"  # one group of tasks, which go to whoever is idle
        self._shared: Future | None = None
        self._function: Callable[..., Any] = function
        if alone:  # else its few tasks would all be drawn to the worker that has it
            self._function = partial(function, shared)
        else:  # a task, and not scattered: if its last worker is lost, it is made again
            with cluster.reached():
                self._shared = cluster.client.submit(
                    _unpickled, _pickled(shared), key=f"shared-{self._name}"
                )
        self._handed_out = 0
        self._most = 0
        self.numbers: dict[Future, int] = {}

    def hand_out(self) -> None:
        """Give the scheduler batches if it has few of them left."""
        if len(self.numbers) > self._most // 2:
            return
        client = self._cluster.client
        with self._cluster.reached():
            threads = sum(client.nthreads().values())  # workers come and go
        self._most = max(1, threads) * self._cluster.engine.ahead
        few = itertools.islice(self._batches, self._most - len(self.numbers))
        pickled = [_pickled((self._function, batch)) for batch in few]
        if not pickled:
            return
        with self._cluster.reached():
            futures = client.map(
                _run_batch,
                pickled,
                **{"shared": self._shared, "alone": self._alone, "software": software()},
                key=[(self._name, self._handed_out + place) for place in range(len(pickled))],
                retries=self._cluster.engine.retries,
            )
        self.numbers |= dict(zip(futures, itertools.count(self._handed_out), strict=False))
        self._handed_out += len(futures)
        self._completed.update(futures)

    def wait(self) -> Iterator[tuple[int, list[Any]]]:
        """Wait until a batch is done; yield the number and the results of each that is.

        Raises:
            InputError: the scheduler is gone, or a batch cannot be done.
        """
        while not self._completed.has_ready():
            self._cluster.check_running()
            time.sleep(_POLL_S)
        futures = self._completed.next_batch(block=False)
        with self._cluster.reached():
            if failed := next((one for one in futures if one.status == "error"), None):
                failure = failed.exception()
            elif any(one.status != "finished" for one in futures):  # the scheduler forgot them
                raise self._cluster.gone()
            else:
                failure, results = None, self._cluster.client.gather(futures)
        if failure is not None:
            raise _told(failure)
        for future, of_batch in zip(futures, results, strict=True):
            yield self.numbers.pop(future), of_batch

    def cancel(self) -> None:
        """Let the workers stop what has become pointless."""
        if self._cluster.client.status == "running":
            with suppress(Exception):
                shared = [self._shared] if self._shared is not None else []
                self._cluster.client.cancel([*self.numbers, *shared], force=True)


@dataclass(frozen=True)
class _Mistake:
    """Something that the user can fix, which another attempt would not."""

    error: Exception


_one_at_a_time = threading.Lock()  # in a worker that has several threads


def _run_batch(pickled: bytes, *, shared: Any, alone: bool, software: str) -> list[Any]:
    """Call a function with each item of a batch, on a worker."""
    if mistake := _other_software(software):
        return [_Mistake(mistake)]
    function, batch = _unpickled(pickled)
    for name in ("anomalous_sound", "lightning_fabric"):  # what is told is told by the run
        logging.getLogger(name).setLevel(logging.WARNING)
    with _one_at_a_time if alone else nullcontext():
        try:
            given = () if alone else (shared,)
            return [function(*given, item) for item in batch]
        except (InputError, UnreadableClipError) as error:
            return [_Mistake(error)]


def _other_software(wanted: str) -> InputError | None:
    """Return an error if this worker would compute something else than the run."""
    try:
        is_same = software() == wanted
    except PackageNotFoundError:
        is_same = False
    if is_same:
        return None
    from distributed import get_worker

    return InputError(
        f"the worker {get_worker().address} has another version of anomalous-sound, numpy, "
        "soundfile, soxr or PyTorch than this command; install the same there as here, and start "
        "it again."
    )


@cache
def software() -> str:
    """Return the identity of all that results depend on, besides settings and recordings."""
    return code_identity("anomalous_sound", distributions=["numpy", "soundfile", "soxr", "torch"])


def _pickled(value: Any) -> bytes:
    """Return what a scheduler passes on without looking into it, which would take memory there."""
    import cloudpickle

    content: bytes = cloudpickle.dumps(value)
    return content


def _unpickled(content: bytes) -> Any:
    import cloudpickle

    return cloudpickle.loads(content)


def _batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, size)):
        yield batch


def _told(error: BaseException | None) -> BaseException:
    """Return what a user can do something about in place of an error of a task."""
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return InputError(
            "the same task has been lost with several workers, one after the other: they may have "
            "too little memory. Give them more, or lower engine.batch; the same command then goes "
            "on with what was finished."
        )
    if isinstance(error, OSError):
        return InputError(
            f"a worker cannot read or write ({error}): recordings and the parameter storage have "
            "to be a place that every worker reaches by the same path or URL."
        )
    assert error is not None
    return error


class _Told:
    """Lines in the log about what is done, a few a minute at most."""

    def __init__(self, what: str, cluster: Cluster) -> None:
        self._what = what
        self._cluster = cluster
        self._done = 0
        self._started = self._last = time.monotonic()

    def add(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._last < _TOLD_S:
            return
        self._last = now
        logger.info(
            "Dask: %s: %d done, %.1f a second, on %d workers.",
            *(self._what, self._done, self._done / (now - self._started)),
            len(self._cluster.client.nthreads()),
        )


def _start_processes(engine: DaskEngine) -> SpecCluster:
    """Start a scheduler and workers, which end with this process.

    They are programs of their own: processes forked or spawned by this one would import Kedro,
    which is its main program.
    """
    if sys.platform == "win32":
        raise InputError(
            "engine.address is not given, and on Windows Dask starts no processes by itself: give "
            "the address of a scheduler."
        )
    from distributed.deploy.subprocess import SubprocessCluster

    with _in_environment(DASK_LOGGING__DISTRIBUTED="critical", **_MEMORY):
        return SubprocessCluster(
            host="127.0.0.1",
            n_workers=job_count(engine.workers),
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"preload": _PRELOADED},
            worker_kwargs={"preload_nanny": _PRELOADED},
            silence_logs=logging.CRITICAL,
        )


def _kill(processes: SpecCluster) -> None:
    """End workers without their scheduler, which Dask would look for until it is tired of it."""
    import psutil

    processes.shutdown_on_close = False
    for one in processes.workers.values():
        with suppress(psutil.NoSuchProcess):
            worker = psutil.Process(one.process.pid)
            for process in (*worker.children(recursive=True), worker):
                process.kill()


@contextmanager
def _in_environment(**variables: str) -> Iterator[None]:
    """Let processes that are started have variables, unless the user has set them."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


_open: dict[DaskEngine, Cluster] = {}


def cluster_of(engine: DaskEngine) -> Cluster:
    """Return the cluster of these settings, connected once for all that a run does.

    Raises:
        InputError: it cannot be reached.
    """
    found = _open.get(engine)
    if found is not None and found.client.status != "running":
        found.close()
        found = None
    if found is None:
        found = _open[engine] = Cluster(engine)
    return found


@atexit.register
def close_clusters() -> None:
    """Leave all clusters, at the end of a run."""
    for cluster in list(_open.values()):
        cluster.close()
