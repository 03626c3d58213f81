import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from anomalous_sound.compute.processes import in_processes, start_processes
from anomalous_sound.errors import InputError

pytestmark = pytest.mark.slow
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def square_in_process(number):
    return number**2, os.getpid()


def refuse():
    raise InputError("not this one")


def has_imported(name):
    time.sleep(0.05)  # so that one process does not do all
    return name in sys.modules


def test_results_come_in_order_from_other_processes():
    found = list(in_processes([partial(square_in_process, number) for number in range(5)], 2))
    assert [square for square, _ in found] == [0, 1, 4, 9, 16]
    assert os.getpid() not in {process for _, process in found}


@pytest.mark.parametrize(("tasks", "jobs"), [(3, 1), (1, 4)])
def test_no_process_is_started_where_one_would_do(tasks, jobs):
    found = list(
        in_processes([partial(square_in_process, number) for number in range(tasks)], jobs)
    )
    assert {process for _, process in found} == {os.getpid()}


def test_a_mistake_of_a_task_is_told_as_it_is():
    with pytest.raises(InputError, match="not this one"):
        list(in_processes([refuse, refuse], 2))


@LINUX
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_processes_end_with_the_one_that_started_them(tmp_path, how):
    """Otherwise they would go on with a training that the next attempt goes on with, too."""
    program = f"""
import os, time
from functools import partial
from pathlib import Path
from pathlib import Path
from anomalous_sound.compute.processes import in_processes

def work(name):
    Path({str(tmp_path)!r}, f"{{name}} {{os.getpid()}}").touch()
    time.sleep(60)

list(in_processes([partial(work, "a"), partial(work, "b")], 2))
"""
    started = subprocess.Popen(
        [sys.executable, "-c", program],
        stderr=subprocess.DEVNULL,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )
    begun = time.monotonic()
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() - begun < 60:
        time.sleep(0.1)
    processes = [int(path.name.split()[1]) for path in tmp_path.iterdir()]
    assert len(processes) == 2
    started.send_signal(how)
    started.wait(30)
    begun = time.monotonic()
    while any(map(is_running, processes)) and time.monotonic() - begun < 20:
        time.sleep(0.1)
    assert not any(map(is_running, processes))


def test_nothing_is_said_beside_the_mistake_of_a_task():
    """tqdm makes a lock for several processes, which nobody would remove."""
    program = """
import time
from tqdm import tqdm
from anomalous_sound.compute.processes import in_processes

def refuse():
    time.sleep(2)
    raise ValueError("not this one")

def work():
    for _ in tqdm(range(60), disable=True):
        time.sleep(1)

try:
    list(in_processes([refuse, work], 2))
except ValueError as error:
    print(error)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "not this one\n"
    assert ended.stderr == ""


def test_processes_that_were_started_early_do_the_work():
    """Only then is what they have imported there for it; one may have done so for both."""
    start_processes(2, ["colorsys"])
    found = list(in_processes([partial(has_imported, "colorsys") for _ in range(20)], 2))
    assert len(found) == 20
    assert any(found)


def test_what_cannot_be_imported_early_is_told_by_the_task_that_needs_it():
    start_processes(2, ["no_such_module"])
    with pytest.raises(InputError, match="not this one"):
        list(in_processes([refuse, refuse], 2))


@LINUX
@pytest.mark.parametrize("end", ["stop_processes()", "pass", "raise SystemExit"])
def test_processes_that_are_not_needed_end_in_silence(end):
    program = f"""
import time
from pathlib import Path
from anomalous_sound.compute.processes import start_processes, stop_processes

start_processes(2, ["colorsys"])
while not (found := Path("/proc/self/task").glob("*/children")) or not any(
    file.read_text() for file in found
):
    time.sleep(0.05)
print(*(file.read_text() for file in Path("/proc/self/task").glob("*/children")), flush=True)
{end}
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    processes = list(map(int, ended.stdout.split()))
    assert processes
    begun = time.monotonic()
    while any(map(is_running, processes)) and time.monotonic() - begun < 20:
        time.sleep(0.1)
    assert not any(map(is_running, processes))


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    # one that has ended, and that nobody has asked for its status, is a zombie
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
