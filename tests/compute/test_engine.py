import sys

import pytest

from anomalous_sound.compute.engine import spread
from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.compute import LOCAL, DaskEngine
from anomalous_sound.errors import InputError

DASK = DaskEngine(type="dask", address=None, workers=1, batch=1, ahead=1, retries=0, wait_s=1.0)


def add(shared, item):
    if item == 3:
        raise InputError("not the third one")
    return shared + item


def on(engine, items):
    return spread(add, 10, items, engine=engine, locally=in_threads, jobs=2, what="sums")


def test_on_this_machine_results_come_in_order_as_they_are_needed():
    taken = []
    found = on(LOCAL, (taken.append(n) or n for n in (0, 1, 2, *[5] * 100)))
    assert next(found) == 10
    assert len(taken) < 10
    assert list(found) == [11, 12, *[15] * 100]


def test_a_mistake_is_raised_in_its_place():
    found = on(LOCAL, [1, 3])
    assert next(found) == 11
    with pytest.raises(InputError, match="not the third one"):
        next(found)


def test_dask_need_not_be_there_and_is_missed_in_one_sentence(monkeypatch):
    for name in ("dask", "distributed"):
        monkeypatch.setitem(sys.modules, name, None)
    assert list(on(LOCAL, [1])) == [11]
    with pytest.raises(InputError, match=r"pip install 'anomalous-sound\[cluster\]'"):
        list(on(DASK, [1]))
