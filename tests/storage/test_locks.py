import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from anomalous_sound.errors import InputError
from anomalous_sound.storage.locks import LivingRuns, Readers, WriterLocks, one_writer


def test_a_part_is_held_by_one_and_let_go_by_all_ends(tmp_path):
    first, second = WriterLocks(tmp_path), WriterLocks(tmp_path)
    first.acquire(["lstm", "preparation"], wait_s=0.1)
    second.acquire(["gru"], wait_s=0.1)
    with pytest.raises(InputError, match="the data of 'preparation' for more than"):
        second.acquire(["explore", "preparation"], wait_s=0.1)
    third = WriterLocks(tmp_path)
    third.acquire(["explore"], wait_s=0.1)  # the second holds nothing of what it did not get whole
    first.release()
    second.acquire(["preparation"], wait_s=0.1)


def test_locks_that_cannot_be_written_are_told(tmp_path, monkeypatch):
    def refused(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.touch", refused)
    with pytest.raises(InputError, match=r"lstm\.lock cannot be written: Permission denied"):
        WriterLocks(tmp_path).acquire(["lstm"], wait_s=0.1)


def test_a_part_can_be_let_go_of_by_itself_and_from_another_thread(tmp_path):
    first, second = WriterLocks(tmp_path), WriterLocks(tmp_path)
    first.acquire(["lstm", "preparation"], wait_s=0.1)
    with ThreadPoolExecutor() as threads:
        threads.submit(first.release, "preparation").result()
    second.acquire(["preparation"], wait_s=0.1)
    with pytest.raises(InputError, match="the data of 'lstm'"):
        second.acquire(["lstm"], wait_s=0.1)


def test_who_writes_what_is_read_already_does_not_wait_for_its_readers(tmp_path, caplog):
    first, second = Readers(tmp_path), Readers(tmp_path)
    first.begin("press.3.preparation", "0a")
    second.wait("press.3.preparation", "0a", wait_s=0.1)
    second.wait("press.preparation", "0b", wait_s=0.1)  # another detector
    assert not caplog.records
    for other in ("0b", None):
        with pytest.raises(InputError, match=r"with other data of 'press\.3\.preparation'"):
            second.wait("press.3.preparation", other, wait_s=0.1)
    assert "waiting for its end" in caplog.text
    second.begin("press.3.preparation", "0a")
    first.end()
    second.end()
    Readers(tmp_path).wait("press.3.preparation", "0b", wait_s=0.1)
    assert not list(tmp_path.iterdir())


def test_a_reader_that_died_is_not_waited_for(tmp_path):
    died = Readers(tmp_path)
    died.begin("preparation", "0a")
    died._own[1].release()  # as the operating system does when a process is killed
    Readers(tmp_path).wait("preparation", "0b", wait_s=0.1)
    assert not list(tmp_path.iterdir())


def test_a_run_has_died_if_its_process_let_go_of_it(tmp_path):
    living, other = LivingRuns(tmp_path), LivingRuns(tmp_path)
    living.begin("a")
    living.begin("b")
    assert other.died() == living.died() == []
    living._held.pop("a").release()
    assert other.died() == ["a"]
    other.end("a")
    living.end("b")
    assert other.died() == []
    assert not list(tmp_path.iterdir())


def test_what_is_written_by_one_at_a_time_is_waited_for(tmp_path):
    order = []

    def write(name):
        with one_writer(tmp_path / "corpus"):
            order.append(f"{name} begins")
            time.sleep(0.05)
            order.append(f"{name} ends")

    with ThreadPoolExecutor() as threads:
        list(threads.map(write, "ab"))
    first, second = order[0][0], order[2][0]
    assert order == [f"{first} begins", f"{first} ends", f"{second} begins", f"{second} ends"]
