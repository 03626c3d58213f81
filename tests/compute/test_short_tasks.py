import os
import threading
import time
from functools import partial

import pytest

from anomalous_sound.compute import short_tasks
from anomalous_sound.compute.short_tasks import short_tasks as run_short_tasks
from anomalous_sound.errors import InputError


def where(number):
    time.sleep(0.002)  # so that one thread or process does not do all
    return number, os.getpid(), threading.get_ident()


def refuse():
    raise InputError("not this one")


def tasks_of(count):
    return (partial(where, number) for number in range(count))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(short_tasks, "_FEWEST_TASKS", 100)


@pytest.mark.slow
def test_many_tasks_on_many_cores_are_done_by_processes():
    found = list(run_short_tasks(100)(tasks_of(100), 4))
    assert [number for number, _, _ in found] == list(range(100))
    processes = {process for _, process, _ in found}
    assert os.getpid() not in processes
    assert len(processes) > 1


@pytest.mark.slow
def test_a_mistake_in_a_process_is_told_as_it_is():
    with pytest.raises(InputError, match="not this one"):
        list(run_short_tasks(100)([refuse, *tasks_of(99)], 4))


@pytest.mark.parametrize(("count", "jobs"), [(99, 16), (100, 2), (100, 1)])
def test_few_tasks_or_few_cores_make_do_with_a_few_threads(count, jobs):
    found = list(run_short_tasks(count)(tasks_of(count), jobs))
    assert [number for number, _, _ in found] == list(range(count))
    assert {process for _, process, _ in found} == {os.getpid()}
    assert len({thread for _, _, thread in found}) <= min(jobs, 4)
