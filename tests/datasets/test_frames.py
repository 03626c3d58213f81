import numpy as np
import pytest
from kedro.io import DatasetError

from anomalous_sound.datasets import FramesDataset


@pytest.fixture
def dataset(tmp_path) -> FramesDataset:
    return FramesDataset(path=str(tmp_path / "log_mel"))


def test_clips_of_any_length_come_back(dataset):
    rng = np.random.default_rng(0)
    clips = {name: rng.random((frames, 8)) for name, frames in (("a", 313), ("b", 11), ("c", 5000))}
    assert not dataset.exists()
    dataset.save({name: lambda name=name: clips[name] for name in clips})
    assert dataset.exists()
    frames = dataset.load()
    assert isinstance(frames.values, np.memmap)
    assert frames.values.dtype == np.float32
    assert frames.index.first_frame.tolist() == [0, 313, 324]
    for name, values in clips.items():
        np.testing.assert_array_equal(frames.clip(name), values.astype(np.float32))


def test_one_clip_is_in_memory_at_a_time(dataset):
    alive = []

    def clip(number):
        def compute():
            alive.append(number)
            return np.full((3, 2), number, dtype=np.float32)

        return compute

    dataset.save({str(number): clip(number) for number in range(5)})
    assert alive == list(range(5))


def test_a_failed_writing_leaves_what_was_there(dataset, tmp_path):
    dataset.save({"a": lambda: np.ones((3, 2))})

    def fail():
        raise OSError("disk full")

    with pytest.raises(DatasetError, match="disk full"):
        dataset.save({"b": lambda: np.zeros((3, 2)), "c": fail})
    assert dataset.load().index.clip_id.tolist() == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["log_mel"]


def test_what_a_killed_writing_left_is_not_loaded(dataset, tmp_path):
    left = tmp_path / "log_mel.incomplete"
    left.mkdir()
    (left / "frames.npy").write_bytes(b"half")
    assert not dataset.exists()
    dataset.save({"a": lambda: np.ones((3, 2))})
    assert dataset.load().clip("a").shape == (3, 2)
    assert not left.exists()
