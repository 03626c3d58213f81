import logging
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from anomalous_sound.compute import short_tasks
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
    return FramesDataset(filepath=str(tmp_path / "log_mel"))


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


def file_of(dataset, key) -> Path:
    return Path(dataset._filepath) / f"{key}.npy"


def assert_holds(dataset, names):
    frames = dataset.load()
    assert frames.index.clip_id.tolist() == list(names)
    for name in names:
        np.testing.assert_array_equal(frames.clip(name), CLIPS[name])
    # and any reader of npy files reads the same
    keys = dict(zip(frames.index.clip_id, frames.index.key, strict=True))
    for name in names:
        np.testing.assert_array_equal(np.load(file_of(dataset, keys[name])), CLIPS[name])


def assert_holds_nothing_but(dataset, names):
    assert_holds(dataset, names)
    files = {path.name for path in Path(dataset._filepath).iterdir()}
    index = {"index.parquet", ".index.parquet.sha256"}
    assert files == index | {f"{key}.npy" for key in dataset.load().index.key}


def test_clips_of_any_length_come_back(dataset, promise):
    assert not dataset.exists()
    dataset.save(promise())
    assert dataset.exists()
    assert dataset.load().index.frames.tolist() == [313, 11, 5000, 1]
    assert dataset.load().n_bands == 8
    assert_holds(dataset, "abcd")


def test_frames_on_shared_storage(promise, computed):
    dataset = FramesDataset(filepath="memory://test_frames/log_mel")
    assert not dataset.exists()
    dataset.save(promise())
    dataset.save(promise("bac"))
    assert dataset.exists()
    assert computed == list("abcd")
    frames = dataset.load()
    assert frames.index.clip_id.tolist() == list("bac")
    np.testing.assert_array_equal(frames.clip("c"), CLIPS["c"])
    segments = frames.segments(frames.rows("ca"), np.array([17, 302]), 11)
    np.testing.assert_array_equal(segments[1], CLIPS["a"][302:])


def test_any_segments_are_read(dataset, promise):
    dataset.save(promise())
    frames = dataset.load()
    rng = np.random.default_rng(1)
    names = [*rng.choice(list("abc"), 60), *"bbccccc"]
    first = [*(rng.integers(0, len(CLIPS[name]) - 10) for name in names[:60])]
    first = np.array([*first, 0, 0, 4989, 4989, 4978, 0, 11])
    expected = [CLIPS[name][row : row + 11] for name, row in zip(names, first, strict=True)]
    for order in (np.arange(67), rng.permutation(67)):
        rows = frames.rows(names)[order]
        segments = frames.segments(rows, first[order], 11)
        np.testing.assert_array_equal(segments, np.stack(expected)[order])
    assert frames.segments(rows[:0], first[:0], 11).shape == (0, 11, 8)
    with pytest.raises(ValueError, match="has 5000 rows; rows 4990 to 5001 were asked for"):
        frames.segments(frames.rows("c"), np.array([4990]), 11)


def read_segment(frames, row):
    return frames.segments(np.array([row]), np.array([0]), 11)[0]


def test_several_processes_read(dataset, promise):
    dataset.save(promise())
    frames = dataset.load()
    read_segment(frames, 0)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        read = list(pool.map(partial(read_segment, frames), [0, 1, 2] * 4))
    for name, segment in zip("abc" * 4, read, strict=True):
        np.testing.assert_array_equal(segment, CLIPS[name][:11])


def test_one_clip_is_in_memory_at_a_time(dataset, promise, computed):
    dataset.save(promise())
    assert computed == list("abcd")


def test_several_threads_write_the_same(promise, tmp_path, computed):
    one, many = (FramesDataset(filepath=str(tmp_path / f"{n}"), jobs=n) for n in (1, 3))
    one.save(promise())
    many.save(promise())
    assert sorted(computed) == sorted("abcd" * 2)
    assert_holds(many, "abcd")
    for name in "abcd":
        assert file_of(one, name).read_bytes() == file_of(many, name).read_bytes()


def test_a_failure_in_a_thread_is_told_and_gone_on_with(promise, tmp_path, computed):
    dataset = FramesDataset(filepath=str(tmp_path / "log_mel"), jobs=2)

    def fail():
        raise OSError("disk full")

    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(promise("ab") | {"c": PromisedFrames("c", fail)} | promise("d"))
    assert not dataset.exists()
    dataset.save(promise())
    assert_holds(dataset, "abcd")


def test_nothing_is_computed_twice(dataset, promise, computed, caplog):
    dataset.save(promise())
    written = {path: path.stat() for path in Path(dataset._filepath).iterdir()}
    with caplog.at_level(logging.INFO):
        dataset.save(promise())
    assert computed == list("abcd")
    assert {path: path.stat() for path in Path(dataset._filepath).iterdir()} == written
    assert "all 4 clips re-used" in caplog.text


def test_only_what_changed_is_computed(dataset, promise, computed):
    dataset.save(promise("abc"))
    dataset.save(promise("bd") | promise("c", version="2"))
    assert computed == list("abc") + list("dc")
    assert_holds_nothing_but(dataset, "bdc")


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


