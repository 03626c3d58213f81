"""What is put into a queue comes out of it, in order, whatever happens to the process."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys

import pytest

from anomalous_sound.delivery.queue import EventQueue
from anomalous_sound.errors import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "queue" / "webhook.db"


def opened(path, limit_bytes=1000):
    return EventQueue(path, limit_bytes=limit_bytes)


def rest(queue):
    found = []
    while (entry := queue.first()) is not None:
        found.append((entry.id, entry.body))
        queue.done(entry)
    return found


def test_events_leave_in_the_order_in_which_they_came(path):
    queue = opened(path)
    for name in "cab":
        assert queue.put(name, name.upper()) == []
    assert queue.waiting == 3
    assert queue.first() == queue.first()  # until it is done
    assert rest(queue) == [("c", "C"), ("a", "A"), ("b", "B")]
    assert queue.waiting == 0


def test_it_is_as_it_was_when_it_is_opened_again(path):
    queue = opened(path)
    for name in "abc":
        queue.put(name, name)
    queue.done(queue.first())
    queue.close()
    queue = opened(path)
    queue.put("d", "d")
    assert [name for name, _ in rest(queue)] == ["b", "c", "d"]


def test_a_process_that_is_killed_loses_nothing(path):
    program = """
import sys
from pathlib import Path
from anomalous_sound.delivery.queue import EventQueue
queue = EventQueue(Path(sys.argv[1]), limit_bytes=10**6)
number = 0
while True:
    queue.put(f"{number}", "x")
    print(number, flush=True)
    number += 1
"""
    running = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
    for _ in range(20):
        running.stdout.readline()
    os.kill(running.pid, signal.SIGKILL)
    told = 20 + len(running.communicate()[0].splitlines())
    names = [name for name, _ in rest(opened(path, 10**6))]
    # one may have been put and not been told
    assert names in ([str(n) for n in range(told)], [str(n) for n in range(told + 1)])


def test_the_oldest_are_dropped_and_the_receiver_is_told(path):
    queue = opened(path, limit_bytes=30)
    dropped = [queue.put(str(number), 10 * "x") for number in range(6)]
    assert dropped == [[], [], [], ["0"], ["1"], ["2"]]
    queue.close()
    queue = opened(path, limit_bytes=1000)  # what was dropped is not forgotten
    found = rest(queue)
    assert [name for name, _ in found[:3]] == ["3", "4", "5"]
    (told,) = found[3:]
    event = json.loads(told[1])
    assert (event["event"], event["count"], event["id"]) == ("dropped", 3, told[0])


def test_what_was_dropped_on_its_way_and_arrived_is_not_counted(path):
    queue = opened(path, limit_bytes=30)
    for number in range(3):
        queue.put(str(number), 10 * "x")
    on_its_way = queue.first()
    assert queue.put("3", 10 * "x") == ["0"]
    queue.done(on_its_way)
    assert [name for name, _ in rest(queue)] == ["1", "2", "3"]


def test_one_event_is_kept_however_large(path):
    queue = opened(path, limit_bytes=5)
    queue.put("a", "a")
    assert queue.put("b", 10 * "b") == ["a"]
    assert queue.first().id == "b"


def test_what_is_refused_is_kept_and_out_of_the_way(path):
    queue = opened(path, limit_bytes=2)
    queue.put("a", "a")
    queue.put("b", "b")
    queue.refuse(queue.first())
    assert (queue.first().id, queue.waiting) == ("b", 1)
    assert queue.put("c", "c") == ["a"]  # it is bounded like the others


def test_a_full_disk_changes_nothing_and_passes(path):
    queue = opened(path, limit_bytes=10**6)
    queue.put("a", "a")
    ((pages,),) = queue._connection.execute("PRAGMA page_count")
    queue._connection.execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="full"):
            queue.put("b", 10**5 * "b")
    assert queue.waiting == 1
    queue._connection.execute("PRAGMA max_page_count = 10000")
    queue.put("c", "c")
    assert [name for name, _ in rest(queue)] == ["a", "c"]


def test_it_does_not_grow_on_disk(path):
    queue = opened(path, limit_bytes=10_000)
    for number in range(2000):
        queue.put(str(number), 1000 * "x")
    # sqlite copies its journal of 1000 pages into the file, and begins it anew
    assert sum(file.stat().st_size for file in path.parent.iterdir()) < 5_000_000


def test_its_size_is_known_after_all_that_happens(path):
    queue = opened(path, limit_bytes=40)
    for number in range(30):
        queue.put(str(number), (number % 13) * "x")
        if number % 3 == 0 and (entry := queue.first()) is not None:
            queue.done(entry)
        if number % 7 == 0 and (entry := queue.first()) is not None:
            queue.refuse(entry)
        ((size,),) = queue._connection.execute("SELECT TOTAL(LENGTH(body)) FROM events")
        ((dropped,),) = queue._connection.execute(
            "SELECT TOTAL(LENGTH(body)) FROM events WHERE body LIKE '%dropped%'"
        )
        assert queue._size == size
        assert size - dropped <= 40
        if number == 20:
            queue.close()
            queue = opened(path, limit_bytes=40)


def test_only_its_user_can_read_it(path):
    path.parent.mkdir()
    path.touch(mode=0o644)
    queue = opened(path)
    queue.put("a", "a")
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert {file.name for file in path.parent.iterdir()} >= {"webhook.db", "webhook.db-wal"}


def test_two_processes_do_not_share_it(path):
    queue = opened(path)
    with pytest.raises(InputError, match="in use by another watch; give this one .* --queue DIR"):
        opened(path)
    queue.close()
    opened(path).close()


def test_a_damaged_one_is_told(path):
    path.parent.mkdir()
    path.write_bytes(b"no database" * 100)
    for _ in range(2):  # and is not locked by the first attempt
        with pytest.raises(InputError, match="cannot be read .*; move it away"):
            opened(path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "queue").touch()
    with pytest.raises(InputError, match="webhook.db cannot be written: .*another folder: --queue"):
        opened(tmp_path / "queue" / "webhook.db")


def test_a_closed_one_says_so(path):
    queue = opened(path)
    queue.close()
    with pytest.raises(sqlite3.Error):
        queue.put("a", "a")
