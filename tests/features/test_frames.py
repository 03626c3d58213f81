import numpy as np
import pandas as pd
import pytest

from anomalous_sound.features.frames import Frames, WindowedFrames, fit_scaling, index_windows

LENGTHS = {"a.wav": 313, "b.wav": 345, "c.wav": 11, "d.wav": 10}


@pytest.fixture
def frames() -> Frames:
    rng = np.random.default_rng(0)
    total = sum(LENGTHS.values())
    values = -80 * rng.random((total, 6)).astype(np.float32)
    index = pd.DataFrame({"clip_id": list(LENGTHS), "frames": list(LENGTHS.values())})
    index.insert(1, "first_frame", index.frames.cumsum() - index.frames)
    return Frames(values, index)


def windows_of(frames):
    return index_windows(
        frames.index, length=10, next_frame=True, hop_length=512, sample_rate=16000
    )


def test_303_windows_of_313_frames(frames):
    windows = windows_of(frames)
    counts = windows.groupby("clip_id", observed=False).size().to_dict()
    assert counts == {"a.wav": 303, "b.wav": 335, "c.wav": 1, "d.wav": 0}


def test_windows_start_one_frame_apart_and_stay_in_their_clip(frames):
    windows = windows_of(frames)
    first = {"a.wav": 0, "b.wav": 313, "c.wav": 658}
    for clip_id, group in windows.groupby("clip_id", observed=True):
        assert group.first_frame.iloc[0] == first[clip_id]
        assert (group.first_frame.diff().dropna() == 1).all()
        assert group.first_frame.iloc[-1] + 10 == first[clip_id] + LENGTHS[clip_id] - 1
        np.testing.assert_allclose(group.start_s.diff().dropna(), 0.032)
        assert group.start_s.iloc[0] == 0


def brute_force(frames, clip_id, start, low, high):
    clip = frames.clip(clip_id)
    return (clip[start : start + 11] - low) / (high - low)


def test_scaling_by_clip(frames):
    scaling = fit_scaling(frames, {"a.wav"}, method="clip")
    view = WindowedFrames(frames, windows_of(frames), scaling, length=10, next_frame=True)
    assert len(view) == 303 + 335 + 1
    batch = view[[0, 302, 303, 638]]
    assert batch.shape == (4, 11, 6)
    assert batch.dtype == np.float32
    places = [("a.wav", 0), ("a.wav", 302), ("b.wav", 0), ("c.wav", 0)]
    for got, (clip_id, start) in zip(batch, places, strict=True):
        clip = frames.clip(clip_id)
        expected = brute_force(frames, clip_id, start, clip.min(), clip.max())
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_scaling_by_corpus_uses_training_clips_alone(frames):
    frames.values[:313] *= 0.5
    scaling = fit_scaling(frames, {"a.wav"}, method="corpus")
    training = frames.clip("a.wav")
    view = WindowedFrames(frames, windows_of(frames), scaling, length=10, next_frame=True)
    expected = brute_force(frames, "b.wav", 4, training.min(), training.max())
    np.testing.assert_allclose(view[[307]][0], expected, atol=1e-6)


def test_scaling_by_band(frames):
    scaling = fit_scaling(frames, {"a.wav", "c.wav"}, method="band")
    training = np.concatenate([frames.clip("a.wav"), frames.clip("c.wav")]).astype(float)
    np.testing.assert_allclose(scaling["offset"], training.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaling["span"], training.std(axis=0), rtol=1e-6)
    view = WindowedFrames(frames, windows_of(frames), scaling, length=10, next_frame=True)
    expected = (frames.clip("b.wav")[:11] - training.mean(axis=0)) / training.std(axis=0)
    np.testing.assert_allclose(view[[303]][0], expected, atol=1e-5)


def test_a_band_without_any_spread_does_not_divide_by_zero(frames):
    frames.values[:, 2] = -80
    scaling = fit_scaling(frames, {"a.wav"}, method="band")
    view = WindowedFrames(frames, windows_of(frames), scaling, length=10, next_frame=True)
    assert np.isfinite(view[np.arange(50)]).all()


def test_unknown_scaling(frames):
    with pytest.raises(ValueError, match="'whole'"):
        fit_scaling(frames, {"a.wav"}, method="whole")


def test_windows_with_a_stride_begin_at_every_so_manieth_frame():
    index = pd.DataFrame(
        {"clip_id": list("abc"), "first_frame": [0, 100, 200], "frames": [100, 64, 63]}
    )
    how = {"length": 63, "next_frame": True, "hop_length": 512, "sample_rate": 16000}
    windows = index_windows(index, **how, stride=16)
    # 100 frames: a stretch and its next frame begin at 0, 16 and 32; 64 frames hold one, 63 none
    assert windows.clip_id.tolist() == ["a", "a", "a", "b"]
    assert windows.first_frame.tolist() == [0, 16, 32, 100]
    assert windows.start_s.tolist() == pytest.approx([0, 0.512, 1.024, 0])
