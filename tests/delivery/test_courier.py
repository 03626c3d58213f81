"""Nothing is lost, nothing changes places, and nobody waits for a receiver."""

import threading

import pytest

from anomalous_sound.delivery.courier import (
    Courier,
    NotDeliveredError,
    RefusedError,
    Retry,
)
from anomalous_sound.delivery.event import new_event
from anomalous_sound.delivery.queue import EventQueue

AT_ONCE = Retry(first_s=0.001, longest_s=0.002)


class Scripted:
    """A receiver that does what ``plan`` says, then takes everything."""

    def __init__(self, *plan):
        self.plan, self.tried, self.taken = list(plan), [], []
        self.gate, self.changed = threading.Event(), threading.Condition()
        self.gate.set()
        self.closed = False

    def send(self, event_id, body):
        with self.changed:
            self.tried.append(event_id)
            self.changed.notify_all()
        self.gate.wait(60)
        if self.plan and (error := self.plan.pop(0)) is not None:
            raise error
        with self.changed:
            self.taken.append(event_id)
            self.changed.notify_all()

    def wait_for(self, is_so):
        with self.changed:
            assert self.changed.wait_for(is_so, 60)

    def close(self):
        self.closed = True


@pytest.fixture
def courier(tmp_path):
    made, told = [], []

    def make(receiver, retry=AT_ONCE, limit_bytes=10**6):
        queue = EventQueue(tmp_path / "a.db", limit_bytes=limit_bytes)
        made.append(Courier("webhook", queue, receiver, lambda *what: told.append(what), retry))
        made[-1].told = told
        return made[-1]

    return make


def events(count):
    return [new_event("sensor", {"number": number}) for number in range(count)]


def ids(some):
    return [event["id"] for event in some]


def test_events_arrive_in_order_though_some_fail(courier):
    down = NotDeliveredError("down")
    receiver = Scripted(None, down, down, None, RuntimeError("s3cret"), down)
    sent = events(5)
    to = courier(receiver)
    for event in sent:
        to.put(event)
    receiver.wait_for(lambda: len(receiver.taken) == 5)
    to.close(60)
    assert receiver.taken == ids(sent)
    assert len(receiver.tried) == 9
    assert receiver.closed
    said = [what for _, what in to.told]
    assert said[0] == "not delivered: down; events wait, and it tries again"
    assert said.count("delivers again") == 2
    assert "RuntimeError" in " ".join(said)
    assert "s3cret" not in " ".join(said)


def test_what_will_never_be_taken_is_set_aside(courier, tmp_path):
    receiver = Scripted(RefusedError("it answers 422"))
    first, second = events(2)
    to = courier(receiver)
    to.put(first)
    to.put(second)
    receiver.wait_for(lambda: receiver.taken == [second["id"]])
    to.close(60)
    assert to.told == [
        (
            "webhook",
            f"event {first['id']} is refused (it answers 422); it is set aside in the queue",
        )
    ]


def test_nobody_waits_for_a_receiver_that_hangs(courier):
    receiver = Scripted()
    receiver.gate.clear()
    sent = events(10)
    to = courier(receiver)
    for event in sent:
        to.put(event)  # would never return if it waited
    receiver.wait_for(lambda: receiver.tried == [sent[0]["id"]])
    to.close(0.0)
    assert to.told[-1] == (
        "webhook",
        "events that stay in the queue: 10; the next watch delivers them",
    )
    receiver.gate.set()
    receiver.wait_for(lambda: len(receiver.taken) == 1)  # it arrives, and cannot be taken out
    following = Scripted()
    again = courier(following)
    following.wait_for(lambda: len(following.taken) == 10)
    again.close(60)
    assert following.taken == ids(sent)  # the first one again, by the same ID
    assert ("webhook", "events of an earlier run: 10; they are delivered first") in to.told


def test_the_end_does_not_wait_for_the_next_try(courier):
    receiver = Scripted(NotDeliveredError("down"))
    to = courier(receiver, Retry(first_s=3600, longest_s=3600))
    to.put(events(1)[0])
    receiver.wait_for(lambda: len(receiver.tried) == 1)
    to.close(60)
    assert len(receiver.tried) == 2  # it is tried once more at the end
    assert len(receiver.taken) == 1


def test_a_full_queue_is_told_to_all(courier):
    receiver = Scripted()
    receiver.gate.clear()
    sent = events(4)
    to = courier(receiver, limit_bytes=1)
    for event in sent:
        to.put(event)
    lost = [what for _, what in to.told]
    assert lost == [f"event {event_id} is lost: the queue is full" for event_id in ids(sent)[:3]]
    receiver.gate.set()
    receiver.wait_for(lambda: sent[3]["id"] in receiver.taken)
    to.close(60)
    # what was on its way when it was dropped arrives nevertheless
    assert [one for one in receiver.taken if one in ids(sent)][-1] == sent[3]["id"]
    assert len(receiver.taken) >= 2


def test_a_disk_that_is_full_is_told(courier, monkeypatch):
    import sqlite3

    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(EventQueue, "put", full)
    to = courier(Scripted())
    (event,) = events(1)
    to.put(event)
    to.close(60)
    assert to.told == [
        (
            "webhook",
            f"event {event['id']} is lost: it cannot be queued (database or disk is full)",
        )
    ]


@pytest.mark.parametrize(
    ("failures", "asked_s", "low", "high"),
    [
        *((1, 0, 0.75, 1), (2, 0, 1.5, 2), (4, 0, 6, 8), (9, 0, 45, 60), (5000, 0, 45, 60)),
        *((1, 7, 7, 7), (1, 900, 60, 60), (1, -5, 0.75, 1)),
    ],
)
def test_it_waits_longer_each_time(failures, asked_s, low, high):
    for _ in range(20):
        assert low <= Retry().delay_s(failures, asked_s) <= high
