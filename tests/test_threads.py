import time

import pytest
import torch

from anomalous_sound.threads import in_threads, torch_threads


@pytest.fixture
def three_torch_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def late(number):
    def task():
        time.sleep(0.02 if number % 2 else 0)
        return number, torch.get_num_threads()

    return task


@pytest.mark.parametrize("jobs", [1, 2, -1])
def test_results_come_in_order_and_torch_has_one_thread_meanwhile(three_torch_threads, jobs):
    with torch_threads(1):
        results = list(in_threads(map(late, range(7)), jobs))
    assert results == [(number, 1) for number in range(7)]
    assert torch.get_num_threads() == 3


def test_torch_has_its_threads_again_after_a_failure(three_torch_threads):
    with pytest.raises(OSError, match="no file"), torch_threads(1):
        raise OSError("no file")
    assert torch.get_num_threads() == 3
