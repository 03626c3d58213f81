import time
from functools import partial

import pytest
import torch

from anomalous_sound.compute.threads import in_threads, torch_threads


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


def test_only_a_few_tasks_are_ahead_of_the_one_whose_result_is_read():
    begun = []
    results = in_threads((partial(begun.append, number) for number in range(100)), jobs=2)
    next(results)
    time.sleep(0.05)
    assert len(begun) <= 5
    results.close()
    assert len(begun) <= 5


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_failure_of_a_task_reaches_who_asks_for_its_result(jobs):
    def task(number):
        if number == 3:
            raise OSError("no file")
        return number

    results = in_threads((partial(task, number) for number in range(10)), jobs)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="no file"):
        next(results)
