import pytest
import torch
from anomalous_sound.compute.processor import (
    FastestThreads,
    chosen_precision,
    interchangeable_threads,
)

from anomalous_sound.compute import processor
from anomalous_sound.compute.threads import torch_threads

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads():
    with torch_threads(torch.get_num_threads()):
        yield


class Machine:
    """Steps that take as long as a table says, by the number of threads that torch has then."""

    def __init__(self, **seconds):
        self.now, self.taken = 0.0, []
        self.seconds = {int(name[1:]): value for name, value in seconds.items()}

    def clock(self):
        return self.now

    def run(self, threads, steps):
        """Return the numbers of threads of so many steps."""
        taken = []
        for _ in range(steps):
            with threads.step():
                taken.append(torch.get_num_threads())
                self.now += self.seconds[taken[-1]]
        return taken


def test_the_fastest_number_of_threads_is_kept():
    machine = Machine(t1=0.4, t2=0.2, t4=0.3)
    threads = FastestThreads([1, 2, 4], clock=machine.clock)
    taken = machine.run(threads, 20)
    assert set(taken) == {1, 2, 4}
    assert taken[9:] == [2] * 11  # three steps of each were enough


def test_a_single_number_is_not_tried():
    machine = Machine(t2=0.3)
    assert machine.run(FastestThreads([2], clock=machine.clock), 5) == [2] * 5


@pytest.mark.parametrize(
    ("most", "sums", "expected"),
    [
        (4, {1: 5.0, 2: 5.0, 4: 5.0}, [1, 2, 4]),
        (3, {1: 5.0, 2: 5.0}, [1, 2]),
        (4, {1: 5.0, 2: 5.0 + 1e-15, 4: 5.0}, [1, 4]),
        (4, {1: 5.0, 2: 5.0 + 1e-15, 4: 5.0 + 1e-15}, [4]),
        (1, {1: 5.0}, [1]),
    ],
)
def test_threads_are_interchangeable_if_every_bit_is_the_same(most, sums, expected):
    def compute():
        return torch.tensor([1.0, sums[torch.get_num_threads()]], dtype=torch.float64)

    assert interchangeable_threads(compute, most=most) == expected


def test_one_thread_beside_a_busy_process_and_all_when_it_has_ended():
    machine = Machine(t1=0.04, t2=0.02)
    threads = FastestThreads([1, 2], clock=machine.clock)
    machine.run(threads, 100)
    machine.seconds[2] = 1.0  # another process is busy: threads wait for each other
    beside = machine.run(threads, 1000)
    assert beside[2:5] == [1, 1, 1]
    assert beside.count(2) < 10  # so little is lost by trying again
    machine.seconds[2] = 0.02
    machine.run(threads, 3200)  # two minutes on one thread
    assert machine.run(threads, 3) == [2, 2, 2]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 fma", "32-true"),
        ("fpu avx512f avx512_bf16", "bf16-mixed"),
        ("fpu amx_bf16 amx_tile", "bf16-mixed"),
        ("", "32-true"),
    ],
)
def test_bfloat16_only_where_the_processor_has_it(monkeypatch, flags, expected):
    monkeypatch.setattr(processor, "_processor_flags", lambda: set(flags.split()))
    assert chosen_precision("auto", CPU) == expected
    assert chosen_precision("auto", torch.device("mps")) == "32-true"
    assert chosen_precision("32-true", CPU) == "32-true"
    if expected == "32-true":
        with pytest.raises(ValueError, match="does not multiply bfloat16"):
            chosen_precision("bf16-mixed", CPU)
