"""One training on several hosts, of which the first is that of the run."""

from __future__ import annotations

import json
import logging
import queue
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

import pandas as pd

from anomalous_sound.compute.ranks import LOST
from anomalous_sound.configuration.compute import LocalEngine
from anomalous_sound.errors import InputError
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.storage.remote import RemotePath, place_of
from anomalous_sound.training.job import Place, TrainingJob, read_result, result_of

logger = logging.getLogger(__name__)

_RANK = "anomalous_sound.training.rank"
_POLL_S = 0.2
_GRACE_S = 10.0  # to end in


def train_over_hosts(job: TrainingJob, engine: LocalEngine) -> tuple[TrainedNetworks, pd.DataFrame]:
    """Write a job, take part in it on this host, and log what starts it on the others.

    Args:
        job: the training.
        engine: hosts, devices of each, and the address of this one.

    Returns:
        As :func:`anomalous_sound.training.loop.train_members`.

    Raises:
        InputError: the other hosts do not come, a process is lost, or the training says so.
    """
    checkpoint = place_of(job.checkpoint.place)
    place = checkpoint.parent / f"{checkpoint.stem}.job"
    _remove(result_of(place))
    job.write(place)
    try:
        command = _torchrun(engine, "N", str(place))
        logger.info(
            "Training on %d hosts, of which this is one. Start it on the others, within %.0f s "
            "(engine.wait_s), with N = %s:\n%s",
            *(engine.num_nodes, engine.wait_s, _numbers(engine.num_nodes)),
            shlex.join(["torchrun", *command]),
        )
        _take_part(_torchrun(engine, "0", str(place)), engine)
        return read_result(result_of(place))
    finally:
        _remove(place)
        _remove(result_of(place))


def _torchrun(engine: LocalEngine, node: str, job: str) -> list[str]:
    host, _, port = (engine.address or "").rpartition(":")
    return [
        *("--nnodes", str(engine.num_nodes), "--nproc_per_node", str(engine.devices)),
        *("--node_rank", node, "--master_addr", host, "--master_port", port),
        *("-m", _RANK, job),
    ]


def _numbers(hosts: int) -> str:
    return "1" if hosts == 2 else f"1 to {hosts - 1}, each once"


def _take_part(arguments: list[str], engine: LocalEngine) -> None:
    """Run this host's processes to their end."""
    has_joined, mistakes, failures = False, [], []
    begun = time.monotonic()
    with tempfile.TemporaryFile() as errors, _started(arguments, errors) as (agent, lines):
        while (line := _next(agent, lines)) is not None:
            for what, text in line.items():
                if what == "told":
                    logger.info("%s", text)
                has_joined |= what == "joined"
                mistakes += [text] if what == "mistake" else []
                failures += [text] if what == "failure" else []
            if not has_joined and time.monotonic() - begun > engine.wait_s:
                raise InputError(
                    f"not all {engine.num_nodes} hosts have joined the training within "
                    f"{engine.wait_s:.0f} s (engine.wait_s): start the line that is logged on each "
                    "of the others, and see what it says there."
                )
            if mistakes:
                break
        if mistakes:
            raise InputError(mistakes[0])
        if failures:
            raise RuntimeError(failures[0])
        if agent.returncode == 0:
            return
        if has_joined:
            raise InputError(LOST)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines() or ["nothing was said"]
        raise InputError(
            f"the training on {engine.num_nodes} hosts did not begin; engine.address is "
            f"{engine.address}, and torchrun says: {said[-1]}"
        )


def _next(agent: subprocess.Popen[str], lines: queue.Queue[str | None]) -> dict[str, str] | None:
    """Return what was said next; nothing after a while, and None after the end."""
    try:
        line = lines.get(timeout=_POLL_S)
    except queue.Empty:
        return {}
    if line is None:
        agent.wait()
        return None
    with suppress(ValueError):  # anything else that is printed
        values = json.loads(line)
        if isinstance(values, dict):
            return values
    return {}


@contextmanager
def _started(
    arguments: list[str], errors: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[str], queue.Queue[str | None]]]:
    """Start torchrun; at the end, it and its processes are gone."""
    agent = subprocess.Popen(  # nosec B603  # our own program
        [sys.executable, "-m", "anomalous_sound.compute.agent", *arguments],
        stdout=subprocess.PIPE,
        stderr=errors,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # Ctrl-C is for the run, which ends it
    )
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_read_lines, args=(agent.stdout, lines), daemon=True).start()
    try:
        yield agent, lines
    finally:
        _end(agent)


def _read_lines(output: IO[str], lines: queue.Queue[str | None]) -> None:
    for line in output:
        lines.put(line)
    lines.put(None)


def _end(agent: subprocess.Popen[str]) -> None:
    agent.terminate()  # it ends its processes; if it is killed, they notice that within a second
    try:
        agent.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        agent.kill()
        agent.wait()


def _remove(place: Place) -> None:
    if isinstance(place, RemotePath):
        place.unlink()
    else:
        place.unlink(missing_ok=True)
