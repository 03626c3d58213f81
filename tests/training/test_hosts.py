"""One training on two "hosts": on the loopback address, and as two network namespaces."""

import ctypes
import os
import re
import shlex
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from support import describe_network

from anomalous_sound.configuration.compute import LOCAL
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import index_windows
from anomalous_sound.storage.array_store import ArrayStore
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.hosts import train_over_hosts
from anomalous_sound.training.job import TrainingJob, read_result, write_result
from anomalous_sound.training.loop import train_members

DESCRIPTION = describe_network("lstm", {"hidden_size": 8, "num_layers": 1})
NAMES = ["a", "b"]
TRAINING = TrainingSettings(
    epochs=3,
    batch_size=16,
    learning_rate=0.01,
    stride=1,
    accelerator="cpu",
    precision="32-true",
    threads=1,
)
LOSSES = ["training_loss", "validation_loss"]


@pytest.fixture
def job(tmp_path) -> TrainingJob:
    store = ArrayStore(tmp_path / "frames")
    rng = np.random.default_rng(0)
    for name in NAMES:
        store.write(name, rng.random((60, 6)).astype(np.float32))
    frames = Frames(pd.DataFrame({"clip_id": NAMES, "key": NAMES, "frames": 60}), store)
    return TrainingJob(
        frames=frames,
        windows=index_windows(frames.index, DESCRIPTION.windows, frame_s=0.032),
        form=DESCRIPTION.windows,
        members={"": ({"a"}, {"b"})},
        clips=pd.DataFrame({"clip_id": NAMES, "machine_id": "00", "sha256": NAMES}),
        description=DESCRIPTION,
        training=TRAINING,
        seed=3,
        checkpoint=Checkpoint(tmp_path / "checkpoint.ckpt"),
        wait_s=60.0,
    )


def alone(job):
    return train_members(
        job.windows_of_members(),
        clips=job.clips,
        description=job.description,
        training=job.training,
        seed=job.seed,
        checkpoint=Checkpoint(job.checkpoint.path.with_name("alone.ckpt")),
        jobs=1,
    )


def engine(address, wait_s=60.0):
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    return LOCAL.model_copy(
        update={"num_nodes": 2, "address": f"{address}:{port}", "wait_s": wait_s}
    )


@contextmanager
def other_host(caplog, module=None, within=()):
    """Do what the log of the run says, as soon as it says it, as another host would."""
    started = []

    def start():
        while not (told := re.search(r"^torchrun (.*)$", caplog.text, re.MULTILINE)):
            if ended.wait(0.05):
                return
        arguments = told[1].replace("--node_rank N", "--node_rank 1")
        if module:
            arguments = arguments.replace("anomalous_sound.training.rank", module)
        program = [*within, sys.executable, "-m", "torch.distributed.run", *shlex.split(arguments)]
        started.append(subprocess.Popen(program, stderr=subprocess.PIPE, text=True))

    ended = threading.Event()
    thread = threading.Thread(target=start)
    with caplog.at_level("INFO"):
        thread.start()
        try:
            yield started
        finally:
            ended.set()
            thread.join()
            for one in started:
                try:
                    one.communicate(timeout=20)
                except subprocess.TimeoutExpired:
                    one.kill()


NEAR, FAR = "anomalous-near", "anomalous-far"


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def namespaces():
    """Two hosts that reach each other by a cable alone; None where they cannot be made."""
    made = []
    try:
        for name in (NEAR, FAR):
            ip("netns", "add", name)
            made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("link", "add", "as-near", "netns", NEAR, "type", "veth", "peer", "as-far", "netns", FAR)
        for name, own, number in ((NEAR, "as-near", 1), (FAR, "as-far", 2)):
            ip("-n", name, "address", "add", f"10.91.7.{number}/24", "dev", own)
            ip("-n", name, "link", "set", own, "up")
        yield "10.91.7.1", ("ip", "netns", "exec", FAR)
    except (OSError, subprocess.CalledProcessError):
        yield None
    finally:
        for name in made:
            ip("netns", "delete", name)


