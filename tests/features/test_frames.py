import numpy as np
import pytest

from anomalous_sound.features.frames import Frames

CLIPS = {
    name: np.random.default_rng(frames).random((frames, 6)).astype(np.float32)
    for name, frames in (("a.wav", 30), ("b.wav", 12))
}


@pytest.fixture
def frames() -> Frames:
    return Frames.in_memory(CLIPS)


def test_clips_in_memory(frames):
    assert dict(frames.clips()).keys() == CLIPS.keys()
    for clip_id, values in frames.clips():
        assert values is CLIPS[clip_id]
    assert frames.n_bands == 6
    assert frames.rows(["b.wav", "a.wav"]).tolist() == [1, 0]
    assert frames.frame_counts(["b.wav", "a.wav"]).tolist() == [12, 30]


def test_segments_do_not_go_beyond_their_clip(frames):
    assert frames.segments(frames.rows(["b.wav"]), np.array([1]), 11).shape == (1, 11, 6)
    with pytest.raises(ValueError, match=r"b.wav has 12 rows; rows 2 to 13 were asked for"):
        frames.segments(frames.rows(["b.wav"]), np.array([2]), 11)
    with pytest.raises(ValueError, match="rows -1 to 10 were asked for"):
        frames.segments(frames.rows(["b.wav"]), np.array([-1]), 11)
