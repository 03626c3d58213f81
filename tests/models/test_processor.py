import subprocess
import sys

import pytest
import torch

from anomalous_sound.models import processor
from anomalous_sound.models.lstm_predictor import LstmPredictor
from anomalous_sound.models.processor import (
    FastestThreads,
    chosen_precision,
)
from anomalous_sound.threads import torch_threads

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
    threads = FastestThreads(most=4, clock=machine.clock)
    taken = machine.run(threads, 20)
    assert set(taken) == {1, 2, 4}
    assert taken[9:] == [2] * 11  # three steps of each were enough


def test_no_more_threads_than_allowed_and_only_those_that_keep_the_bits():
    machine = Machine(t1=0.4, t2=0.3, t4=0.1)
    assert 4 not in machine.run(FastestThreads(most=3, clock=machine.clock), 20)
    before = torch.get_num_threads()
    assert set(machine.run(FastestThreads(most=1, clock=machine.clock), 5)) <= {before}


def test_one_thread_beside_a_busy_process_and_all_when_it_has_ended():
    machine = Machine(t1=0.04, t2=0.02)
    threads = FastestThreads(most=2, clock=machine.clock)
    machine.run(threads, 100)
    machine.seconds[2] = 1.0  # another process is busy: threads wait for each other
    beside = machine.run(threads, 1000)
    assert beside[2:5] == [1, 1, 1]
    assert beside.count(2) < 10  # so little is lost by trying again
    machine.seconds[2] = 0.02
    machine.run(threads, 1700)  # a minute on one thread
    assert machine.run(threads, 3) == [2, 2, 2]


def trained_on(threads, batch_size):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = LstmPredictor(n_mels=128, hidden_size=256, num_layers=2)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.rand(batch_size, 11, 128)).mean().backward()
        optimizer.step()
    return torch.cat([value.flatten() for value in network.state_dict().values()])


@pytest.mark.parametrize("batch_size", [32, 128])
def test_the_number_of_threads_does_not_change_a_bit_of_the_weights(batch_size):
    one = trained_on(1, batch_size)
    for threads in processor._SAME_BITS[1:]:
        assert torch.equal(trained_on(threads, batch_size), one)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is told")
def test_freed_memory_is_not_asked_of_the_system_again():
    code = """
import resource, torch
from anomalous_sound.models.processor import keep_freed_memory
keep_freed_memory()
for turn in range(20):
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    parts = [torch.ones(2_000_000) for _ in range(4)]
    del parts
pages = 4 * 8_000_000 / resource.getpagesize()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / pages)
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert float(printed.stdout) < 3  # times the pages of a turn, in 18 turns


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
