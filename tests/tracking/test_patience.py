"""What talks to a server is waited for only so long in all, and never holds the process."""

import logging
import subprocess
import sys
import threading
from contextvars import ContextVar

import pytest

from anomalous_sound.tracking.guard import TrackingGuard
from anomalous_sound.tracking.patience import Patience, PatienceError

SERVER = "http://127.0.0.1:9"


@pytest.fixture
def never():
    event = threading.Event()
    yield event
    event.set()


def test_what_is_done_returns_and_raises_what_it_would_have():
    patience = Patience(60)
    assert patience.spend(lambda: 3) == 3
    with pytest.raises(TimeoutError, match="of the action"):
        patience.spend(lambda: (_ for _ in ()).throw(TimeoutError("of the action")))
    with pytest.raises(KeyboardInterrupt):
        patience.spend(lambda: (_ for _ in ()).throw(KeyboardInterrupt()))


def test_all_is_done_in_one_thread_that_knows_what_the_caller_knows():
    patience, place = Patience(60), ContextVar("place", default="none")
    place.set("here")
    first, second = (patience.spend(threading.current_thread) for _ in range(2))
    assert first is second is not threading.current_thread()
    assert patience.spend(place.get) == "here"
    patience.close()
    first.join()


def test_waiting_is_bounded_in_all_and_not_each_time(never):
    patience = Patience(0.2)
    with pytest.raises(PatienceError, match=r"0\.2 s"):
        patience.spend(never.wait)
    done = []
    with pytest.raises(PatienceError):
        patience.spend(lambda: done.append("later"))
    never.set()
    patience.close()
    assert done == []


def test_a_server_without_an_end_is_given_up_with_a_sentence(never, caplog):
    guard = TrackingGuard(SERVER, patience_s=0.2)
    with caplog.at_level(logging.WARNING):
        guard.attempt("the run", never.wait)
    given_up = "its answers took longer than 0.2 s in all: runs.mlflow_patience_s"
    assert f"MLflow cannot use {SERVER} ({given_up})" in caplog.text
    called = []
    guard.attempt("metrics", lambda: called.append("metrics"))
    guard.afterwards(lambda: called.append("the end"))
    assert called == []
    assert guard.missed == ["the run", "metrics"]


def test_after_a_failure_a_run_is_still_ended_in_the_thread_that_has_begun_it():
    guard = TrackingGuard(SERVER, patience_s=60)
    threads = []
    guard.attempt("the run", lambda: threads.append(threading.current_thread()))
    guard.attempt("the rest", lambda: 1 / 0)
    guard.afterwards(lambda: threads.append(threading.current_thread()))
    assert threads[0] is threads[1] is not threading.current_thread()
    guard.afterwards(lambda: 1 / 0)


def test_a_store_on_this_machine_is_used_in_the_callers_own_thread():
    guard = TrackingGuard("sqlite:////nowhere/mlflow.db", patience_s=60)
    threads = []
    guard.attempt("the run", lambda: threads.append(threading.current_thread()))
    guard.afterwards(lambda: threads.append(threading.current_thread()))
    assert threads == [threading.current_thread()] * 2


def test_the_process_ends_though_the_server_does_not():
    program = (
        "import threading\n"
        "from anomalous_sound.tracking.guard import TrackingGuard\n"
        f"guard = TrackingGuard({SERVER!r}, patience_s=0.2)\n"
        "guard.attempt('the run', threading.Event().wait)\n"
        "print(guard.missed)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert (ended.returncode, ended.stdout) == (0, "['the run']\n")
