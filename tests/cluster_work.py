"""What tests have the workers of a cluster do; the workers import it."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anomalous_sound.errors import InputError
from anomalous_sound.storage.array_store import ArraysInMemory
from anomalous_sound.training.checkpoint import Checkpoint


def plus_square(shared: int, item: int) -> tuple[int, int]:
    time.sleep(0.05)  # so that each worker has its turn
    return shared + item**2, os.getpid()


def modules(shared: object, item: int) -> set[str]:
    time.sleep(0.05)  # so that each worker has its turn
    return {name.partition(".")[0] for name in sys.modules}


def refuse_three(shared: object, item: int) -> int:
    if item == 3:
        raise InputError("not the third one")
    return item


def end_once(marker: Path) -> None:
    """Kill the process, as the system does where memory ends; but a second one lives."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def end_always(shared: object, item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def slowly(shared: Path, item: int) -> int:
    (shared / f"{item}.{os.getpid()}").touch()
    time.sleep(0.2)
    return item


def frames_of(number: int, marker: Path | None = None) -> np.ndarray:
    if marker is not None and number == 5:
        end_once(marker)
    values = np.random.default_rng(number).random((40 + number, 6))
    return (-60 * values).astype(np.float32)


def frames_noted(number: int, notes: Path) -> np.ndarray:
    (notes / f"{number}").touch()
    time.sleep(0.1)
    return frames_of(number)


@dataclass(frozen=True)
class DeadlyArrays(ArraysInMemory):
    """Arrays of which one kills who reads it first."""

    deadly: str
    marker: Path

    def read(self, key: str) -> np.ndarray:
        if key == self.deadly:
            end_once(self.marker)
        return super().read(key)


@dataclass(frozen=True)
class DeadlyCheckpoint(Checkpoint):
    """A checkpoint that kills who has written its first epoch."""

    marker: Path

    def of_member(self, member: str) -> DeadlyCheckpoint:
        return DeadlyCheckpoint(super().of_member(member).path, self.marker)

    def complete(self) -> None:
        super().complete()
        end_once(self.marker)