def in_namespace(name, function, *arguments):
    """Call a function in a thread whose processes have the network of a namespace."""

    def call():
        descriptor = os.open(f"/var/run/netns/{name}", os.O_RDONLY)
        assert ctypes.CDLL(None, use_errno=True).setns(descriptor, 0) == 0
        os.close(descriptor)
        return function(*arguments)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills as Linux does")
def test_a_training_on_two_hosts_goes_on_after_one_was_lost(job, caplog, namespaces, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]))
    with (
        other_host(caplog, "hosts_work") as others,
        pytest.raises(InputError, match="trained together with others was lost") as raised,
    ):
        train_over_hosts(job, engine("127.0.0.1"))
    assert "\n" not in str(raised.value)
    assert others[0].returncode != 0
    kept = torch.load(job.checkpoint.of_member("").path, weights_only=True)
    assert kept["epoch"] == 1
    caplog.clear()
    address, within = namespaces or ("127.0.0.1", ())
    with other_host(caplog, within=within) as others:
        if namespaces:
            networks, history = in_namespace(NEAR, train_over_hosts, job, engine(address))
        else:
            networks, history = train_over_hosts(job, engine(address))
    assert others[0].returncode == 0
    assert "Going on with an interrupted training after epoch 1." in caplog.text
    assert history.seconds[0] == kept["history"][0][3]
    one, expected = alone(job)
    # of the same batches: only the order of summation differs
    np.testing.assert_allclose(history[LOSSES], expected[LOSSES], rtol=1e-4)
    assert networks.description == one.description
    assert [path.name for path in job.checkpoint.path.parent.iterdir()] == ["frames"]


@pytest.mark.slow
def test_a_host_that_does_not_come(job):
    with pytest.raises(InputError, match=r"not all 2 hosts have joined .* within 1 s \(engine.wa"):
        train_over_hosts(job, engine("127.0.0.1", wait_s=1.0))
    assert [path.name for path in job.checkpoint.path.parent.iterdir()] == ["frames"]


def test_a_job_is_read_as_it_was_written(job, tmp_path):
    place = tmp_path / "one.job"
    job.write(place)
    found = TrainingJob.read(place)
    of_found, of_job = found.windows_of_members()[""], job.windows_of_members()[""]
    for one, other in zip(of_found, of_job, strict=True):
        np.testing.assert_array_equal(one[np.arange(len(other))], other[np.arange(len(other))])
    assert found.checkpoint == job.checkpoint
    assert (found.description, found.training) == (job.description, job.training)
    networks, history = alone(found)
    write_result(tmp_path / "one.trained", networks, history)
    again, of_again = read_result(tmp_path / "one.trained")
    assert again.description == networks.description
    assert all(torch.equal(again.weights[name], value) for name, value in networks.weights.items())
    pd.testing.assert_frame_equal(of_again, history)


def test_a_host_on_which_frames_are_damaged_or_not_there_says_so(job):
    job.check_frames()
    place = Path(job.frames.store.path("b"))
    content = bytearray(place.read_bytes())
    content[-9] ^= 1
    place.write_bytes(content)
    with pytest.raises(InputError, match=r"b\.npy is damaged: its checksum"):
        job.check_frames()
    place.unlink()
    with pytest.raises(InputError, match="frames cannot be read on this host .*b.npy"):
        job.check_frames()


def test_a_job_of_other_software_or_of_no_file_is_refused(job, tmp_path, monkeypatch):
    place = tmp_path / "one.job"
    with pytest.raises(InputError, match=r"one\.job cannot be read on this host"):
        TrainingJob.read(place)
    job.write(place)
    with monkeypatch.context() as patch:
        patch.setattr("anomalous_sound.training.job.software", lambda: "other")
        with pytest.raises(InputError, match="this host has another version of anomalous-sound"):
            TrainingJob.read(place)
    whole = place.read_bytes()
    for byte in range(0, len(whole), 41):
        content = bytearray(whole)
        content[byte] ^= 1 << byte % 8
        place.write_bytes(content)
        with pytest.raises(InputError, match=r"one\.job cannot be read on this host"):
            TrainingJob.read(place)
    place.write_bytes(whole[:-1])
    with pytest.raises(InputError, match=r"one\.job cannot be read on this host"):
        TrainingJob.read(place)
