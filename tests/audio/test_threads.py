import time
from contextlib import closing

import pytest
import torch

from anomalous_sound.audio.threads import in_threads


@pytest.fixture(autouse=True)
def three_threads():
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
def test_results_come_in_order_and_torch_has_one_thread_meanwhile(jobs):
    results = list(in_threads(map(late, range(7)), jobs))
    assert results == [(number, 1) for number in range(7)]
    assert torch.get_num_threads() == 3


@pytest.mark.filterwarnings("ignore:.* tasks have been successfully executed:UserWarning")
@pytest.mark.parametrize("jobs", [1, 2])
def test_torch_has_its_threads_again_after_an_early_end(jobs):
    with closing(in_threads(map(late, range(7)), jobs)) as results:
        assert next(results) == (0, 1)
    assert torch.get_num_threads() == 3

    def fails():
        raise OSError("no file")

    with pytest.raises(OSError, match="no file"):
        list(in_threads([fails], jobs))
    assert torch.get_num_threads() == 3
