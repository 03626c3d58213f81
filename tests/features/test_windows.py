import numpy as np
import pandas as pd
import pytest

from anomalous_sound.configuration.features import ScalingSettings, WindowSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling, fit_scaling
from anomalous_sound.features.windows import WindowedFrames, index_windows

LENGTHS = {"a.wav": 313, "b.wav": 345, "c.wav": 11, "d.wav": 10}
WINDOWS = WindowSettings(length=10, next_frame=True)


@pytest.fixture
def frames() -> Frames:
    rng = np.random.default_rng(0)
    return Frames.in_memory(
        {name: -80 * rng.random((count, 6)).astype(np.float32) for name, count in LENGTHS.items()}
    )


@pytest.fixture
def windows(frames) -> pd.DataFrame:
    return index_windows(frames.index, WINDOWS, frame_s=0.032)


def test_303_windows_of_313_frames(windows):
    counts = windows.groupby("clip_id", observed=False).size().to_dict()
    assert counts == {"a.wav": 303, "b.wav": 335, "c.wav": 1, "d.wav": 0}


def test_windows_start_one_frame_apart_and_stay_in_their_clip(windows):
    for clip_id, group in windows.groupby("clip_id", observed=True):
        assert group.first_frame.tolist() == list(range(LENGTHS[clip_id] - 10))
        np.testing.assert_allclose(group.start_s, group.first_frame * 0.032)


def test_windows_without_a_next_frame(frames):
    windows = index_windows(
        frames.index, WindowSettings(length=10, next_frame=False), frame_s=0.032
    )
    assert windows.clip_id.value_counts().to_dict() == {
        name: count - 9 for name, count in LENGTHS.items()
    }


def test_windows_with_a_stride_begin_at_every_so_manieth_frame():
    index = pd.DataFrame({"clip_id": list("abc"), "frames": [100, 64, 63]})
    form = WindowSettings(length=63, next_frame=True)
    windows = index_windows(index, form, frame_s=512 / 16000, stride=16)
    # 100 frames: a segment and its next frame begin at 0, 16 and 32; 64 frames hold one, 63 none
    assert windows.clip_id.tolist() == ["a", "a", "a", "b"]
    assert windows.first_frame.tolist() == [0, 16, 32, 0]
    assert windows.start_s.tolist() == pytest.approx([0, 0.512, 1.024, 0])


def test_no_clips_have_no_windows():
    index = pd.DataFrame({"clip_id": [], "frames": []}).astype({"frames": int})
    assert index_windows(index, WINDOWS, frame_s=0.032).empty


@pytest.mark.parametrize("method", ["clip", "corpus", "band"])
@pytest.mark.parametrize("numbers", [[0, 302, 303, 638], [638, 5, 5, 4], range(639), []])
def test_windows_are_gathered_scaled(frames, windows, method, numbers):
    """To the last bit: a window of the scaled clip."""
    scaling = fit_scaling(frames, {"a.wav", "c.wav"}, ScalingSettings(method=method))
    view = WindowedFrames(frames, windows, scaling, WINDOWS)
    assert len(view) == 303 + 335 + 1
    batch = view[list(numbers) if len(numbers) else np.empty(0, int)]
    assert batch.shape == (len(numbers), 11, 6)
    assert batch.dtype == np.float32
    listed = zip(windows.clip_id, windows.first_frame, strict=True)
    places = [*listed]
    for got, number in zip(batch, numbers, strict=True):
        clip_id, first = places[number]
        scaled = scaling.scaled(frames.clip(clip_id))
        np.testing.assert_array_equal(got, scaled[first : first + 11])


def test_gathering_leaves_the_frames_as_they_are(frames, windows):
    before = {clip_id: clip.copy() for clip_id, clip in frames.clips()}
    WindowedFrames(frames, windows, Scaling("clip"), WINDOWS)[[0, 400]]
    for clip_id, clip in frames.clips():
        np.testing.assert_array_equal(clip, before[clip_id])


def test_the_clip_of_each_window(frames, windows):
    used = windows[windows.clip_id != "a.wav"].iloc[1::2]
    view = WindowedFrames(frames, used, Scaling("clip"), WINDOWS)
    assert view.clip_ids == ["b.wav", "c.wav"]
    assert [view.clip_ids[code] for code in view.clip_codes] == used.clip_id.tolist()


def test_clips_are_placed_one_after_the_other(frames, windows):
    used = windows[windows.clip_id != "a.wav"]
    view = WindowedFrames(frames, used, Scaling("clip"), WINDOWS)
    clips, first_frames, total = view.placed_clips()
    placed = np.full((total, view.n_bands), np.nan, np.float32)
    for start, clip in clips:
        placed[start : start + len(clip)] = clip
    assert total == 345 + 11
    everything = placed[first_frames[:, None] + np.arange(view.frames_of_a_window)]
    np.testing.assert_array_equal(everything, view[np.arange(len(view))])
