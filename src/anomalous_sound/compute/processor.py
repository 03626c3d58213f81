"""What the processor is asked for, so that networks run as fast as they can."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from anomalous_sound.compute.threads import torch_threads

_NUMBERS_OF_THREADS = (1, 2, 4)  # more do not help products as small as ours


def chosen_precision(precision: str, device: torch.device) -> str:
    """Return the precision itself, or for ``auto`` the fastest of the device.

    That is ``bf16-mixed`` where the device multiplies bfloat16 itself, else ``32-true``.

    Raises:
        ValueError: bfloat16 is asked of a CPU without it, where it is slow or does not run.
    """
    has_bfloat16 = _has_bfloat16(device)
    if precision == "bf16-mixed" and device.type == "cpu" and not has_bfloat16:
        raise ValueError("the processor does not multiply bfloat16; 'auto' takes what is best")
    if precision == "auto":
        return "bf16-mixed" if has_bfloat16 else "32-true"
    return precision


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool({"avx512_bf16", "amx_bf16"} & _processor_flags())


def _processor_flags() -> set[str]:
    """Return the names of the processor's instructions; empty where Linux does not tell them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.partition(":")[2].split())


def interchangeable_threads(compute: Callable[[], torch.Tensor], *, most: int) -> list[int]:
    """Return numbers of threads among which a choice by speed leaves every bit as it is.

    Some splits of a matrix product sum in another order, and which do depends on the processor: so
    they are tried.

    Args:
        compute: computes what must not change; it is called once for each number.
        most: threads, at most.

    Returns:
        One thread and the numbers that agree with it; where none does, the largest alone.
    """
    numbers = [number for number in _NUMBERS_OF_THREADS if number <= max(most, 1)]
    results = {}
    for number in numbers:
        with torch_threads(number):
            results[number] = compute()
    same = [number for number in numbers if torch.equal(results[number], results[1])]
    return same if len(same) > 1 else numbers[-1:]


class FastestThreads:
    """Steps on as many threads as are fastest at the moment.

    Threads that wait for each other spin, and beside another busy process a step on all cores can
    take ten times as long as on one. So each number of threads is tried for a few steps, and those
    that were slower are tried again from time to time.
    """

    _TRIAL_STEPS = 3
    _FIRST_PATIENCE_S, _LAST_PATIENCE_S = 10.0, 120.0  # until a slower number is tried again

    def __init__(
        self, numbers: Sequence[int], *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Begin with a trial of each number of threads.

        Args:
            numbers: of threads, to choose from.
            clock: returns seconds.
        """
        self._clock = clock
        self.chosen = numbers[0]
        self._seconds = dict.fromkeys(numbers, float("inf"))  # of a step, lately
        self._patience_s = dict.fromkeys(numbers, self._FIRST_PATIENCE_S)
        self._due_s = dict.fromkeys(numbers, float("-inf"))
        self._trial: list[float] = []
        self._tried: int | None = None

    @contextmanager
    def step(self) -> Iterator[None]:
        """Run one step and learn from the time that it takes; all steps are of about one size."""
        number = self._next_number()
        if torch.get_num_threads() != number:
            torch.set_num_threads(number)
        started = self._clock()
        yield
        self._learn(number, self._clock() - started)

    def _next_number(self) -> int:
        if self._tried is None:
            now_s = self._clock()
            due = (number for number, due_s in self._due_s.items() if due_s <= now_s)
            self._tried = next((number for number in due if number != self.chosen), None)
            if self._seconds[self.chosen] == float("inf"):
                self._tried = self.chosen
        return self.chosen if self._tried is None else self._tried

    def _learn(self, number: int, seconds: float) -> None:
        if self._tried is None:
            self._seconds[number] += (seconds - self._seconds[number]) / 4
        else:
            self._trial.append(seconds)
            hopeless = seconds > 2 * self._seconds[self.chosen]
            if len(self._trial) < self._TRIAL_STEPS and not hopeless:
                return
            self._seconds[number] = min(self._trial)
            self._trial, self._tried = [], None
            self._due_s[number] = self._clock() + self._patience_s[number]
            self._patience_s[number] = min(2 * self._patience_s[number], self._LAST_PATIENCE_S)
        fastest = min(self._seconds, key=lambda one: self._seconds[one])
        if fastest != self.chosen:
            self._patience_s[fastest] = self._FIRST_PATIENCE_S
            self._due_s[self.chosen] = self._clock() + self._FIRST_PATIENCE_S
            self.chosen = fastest
