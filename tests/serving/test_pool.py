"""Places are bounded, and free again when request and work have ended."""

import threading

import pytest

from anomalous_sound.serving.pool import FullError, Pool


def test_a_place_is_free_when_request_and_work_have_ended():
    pool, go = Pool(workers=1, waiting=1), threading.Event()
    first, second = pool.enter(), pool.enter()
    with pytest.raises(FullError):
        pool.enter()
    future = pool.submit(first, go.wait)
    first.release()
    assert pool.taken == 2
    second.release()
    assert pool.taken == 1
    go.set()
    assert future.result()
    pool.close()
    assert pool.taken == 0


def test_work_that_fails_leaves_its_place():
    pool = Pool(workers=1, waiting=0)
    place = pool.enter()
    future = pool.submit(place, lambda: 1 / 0)
    place.release()
    assert isinstance(future.exception(), ZeroDivisionError)
    pool.close()
    assert pool.taken == 0


def test_no_more_is_done_at_once_than_there_are_workers():
    pool, here, most, lock = Pool(workers=2, waiting=8), [0], [0], threading.Lock()

    def work():
        with lock:
            here[0] += 1
            most[0] = max(most[0], here[0])
        threading.Event().wait(0.01)
        with lock:
            here[0] -= 1

    for place in [pool.enter() for _ in range(10)]:
        pool.submit(place, work)
        place.release()
    while pool.taken:
        threading.Event().wait(0.01)
    pool.close()
    assert most[0] == 2
