"""Recordings, frames, errors, checkpoints and a detector on S3, worked on by a real cluster."""

import os
import sys

import pandas as pd
import pytest
from s3_server import S3Server

from anomalous_sound.decision.detector import Detector

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Dask starts no processes there"),
]


@pytest.fixture(scope="module")
def s3():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # for workers
        server = S3Server(patch)
        server.make_bucket("hall")
        yield server
        server.stop()


def test_a_run_on_s3_finds_the_same(project, simulated_run, s3):
    s3.put(simulated_run.data("01_raw/simulated/slider"), "s3://hall/recordings/slider")
    project.run(
        to_outputs=["lstm.clip_scores", "lstm.window_errors"],
        audio_dir="s3://hall/recordings/slider",
        storage="s3://hall/store",
        engine={"type": "dask", "workers": 2, "batch": 3},
    )
    for name in ("lstm.clip_scores", "lstm.window_errors"):
        pd.testing.assert_frame_equal(
            project.load(name, audio_dir="s3://hall/recordings/slider", storage="s3://hall/store"),
            simulated_run.load(name),
        )
    of_errors = "s3://hall/store/07_model_output/slider/lstm/band_errors"
    assert len(s3.files(f"{of_errors}/roots")) == len(simulated_run.load("clips"))
    here = {
        path.name: path.read_bytes()
        for path in simulated_run.data("03_primary/slider/log_mel").glob("*.npy")
    }
    there = s3.files("s3://hall/store/03_primary/slider/log_mel")
    del there["index.parquet"], there[".index.parquet.sha256"]
    assert there == here
    # checkpoints were there, and are not needed any more
    assert not s3.files("s3://hall/store/06_models")


def test_a_detector_on_s3_judges_the_same(simulated_run, s3, tmp_path):
    folder = simulated_run.data("06_models/slider/lstm/detector")
    here = Detector.load(folder)
    here.save("s3://hall/detectors/slider")
    sent = s3.files("s3://hall/detectors/slider")
    assert sent == {path.name: path.read_bytes() for path in folder.iterdir()}
    there = Detector.load("s3://hall/detectors/slider")
    clip = next(iter(sorted(simulated_run.data("01_raw/simulated/slider/test").glob("*.wav"))))
    assert there.judge_file(clip).score == here.judge_file(clip).score
