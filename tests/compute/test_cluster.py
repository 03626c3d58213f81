"""Work on real schedulers and workers of this machine, against the same work without them."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import cluster_work
import numpy as np
import pandas as pd
import psutil
import pytest
import torch
from support import describe_network

from anomalous_sound.compute import cluster as cluster_module
from anomalous_sound.compute.cluster import close_clusters, cluster_of
from anomalous_sound.compute.engine import spread
from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.compute import LOCAL, DaskEngine
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.datasets import BandErrorsDataset, FramesDataset
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import PromisedFrames
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.scoring.errors import WindowScoring
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_members

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Dask starts no processes there"),
]

ENGINE = DaskEngine(type="dask", address=None, workers=2, batch=2, ahead=2, retries=2, wait_s=60.0)
DESCRIPTION = describe_network(
    "lstm", {"hidden_size": 8, "num_layers": 1}, machine_ids=("00", "02")
)
NAMES = [f"clip {number}" for number in range(12)]
MACHINE_IDS = {name: "00" if number % 2 else "02" for number, name in enumerate(NAMES)}


@pytest.fixture(scope="module", autouse=True)
def _workers_find_the_tests():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]))
        yield
        close_clusters()


def on(engine, function, shared, items, **options):
    return spread(
        function, shared, items, engine=engine, locally=in_threads, jobs=1, what="x", **options
    )


def kept_frames(folder, promised=cluster_work.frames_of, engine=ENGINE):
    dataset = FramesDataset(filepath=str(folder), engine=engine.model_dump())
    dataset.save(
        {name: PromisedFrames(f"k{n}", partial(promised, n)) for n, name in enumerate(NAMES)}
    )
    return dataset.load()


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    return kept_frames(tmp_path_factory.mktemp("frames"), engine=LOCAL)


def test_results_come_in_order_from_several_processes():
    found = list(on(ENGINE, cluster_work.plus_square, 10, range(50)))
    assert [value for value, _ in found] == [10 + number**2 for number in range(50)]
    processes = {process for _, process in found}
    assert len(processes) == 2
    assert os.getpid() not in processes
    assert list(on(ENGINE, cluster_work.plus_square, 10, [])) == []


def test_a_mistake_is_told_as_it_is():
    found = on(ENGINE, cluster_work.refuse_three, None, range(9))
    with pytest.raises(InputError, match="not the third one"):
        list(found)


def test_a_worker_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(cluster_module, "software", lambda: "another")
    with pytest.raises(InputError, match=r"the worker tcp://127\.0\.0\.1:\d+ has another version"):
        list(on(ENGINE, cluster_work.plus_square, 10, range(3)))


def test_a_task_that_no_worker_survives_is_given_up():
    with pytest.raises(InputError, match="lost with several workers"):
        list(on(ENGINE, cluster_work.end_always, None, [1]))


def test_frames_are_the_same_and_a_killed_worker_costs_none(tmp_path, frames):
    marker = tmp_path / "killed"
    found = kept_frames(tmp_path / "frames", partial(cluster_work.frames_of, marker=marker))
    assert marker.exists()
    pd.testing.assert_frame_equal(found.index, frames.index)
    for name in NAMES:
        np.testing.assert_array_equal(found.clip(name), frames.clip(name))
    kept = {path.name for path in (tmp_path / "frames").iterdir()}
    assert kept == {"index.parquet", ".index.parquet.sha256"} | {
        f"k{number}.npy" for number in range(len(NAMES))
    }


def scoring_of(frames, engine):
    torch.manual_seed(1)
    members = {f"fold_{n}": DESCRIPTION.build().state_dict() for n in range(2)}
    return WindowScoring(
        TrainedNetworks.join(
            {name: TrainedNetworks(weights, DESCRIPTION) for name, weights in members.items()}
        ),
        frames,
        index_windows(frames.index, DESCRIPTION.windows, frame_s=0.032),
        MACHINE_IDS,
        ScoringSettings(batch_size=16, accelerator="cpu", precision="32-true"),
        2,
        {NAMES[0]: 0, NAMES[4]: 1},
        engine,
    )


def saved_errors(folder, frames, engine):
    dataset = BandErrorsDataset(filepath=str(folder), engine=engine.model_dump())
    dataset.save(scoring_of(frames, engine))
    return dataset.load()


def test_errors_are_the_same_and_a_killed_worker_costs_none(tmp_path, frames):
    marker = tmp_path / "killed"
    arrays = {key: frames.store.read(key) for key in frames.index.key}
    deadly = type(frames)(frames.index, cluster_work.DeadlyArrays(arrays, "k7", marker))
    here, there = (
        saved_errors(tmp_path / name, of, engine)
        for name, of, engine in (("here", frames, LOCAL), ("there", deadly, ENGINE))
    )
    assert marker.exists()
    np.testing.assert_array_equal(there.window_errors, here.window_errors)
    for one, other in zip(here, there, strict=True):
        assert (one.clip_id, one.members) == (other.clip_id, other.members)
        np.testing.assert_array_equal(one.band_errors, other.band_errors)
    # a second run computes none of it, and would else be killed
    marker.unlink()
    again = saved_errors(tmp_path / "there", deadly, ENGINE)
    assert not marker.exists()
    pd.testing.assert_frame_equal(again.index, there.index)


def trained(frames, checkpoint, engine):
    listed = index_windows(frames.index, DESCRIPTION.windows, frame_s=0.032)
    windows = {
        member: tuple(
            WindowedFrames(
                frames,
                listed[listed.clip_id.isin(clips)],
                DESCRIPTION.scaling,
                DESCRIPTION.windows,
            )
            for clips in (on, by)
        )
        for member, on, by in (
            ("fold_0", NAMES[:6], NAMES[6:]),
            ("fold_1", NAMES[6:], NAMES[:6]),
            ("fold_2", NAMES[::2], NAMES[1::2]),
        )
    }
    return train_members(
        windows,
        clips=pd.DataFrame({"clip_id": NAMES, "machine_id": MACHINE_IDS.values(), "sha256": NAMES}),
        description=DESCRIPTION,
        training=TrainingSettings(
            **{"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "stride": 1},
            **{"accelerator": "cpu", "precision": "32-true", "threads": 1},
        ),
        seed=3,
        checkpoint=checkpoint,
        jobs=1,
        engine=engine,
    )


def test_networks_are_the_same_and_a_killed_worker_costs_none(tmp_path, frames):
    here, of_here = trained(frames, Checkpoint(tmp_path / "here.ckpt"), LOCAL)
    marker = tmp_path / "killed"
    deadly = cluster_work.DeadlyCheckpoint(tmp_path / "there.ckpt", marker)
    there, of_there = trained(frames, deadly, ENGINE)
    assert marker.exists()
    assert list(there.weights) == list(here.weights)
    assert all(torch.equal(there.weights[name], here.weights[name]) for name in here.weights)
    losses = ["epoch", "training_loss", "validation_loss"]
    pd.testing.assert_frame_equal(of_there[losses], of_here[losses])
    assert not list(tmp_path.glob("*.ckpt"))
    # all that is done on a worker has been done by now; one started anew may have done none
    of_workers = list(on(ENGINE, cluster_work.modules, None, range(20)))
    assert any("torch" in of_worker for of_worker in of_workers)
    forbidden = {"kedro", "kedro_datasets", "kedro_mlflow", "mlflow"}
    assert not any(of_worker & forbidden for of_worker in of_workers)


def test_a_scheduler_that_goes_is_told_and_the_next_run_goes_on(tmp_path, frames):
    notes = [tmp_path / name for name in ("first", "second")]
    for folder in notes:
        folder.mkdir()
    saving = partial(kept_frames, tmp_path / "frames")

    def computed(folder):
        return {int(path.name) for path in folder.iterdir()}

    def kill_scheduler():
        while len(computed(notes[0])) < 5:
            time.sleep(0.01)
        cluster_of(ENGINE)._processes.scheduler.process.kill()

    threading.Thread(target=kill_scheduler, daemon=True).start()
    with pytest.raises(Exception, match="the Dask scheduler at tcp://.* has gone away") as raised:
        saving(partial(cluster_work.frames_noted, notes=notes[0]))
    assert isinstance(raised.value.__cause__, InputError)
    close_clusters()  # as the end of a run does; a worker may finish a clip until then
    whole = {int(path.stem[1:]) for path in (tmp_path / "frames").glob("k*.npy")}
    assert 0 < len(whole) < len(NAMES)
    found = saving(partial(cluster_work.frames_noted, notes=notes[1]))
    assert computed(notes[1]) == set(range(len(NAMES))) - whole
    pd.testing.assert_frame_equal(found.index, frames.index)


def test_no_scheduler_at_the_address():
    nobody = ENGINE.model_copy(update={"address": "tcp://127.0.0.1:9", "wait_s": 1.0})
    with pytest.raises(InputError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        list(on(nobody, cluster_work.plus_square, 1, [1]))


def test_processes_end_with_the_one_that_started_them(tmp_path):
    program = f"""
from pathlib import Path
import cluster_work
from anomalous_sound.compute.cluster import cluster_of
from anomalous_sound.configuration.compute import DaskEngine

cluster = cluster_of(DaskEngine.model_validate({ENGINE.model_dump()!r}))
folder = Path({str(tmp_path)!r})
list(cluster.spread(cluster_work.slowly, folder, range(1000), what="x", alone=False))
"""
    started = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    begun = time.monotonic()
    while len(list(tmp_path.iterdir())) < 4 and time.monotonic() - begun < 60:
        time.sleep(0.1)
    children = psutil.Process(started.pid).children(recursive=True)
    assert len(children) >= 5  # a scheduler, and two workers with their nannies
    started.send_signal(signal.SIGKILL)
    started.wait(30)
    _, alive = psutil.wait_procs(children, timeout=20)
    for process in alive:
        process.kill()
    assert not alive
