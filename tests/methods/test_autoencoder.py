from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from support import describe_network

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.methods.network import Batch, count_parameters
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_network


def describe(n_mels, **sizes):
    return describe_network("autoencoder", sizes, n_mels=n_mels, length=5, next_frame=False)


def test_size_of_the_baseline():
    """DCASE 2020's baseline: 640-128-128-128-128-8-128-128-128-128-640."""
    model = describe(128, hidden_size=128, depth=4, bottleneck=8).build()
    widths = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    dense = sum((a + 1) * b for a, b in pairwise(widths))
    normalisation = sum(2 * width for width in widths[1:-1])
    assert count_parameters(model) == dense + normalisation
    names = [type(layer).__name__ for layer in model.layers]
    assert names == ["Linear", "BatchNorm1d", "ReLU"] * 9 + ["FrameOutput"]


def test_all_frames_are_reconstructed():
    description = describe(6, hidden_size=8, depth=2, bottleneck=3)
    model = description.build().eval()
    frames = torch.rand(4, 5, 6)
    stacked = model.layers(frames.reshape(4, 30)).detach()
    expected = ((stacked - frames.reshape(4, 30)) ** 2).reshape(4, 5, 6).mean(dim=1)
    torch.testing.assert_close(model(Batch(frames, torch.zeros(4))).detach(), expected)
    assert description.network.target_frames(5) == (0, 4)


def windows_of(frames_of_clip, length, next_frame):
    form = WindowSettings(length=length, next_frame=next_frame)
    frames = Frames.in_memory({"a": frames_of_clip.astype(np.float32)})
    return WindowedFrames(
        frames, index_windows(frames.index, form, frame_s=0.032), Scaling("clip"), form
    )


def test_309_windows_of_five_frames_in_ten_seconds():
    assert len(windows_of(np.random.default_rng(0).random((313, 6)), 5, False)) == 309


@pytest.mark.parametrize("frames", [21, 20, 19])
def test_a_last_batch_of_one_window_does_not_stop_batch_normalisation(tmp_path, frames):
    """21 frames are 17 windows: two batches of 8 and one window."""
    windows = windows_of(np.random.default_rng(0).random((frames, 6)), 5, False)
    _, history = train_network(
        windows,
        windows,
        clips=pd.DataFrame({"clip_id": ["a"], "machine_id": ["00"], "sha256": ["a"]}),
        description=describe(6, hidden_size=4, depth=1, bottleneck=2),
        training=TrainingSettings(
            epochs=2,
            batch_size=8,
            learning_rate=0.001,
            stride=1,
            accelerator="cpu",
            precision="32-true",
            threads=1,
        ),
        seed=0,
        checkpoint=Checkpoint(tmp_path / "checkpoint.ckpt"),
    )
    assert np.isfinite(history.training_loss).all()
