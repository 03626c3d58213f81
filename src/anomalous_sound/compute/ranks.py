"""Ranks: processes that do one task together, joined by torch.distributed.

Each runs the same task and is told, by the variables that torchrun sets, which of them it is.
:func:`in_ranks` starts those of this machine; those of several hosts are started by torchrun.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from anomalous_sound.compute.processes import in_processes
from anomalous_sound.errors import InputError

if TYPE_CHECKING:
    import torch

Result = TypeVar("Result")
Backend = Literal["gloo", "nccl"]

LOST = (
    "a process that trained together with others was lost: it was killed (often because memory ran "
    "out), its host or the network failed, or it kept the others waiting for longer than "
    "engine.wait_s. The same command goes on after the last epoch that was finished."
)
_PACKAGE = "anomalous_sound"
_LOG, _FOLLOWED_S = "log", 0.5
_GRACE_S = 1.0  # in which the others say why, or are noticed to be gone
_INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def in_ranks(
    tasks: Iterable[Callable[[], Result]], jobs: int, *, backend: Backend, wait_s: float
) -> Iterator[Result]:
    """Run tasks one after the other, each in several processes of this machine at once.

    Args:
        tasks: called once in each process; tasks, results and exceptions can be pickled.
        jobs: processes.
        backend: by which they talk: ``nccl`` between GPUs, else ``gloo``.
        wait_s: that one waits for the others, at most.

    Yields:
        What each task returned in the first process, rank 0; an exception is raised in its place.

    Raises:
        InputError: a process is lost.
    """
    for task in tasks:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            ranks = [
                partial(_as_rank, task, rank, jobs, place, backend, wait_s) for rank in range(jobs)
            ]
            with _log_followed(place / _LOG):
                first, *_ = in_processes(ranks, jobs)
        assert first is not None
        yield first[0]


def _as_rank(
    task: Callable[[], Result], rank: int, ranks: int, place: Path, backend: Backend, wait_s: float
) -> tuple[Result] | None:
    """Run a task as one of several processes of this machine."""
    variables = {
        **{"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks},
        # asked for by those who read what torchrun sets, and not used: they meet at a file
        **{"GROUP_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1},
    }
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in variables.items()})
    use_interface_to("127.0.0.1")
    try:
        with (
            _log_written(place / _LOG if rank == 0 else None),
            joined((place / "meeting").as_uri(), backend, wait_s),
        ):
            result = task()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return (result,) if rank == 0 else None


@contextmanager
def _log_written(log: Path | None) -> Iterator[None]:
    """Write into a file what is logged in this process; None: it is not told."""
    disabled, logger = logging.root.manager.disable, logging.getLogger(_PACKAGE)
    handler = logging.NullHandler() if log is None else _LogFile(log)
    level = logger.level
    logging.disable(logging.NOTSET)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logging.disable(disabled)
        handler.close()


class _LogFile(logging.FileHandler):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps([record.name, record.levelno, record.getMessage()])


@contextmanager
def _log_followed(log: Path) -> Iterator[None]:
    """Log what a process writes with :func:`_log_written`, while it does."""
    log.touch()
    has_ended = threading.Event()

    def follow() -> None:
        with log.open(encoding="utf-8") as lines:
            is_last = False
            while not is_last:
                is_last = has_ended.wait(_FOLLOWED_S)
                for line in lines:
                    with suppress(ValueError):  # of a process that was killed
                        name, level, message = json.loads(line)
                        logging.getLogger(name).log(level, "%s", message)

    following = threading.Thread(target=follow, daemon=True)
    following.start()
    try:
        yield
    finally:
        has_ended.set()
        following.join()


@contextmanager
def joined(meeting: str, backend: Backend, wait_s: float) -> Iterator[None]:
    """Be one of several processes, as the variables that torchrun sets say.

    Args:
        meeting: where they find each other, as torch.distributed writes it: ``env://``, or the URL
            of a file.
        backend: by which they talk.
        wait_s: that one waits for the others, at most.

    Raises:
        InputError: another process is lost.
    """
    from torch import distributed

    try:
        distributed.init_process_group(
            backend,
            init_method=meeting,
            rank=int(os.environ["RANK"]),
            world_size=int(os.environ["WORLD_SIZE"]),
            timeout=timedelta(seconds=wait_s),
        )
        yield
    except RuntimeError as error:
        # errors of gloo have no type of their own
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        time.sleep(_GRACE_S)
        raise InputError(LOST) from error
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def backend_of(device: torch.device) -> Backend:
    """Return by what processes talk whose networks are on such devices."""
    return "nccl" if device.type == "cuda" else "gloo"


def ranks_of_a_host() -> tuple[int, int]:
    """Return how many processes of each host are joined with this one, and how many hosts.

    Both are 1 where it is alone.
    """
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return 1, 1
    of_a_host = int(os.environ["LOCAL_WORLD_SIZE"])
    return of_a_host, distributed.get_world_size() // of_a_host


def is_first_rank() -> bool:
    """Return whether this process writes what several of them have computed; one alone does."""
    return ranks_of_a_host() == (1, 1) or os.environ["RANK"] == "0"


def use_interface_to(host: str) -> None:
    """Let gloo and NCCL take the network interface by which a host is reached.

    They would take that of this host's own name, which is often the loopback interface. What the
    user has set remains; without psutil, nothing is set.
    """
    with suppress(ImportError, OSError):
        import psutil

        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as towards:
            towards.connect((host, 1))  # sends nothing
            own = towards.getsockname()[0]
        for interface, addresses in psutil.net_if_addrs().items():
            if own in (address.address for address in addresses):
                for variable in _INTERFACES:
                    os.environ.setdefault(variable, interface)
