import numpy as np
import pytest
import torch

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.training.batches import DeviceWindows, WindowBatches, on_device


@pytest.fixture
def windows() -> WindowedFrames:
    """Of three clips the first and the last."""
    values = np.random.default_rng(0).random((90, 6)).astype(np.float32)
    frames = Frames.in_memory({"a": values[:30], "b": values[30:70], "c": values[70:]})
    form = WindowSettings(length=10, next_frame=True)
    listed = index_windows(frames.index, form, frame_s=0.032)
    used = listed[listed.clip_id != "b"]
    return WindowedFrames(frames, used, Scaling("clip"), form)


@pytest.mark.parametrize("numbers", [[0], [5, 29, 19, 20, 5], np.arange(30)])
def test_windows_are_the_same_wherever_they_are_gathered(windows, numbers):
    gathered = DeviceWindows(windows, torch.device("cpu"))
    assert len(gathered) == len(windows) == 30
    torch.testing.assert_close(gathered[numbers], torch.from_numpy(windows[numbers]))


def test_only_the_clips_that_are_used_are_held(windows):
    assert DeviceWindows(windows, torch.device("cpu"))._frames.shape == (50, 6)


def test_on_the_cpu_nothing_is_copied(windows):
    assert on_device(windows, torch.device("cpu")) is windows


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_cuda_windows_are_gathered_there(windows):
    gathered = on_device(windows, torch.device("cuda"))
    assert gathered[[0, 7]].device.type == "cuda"
    torch.testing.assert_close(gathered[[0, 7]].cpu(), torch.from_numpy(windows[[0, 7]]))


def test_a_batch_says_which_machine_each_window_is_of(windows):
    assert windows.clip_ids == ["a", "c"]
    batches = WindowBatches(windows, [1, -1], [False, True], torch.device("cpu"))
    batch = batches[[0, 19, 20, 29]]
    assert batch.machine.tolist() == [1, 1, -1, -1]
    assert torch.equal(batch.frames, torch.from_numpy(windows[[0, 19, 20, 29]]))