def test_what_an_interrupted_run_has_left_is_told(dataset, promise, caplog):
    dataset.save(promise("a"))
    with pytest.raises(Killed):
        dataset.save(promise(killed_at="c"))
    with caplog.at_level(logging.INFO):
        dataset.save(promise())
    told = "Log-mel frames: 2 clips computed, 1 re-used, 1 taken from an interrupted run."
    assert caplog.messages[-1] == told


DAMAGES = {
    "torn": lambda content: content[:-5],
    "torn header": lambda content: content[:70],
    "too long": lambda content: content + b"more",
    "empty": lambda _: b"",
    "no npy file": lambda content: b"\xff\xfe" + content[2:],
    "another shape": lambda content: content.replace(b"(11, 8)", b"(8, 11)"),
    "one dimension": lambda content: content.replace(b"(11, 8)", b"(88,)  "),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_file_that_is_not_whole_is_computed_again(dataset, promise, computed, damage):
    def promised(**options):
        return {name: replace(clip, n_bands=8) for name, clip in promise("abc", **options).items()}

    def damage_b():
        damaged = damage(file_of(dataset, "b").read_bytes())
        assert damaged != file_of(dataset, "b").read_bytes()
        file_of(dataset, "b").write_bytes(damaged)
        computed.clear()

    with pytest.raises(Killed):
        dataset.save(promised(killed_at="c"))
    # as a killed write would leave it
    (file_of(dataset, "c").parent / "c.npy.0123.incomplete").write_bytes(b"half")
    damage_b()
    dataset.save(promised())
    assert computed == ["b", "c"]
    assert_holds_nothing_but(dataset, "abc")
    damage_b()
    dataset.save(promised())
    assert computed == ["b"]
    assert_holds_nothing_but(dataset, "abc")


def test_an_index_that_cannot_be_read_is_written_again(dataset, promise, computed):
    dataset.save(promise())
    index = Path(dataset._filepath) / "index.parquet"
    index.write_bytes(index.read_bytes()[:100])
    dataset.save(promise())
    assert computed == list("abcd")
    assert_holds(dataset, "abcd")


def test_a_bit_flipped_in_the_index_changes_nothing(dataset, promise):
    # some make pandas or pyarrow fail with errors of any kind, some are other numbers
    dataset.save(promise("ab"))
    index = Path(dataset._filepath) / "index.parquet"
    whole = index.read_bytes()
    for place in range(0, 8 * len(whole), 173):  # of all bits of a byte
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        index.write_bytes(content)
        dataset.save(promise("ab"))
        assert_holds(dataset, "ab")
        assert dataset.load().channels == 1


def test_clips_of_the_same_audio_share_a_file(dataset, promise, computed, caplog):
    twice = promise("ab") | {"c": promise("a")["a"]}
    for _ in range(2):
        dataset.save(twice)
    assert computed == ["a", "b"]
    frames = dataset.load()
    np.testing.assert_array_equal(frames.clip("c"), frames.clip("a"))
    assert len(list(Path(dataset._filepath).glob("*.npy"))) == 2


def test_what_was_left_of_other_settings_is_not_taken(dataset, promise, computed):
    with pytest.raises(Killed):
        dataset.save(promise(killed_at="c"))
    dataset.save(promise("ab", version="2"))
    assert computed == list("ab") * 2
    assert_holds_nothing_but(dataset, "ab")


def test_a_failed_writing_leaves_what_was_there(dataset, promise):
    dataset.save(promise("a"))

    def fail():
        raise OSError("disk full")

    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(promise("b") | {"c": PromisedFrames("c", fail)})
    assert_holds(dataset, "a")


def test_frames_that_were_damaged_on_the_disk_are_computed_anew(dataset, promise, computed, caplog):
    dataset.save(promise())
    computed.clear()
    content = bytearray(file_of(dataset, "c").read_bytes())
    content[-7] ^= 4
    file_of(dataset, "c").write_bytes(content)
    dataset.save(promise())
    assert computed == ["c"]
    assert "c.npy was damaged; it has been computed anew" in caplog.text
    assert_holds(dataset, "abcd")


def two_frames(level):
    return np.full((2, 3), level, np.float32)


@pytest.mark.slow
def test_processes_write_what_threads_would(tmp_path, monkeypatch):
    monkeypatch.setattr(short_tasks, "_FEWEST_TASKS", 40)
    promised = {f"{n:02}": PromisedFrames(f"k{n:02}", partial(two_frames, n)) for n in range(40)}
    dataset = FramesDataset(filepath=str(tmp_path / "log_mel"), jobs=4)
    dataset.save(promised)
    frames = dataset.load()
    assert frames.index.clip_id.tolist() == list(promised)
    for level, (_, clip) in enumerate(frames.clips()):
        np.testing.assert_array_equal(clip, two_frames(level))
    assert frames.index.crc32.tolist() == [zlib.crc32(two_frames(n).data) for n in range(40)]
