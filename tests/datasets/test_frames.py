import logging

import numpy as np
import pytest
from kedro.io import DatasetError

from anomalous_sound.datasets import FramesDataset
from anomalous_sound.features.frames import PromisedFrames

RNG = np.random.default_rng(0)
CLIPS = {
    name: RNG.random((frames, 8)).astype(np.float32)
    for name, frames in (("a", 313), ("b", 11), ("c", 5000), ("d", 1))
}


class Killed(BaseException):
    """Like a signal: nothing in between catches it."""


@pytest.fixture
def dataset(tmp_path) -> FramesDataset:
    return FramesDataset(path=str(tmp_path / "log_mel"))


@pytest.fixture
def computed() -> list[str]:
    """The clips that were computed, in order."""
    return []


@pytest.fixture
def promise(computed):
    def make(names: str = "abcd", *, version: str = "", killed_at: str = ""):
        def compute(name):
            if name == killed_at:
                raise Killed
            computed.append(name)
            return CLIPS[name]

        return {
            name: PromisedFrames(name + version, lambda name=name: compute(name)) for name in names
        }

    return make


def assert_holds(dataset, names):
    frames = dataset.load()
    assert frames.index.clip_id.tolist() == list(names)
    for name in names:
        np.testing.assert_array_equal(frames.clip(name), CLIPS[name])
    # and any reader of npy files reads the same
    whole = np.load(dataset._path / "frames.npy")
    np.testing.assert_array_equal(whole, np.concatenate([CLIPS[name] for name in names]))


def test_clips_of_any_length_come_back(dataset, promise):
    assert not dataset.exists()
    dataset.save(promise())
    assert dataset.exists()
    assert dataset.load().index.first_frame.tolist() == [0, 313, 324, 5324]
    assert_holds(dataset, "abcd")


def test_any_stretches_are_read(dataset, promise):
    dataset.save(promise())
    frames = dataset.load()
    whole = np.concatenate(list(CLIPS.values()))
    first = np.array([17, 5314, 0, 17])
    expected = np.stack([whole[row : row + 11] for row in first])
    np.testing.assert_array_equal(frames.stretches(first, 11), expected)
    assert frames.stretches(first[:0], 11).shape == (0, 11, 8)
    with pytest.raises(ValueError, match="ends before row 5326"):
        frames.stretches(np.array([5315]), 11)


def test_one_clip_is_in_memory_at_a_time(dataset, promise, computed):
    dataset.save(promise())
    assert computed == list("abcd")


def test_several_threads_write_the_same(promise, tmp_path, computed):
    one, many = (FramesDataset(path=str(tmp_path / f"{n}"), jobs=n) for n in (1, 3))
    one.save(promise())
    many.save(promise())
    assert sorted(computed) == sorted("abcd" * 2)
    assert_holds(many, "abcd")
    assert (one._path / "frames.npy").read_bytes() == (many._path / "frames.npy").read_bytes()


def test_a_failure_in_a_thread_is_told_and_gone_on_with(promise, tmp_path, computed):
    dataset = FramesDataset(path=str(tmp_path / "log_mel"), jobs=2)

    def fail():
        raise OSError("disk full")

    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(promise("ab") | {"c": PromisedFrames("c", fail)} | promise("d"))
    assert not dataset.exists()
    dataset.save(promise())
    assert_holds(dataset, "abcd")


def test_nothing_is_computed_twice(dataset, promise, computed, caplog):
    dataset.save(promise())
    written = (dataset._path / "frames.npy").stat()
    with caplog.at_level(logging.INFO):
        dataset.save(promise())
    assert computed == list("abcd")
    assert (dataset._path / "frames.npy").stat() == written
    assert "all 4 clips re-used" in caplog.text


def test_only_what_changed_is_computed(dataset, promise, computed):
    dataset.save(promise("abc"))
    dataset.save(promise("bd") | promise("c", version="2"))
    assert computed == list("abc") + list("dc")
    assert_holds(dataset, "bdc")


def test_other_settings_compute_everything(dataset, promise, computed):
    dataset.save(promise())
    dataset.save(promise(version="2"))
    assert computed == list("abcd") * 2


def test_a_clip_under_another_name_is_not_computed_again(dataset, promise, computed):
    dataset.save(promise("a"))
    dataset.save({"e": promise("a")["a"]})
    assert computed == ["a"]
    np.testing.assert_array_equal(dataset.load().clip("e"), CLIPS["a"])


def test_a_killed_writing_is_gone_on_with(dataset, promise, computed, tmp_path):
    with pytest.raises(Killed):
        dataset.save(promise(killed_at="c"))
    assert not dataset.exists()
    dataset.save(promise())
    assert computed == list("abcd")
    assert_holds(dataset, "abcd")
    assert [path.name for path in tmp_path.iterdir()] == ["log_mel"]


@pytest.mark.parametrize(
    ("file", "damage", "trusted"),
    [
        ("frames.npy", lambda content: content[:-5], "a"),  # torn data
        ("frames.npy", lambda content: content[:-5] + b"\0" * 5, "a"),  # a hole in the data
        ("frames.npy", lambda content: content + b"more", "ab"),  # data before its journal
        ("frames.npy", lambda _: b"", ""),
        ("journal.jsonl", lambda content: content[:-7], "a"),  # torn journal
        ("journal.jsonl", lambda content: content + b'{"clip_id": "c", ', "ab"),
        ("journal.jsonl", lambda _: b"\xff\xfe no journal\n", ""),
        ("journal.jsonl", lambda _: b"", ""),
    ],
)
def test_what_is_half_written_is_not_trusted(
    dataset, promise, computed, tmp_path, file, damage, trusted
):
    with pytest.raises(Killed):
        dataset.save(promise(killed_at="c"))
    left = tmp_path / "log_mel.incomplete" / file
    left.write_bytes(damage(left.read_bytes()))
    computed.clear()
    dataset.save(promise())
    assert computed == [name for name in "abcd" if name not in trusted]
    assert_holds(dataset, "abcd")


def test_what_was_left_of_other_settings_is_not_taken(dataset, promise, computed):
    with pytest.raises(Killed):
        dataset.save(promise(killed_at="c"))
    dataset.save(promise("ab", version="2"))
    assert computed == list("ab") * 2
    assert_holds(dataset, "ab")


def test_a_failed_writing_leaves_what_was_there(dataset, promise):
    dataset.save(promise("a"))

    def fail():
        raise OSError("disk full")

    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(promise("b") | {"c": PromisedFrames("c", fail)})
    assert_holds(dataset, "a")


def test_frames_that_are_not_whole_are_computed_again(dataset, promise, computed):
    dataset.save(promise())
    file = dataset._path / "frames.npy"
    file.write_bytes(file.read_bytes()[:1000])
    dataset.save(promise())
    assert computed == list("abcd") * 2
    assert_holds(dataset, "abcd")
