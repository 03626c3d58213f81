import numpy as np
import pandas as pd
import pytest
import torch

from anomalous_sound.audio.frames import Frames, index_windows
from anomalous_sound.models.network import TrainedNetwork, build_network
from anomalous_sound.models.scoring import pool_errors, score_windows, target_time_s

SETTINGS = {
    "network": {"architecture": "lstm_predictor", "hidden_size": 8, "num_layers": 1},
    "audio": {"sample_rate": 16000},
    "log_mel": {"n_mels": 6, "hop_length": 512},
    "windows": {"length": 10, "next_frame": True},
    "scaling": {"method": "clip"},
}


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_every_window_gets_its_error(batch_size):
    torch.manual_seed(0)
    network = build_network(SETTINGS).eval()
    index = pd.DataFrame({"clip_id": ["a", "b"], "first_frame": [0, 30], "frames": [30, 25]})
    values = (-60 * np.random.default_rng(0).random((55, 6))).astype(np.float32)
    frames = Frames(values, index)
    windows = index_windows(index, length=10, next_frame=True, hop_length=512, sample_rate=16000)
    errors = score_windows(
        TrainedNetwork(network.state_dict(), SETTINGS),
        frames,
        windows,
        batch_size=batch_size,
        accelerator="cpu",
    )
    assert len(errors) == 20 + 15
    for clip_id, clip in frames.clips():
        scaled = torch.from_numpy((clip - clip.min()) / (clip.max() - clip.min()))
        for start, got in enumerate(errors[errors.clip_id == clip_id].error):
            with torch.no_grad():
                prediction = network.expected(scaled[None, start : start + 11])[0, 0]
            expected = ((prediction - scaled[start + 10]) ** 2).mean().item()
            assert got == pytest.approx(expected, rel=1e-5)


@pytest.fixture
def pooled():
    errors = pd.DataFrame(
        {
            "clip_id": pd.Categorical(["b"] * 4 + ["a"] * 3),
            "start_s": 0.0,
            "error": np.array([4, 1, 2, 9, 5, 5, 2], dtype=np.float32),
        }
    )
    clips = pd.DataFrame(
        {
            "clip_id": ["a", "b"],
            "machine_type": "slider",
            "machine_id": "00",
            "split": ["train", "test"],
            "label": ["normal", "anomalous"],
            "sha256": "0",
        }
    )
    return lambda pooling, percentile=50.0: pool_errors(
        errors, clips, pooling=pooling, percentile=percentile
    )


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [("mean", [4, 4]), ("median", [5, 3]), ("maximum", [5, 9]), ("percentile", [5, 3])],
)
def test_poolings(pooled, pooling, expected):
    scores = pooled(pooling)
    columns = ["clip_id", "machine_type", "machine_id", "split", "label", "score"]
    assert list(scores.columns) == columns
    assert list(scores.clip_id) == ["a", "b"]
    assert list(scores.score) == expected


def test_percentile_interpolates(pooled):
    # 90 % of the way through 1, 2, 4, 9: 0.7 of the step from 4 to 9
    assert pooled("percentile", 90.0).score[1] == pytest.approx(4 + 0.7 * 5)


def test_unknown_pooling(pooled):
    with pytest.raises(ValueError, match="accepted: mean, median, maximum, percentile"):
        pooled("middle")


def test_an_error_is_drawn_at_the_frame_it_belongs_to():
    # a window that starts at 1 s predicts the frame 10 hops of 32 ms later
    times = target_time_s(pd.DataFrame({"start_s": [1.0]}), SETTINGS)
    assert times[0] == pytest.approx(1.32)
