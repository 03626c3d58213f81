"""Frames in which several channels stand side by side."""

import numpy as np
import pandas as pd
import pytest
import torch
from features_of_report import features_with
from support import RATE, noise

from anomalous_sound.configuration.features import ScalingSettings, WindowSettings
from anomalous_sound.corpus.checks import ClipChecks
from anomalous_sound.corpus.decode import AudioFile, Recording, in_every_channel, to_channels
from anomalous_sound.corpus.extraction import promise_log_mel
from anomalous_sound.datasets import AudioFolderDataset, FramesDataset
from anomalous_sound.errors import SilentClipError, UnreadableClipError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.levels import crest_db, rms_dbfs
from anomalous_sound.features.log_mel import log_mel_spectrogram, mean_over_channels
from anomalous_sound.features.scaling import Scaling, fit_scaling
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.training.batches import DeviceWindows

TWO = features_with(channel=[1, 0])  # in an order of their own
FORM = WindowSettings(length=2, next_frame=True)
# frames × (two bands of one channel, two of the other), dB
CLIPS = {
    "a": np.array([[0, -4, 10, 50], [-8, -2, 20, 30], [-6, 0, 15, 25], [-1, -3, 12, 42]]),
    "b": np.array([[2, 4, 30, 70], [6, 8, 40, 60], [1, 7, 50, 80]]),
}
CLIPS = {name: clip.astype(np.float32) for name, clip in CLIPS.items()}


def recorded(*channels):
    return Recording(np.stack(channels, axis=1).astype(np.float32), RATE)


def test_channels_are_read_in_the_order_of_the_list():
    left, right = noise(1)[:, 0], noise(2)[:, 0]
    assert (to_channels(recorded(left, right), TWO.audio) == recorded(right, left).samples.T).all()


def test_a_clip_without_one_of_the_channels_is_refused():
    with pytest.raises(UnreadableClipError, match=r"it has no channel 1 \(.* it has 1\)"):
        to_channels(Recording(noise(1).astype(np.float32), RATE), TWO.audio)


def test_a_dead_microphone_is_told_from_a_silent_machine():
    with pytest.raises(SilentClipError, match="channel 1: all samples are zero"):
        to_channels(recorded(noise(1)[:, 0], np.zeros(RATE)), TWO.audio)


def test_frames_of_a_recording_are_the_spectrograms_of_its_channels(tmp_path, write_clip):
    samples = noise(3, channels=2)
    samples[:, 1] *= -3  # louder, and inverted
    write_clip(tmp_path / "press" / "a.wav", samples, subtype="FLOAT")
    corpus = AudioFolderDataset(audio_dir=str(tmp_path / "press")).load()
    clips = pd.DataFrame(
        {"clip_id": ["a.wav"], "recording": "a.wav", "start_s": 0.0, "duration_s": 1.0}
    ).assign(sample_rate=RATE, sha256=AudioFile(tmp_path / "press" / "a.wav").sha256())
    dataset = FramesDataset(filepath=tmp_path / "log_mel")
    dataset.save(promise_log_mel(corpus, clips, TWO))
    frames = dataset.load()
    second, first = samples.astype(np.float32).T
    expected = [log_mel_spectrogram(one, TWO) for one in (first, second)]
    assert frames.channels == 2
    assert (frames.clip("a.wav") == np.concatenate(expected, axis=1)).all()
    power = np.mean([10 ** (one.astype(float) / 10) for one in expected], axis=0)
    np.testing.assert_allclose(frames.mean_clip("a.wav"), 10 * np.log10(power), rtol=1e-5)


def test_level_and_crest_factor_are_of_all_channels_together(tmp_path, write_clip):
    samples = noise(3, channels=2)
    samples[:, 1] *= -1
    path = write_clip(tmp_path / "a.wav", samples, subtype="FLOAT")
    segments = pd.Series({"segment_s": None, "segment_hop_s": None})
    ((check,),) = ClipChecks().check_all([AudioFile(path)], TWO.audio, segments)
    assert (check.channels, check.mono_samples) == (2, RATE)
    both = samples.astype(np.float32).T
    assert check.level_dbfs == pytest.approx(rms_dbfs(both))
    assert check.crest_db == pytest.approx(crest_db(both))


def test_one_channel_is_its_own_mean():
    assert mean_over_channels(CLIPS["a"], 1) is CLIPS["a"]
    mean = mean_over_channels(np.array([[0.0, 10.0]], np.float32), 2)
    assert mean == pytest.approx(10 * np.log10(5.5))


@pytest.mark.parametrize(
    ("method", "offset", "span"),
    [
        # each channel's own ends: -8 to 0 and 10 to 50
        ("clip", [-8, -8, 10, 10], [8, 8, 40, 40]),
        # those of all channels and clips
        ("corpus", [-8] * 4, [88] * 4),
        ("none", [0] * 4, [1] * 4),
    ],
)
def test_each_channel_is_scaled(method, offset, span):
    frames = Frames.in_memory(CLIPS, channels=2)
    scaling = fit_scaling(frames, ["a", "b"], ScalingSettings(method=method))
    scaling = Scaling.from_json(scaling.to_json())
    expected = (CLIPS["a"] - np.array(offset)) / np.array(span)
    np.testing.assert_allclose(scaling.scaled(CLIPS["a"]), expected, rtol=1e-6)


def test_bands_of_each_channel_are_scaled_by_themselves():
    frames = Frames.in_memory(CLIPS, channels=2)
    scaling = fit_scaling(frames, ["a", "b"], ScalingSettings(method="band"))
    every = np.concatenate([scaling.scaled(clip) for clip in CLIPS.values()])
    np.testing.assert_allclose(every.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(every.std(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("method", ["clip", "corpus", "band"])
def test_every_window_of_every_channel_is_trained_on(method):
    frames = Frames.in_memory(CLIPS, channels=2)
    scaling = fit_scaling(frames, ["a", "b"], ScalingSettings(method=method))
    listed = index_windows(frames.index, FORM, frame_s=1.0)
    windows = WindowedFrames(frames, listed, scaling, FORM)
    expected = [
        scaling.scaled(CLIPS[clip])[start : start + 3, channel]
        for channel in (slice(0, 2), slice(2, 4))
        for clip, start in [("a", 0), ("a", 1), ("b", 0)]
    ]
    assert (len(windows), windows.n_bands) == (6, 2)
    assert windows.clip_codes.tolist() == [0, 0, 1, 0, 0, 1]
    np.testing.assert_allclose(windows[np.arange(6)], expected, rtol=1e-6)
    np.testing.assert_allclose(windows[[4, 1]], [expected[4], expected[1]], rtol=1e-6)
    on_device = DeviceWindows(windows, torch.device("cpu"))
    np.testing.assert_allclose(on_device[np.arange(6)], expected, rtol=1e-6)


def test_a_scaling_of_one_channel_is_written_as_before():
    assert Scaling("clip").to_json() == {"method": "clip"}
    assert Scaling("clip", channels=2).to_json() == {"method": "clip", "channels": 2}


@pytest.mark.parametrize(("channel", "channels"), [(0, 1), ("mean", 1), (2, 3), ([1, 0], 2)])
def test_a_made_up_clip_has_every_channel_that_is_judged(channel, channels):
    audio = features_with(channel=channel).audio
    made = in_every_channel(noise(1)[:, 0].astype(np.float32), audio)
    assert made.shape == (RATE, channels)
    assert made.dtype == np.float32
    assert len(to_channels(Recording(made, RATE), audio)) == len(audio.channels)
