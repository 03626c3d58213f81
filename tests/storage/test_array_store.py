from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from anomalous_sound.errors import InputError
from anomalous_sound.storage.array_store import ArraysInMemory, ArrayStore

VALUES = np.arange(40 * 3, dtype=np.float32).reshape(40, 3)


@pytest.fixture(params=["path", "file://", "memory://"])
def store(request, tmp_path) -> ArrayStore:
    folder = tmp_path / "arrays"
    return ArrayStore(folder if request.param == "path" else f"{request.param}{folder}")


def test_arrays_come_back_whole_and_in_part(store):
    assert not store.has("a")
    store.write("a", VALUES)
    assert store.has("a")
    assert store.shape("a") == (40, 3)
    np.testing.assert_array_equal(store.read("a"), VALUES)
    np.testing.assert_array_equal(store.read_rows("a", 7, 19), VALUES[7:19])
    assert store.read_rows("a", 40, 40).shape == (0, 3)
    for start, stop in ((-1, 3), (39, 41), (3, 2)):
        with pytest.raises(ValueError, match=f"rows {start} to {stop} were asked for"):
            store.read_rows("a", start, stop)


def test_reading_in_memory_is_the_same():
    store = ArraysInMemory({"a": VALUES})
    assert store.shape("a") == (40, 3)
    np.testing.assert_array_equal(store.read_rows("a", 7, 19), VALUES[7:19])
    with pytest.raises(ValueError, match="rows 39 to 41 were asked for"):
        store.read_rows("a", 39, 41)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", "<i8", ">f4"])
@pytest.mark.parametrize("shape", [(5,), (0, 4), (3, 4), (2, 3, 4)])
def test_any_numbers_of_any_shape(store, dtype, shape):
    values = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    store.write("a", values)
    assert store.read("a").dtype == np.dtype(dtype)
    np.testing.assert_array_equal(store.read("a"), values)


def test_an_array_is_replaced(store):
    store.write("a", VALUES)
    store.read("a")
    store.write("a", VALUES[:5].T)
    np.testing.assert_array_equal(store.read("a"), VALUES[:5].T)


def test_an_array_that_is_not_there(store):
    with pytest.raises(FileNotFoundError):
        store.read("a")


@pytest.mark.parametrize(
    "keys",
    [
        ["train/a.wav", "train", "../a.wav", "/etc/passwd", "..", ".", ""],
        ["a", "A", "ä", "a\0b", "con:", "a*?[b]", "%2F", " a", "x" * 5000],
    ],
)
def test_any_key_becomes_a_file_in_the_folder(tmp_path, keys):
    store = ArrayStore(tmp_path / "arrays")
    for number, key in enumerate(keys):
        store.write(key, np.full(2, number))
    for number, key in enumerate(keys):
        assert store.read(key).tolist() == [number, number]
    files = list((tmp_path / "arrays").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["arrays"]
    # and none of them is another one where upper and lower case are the same
    assert len({path.name.lower() for path in files}) == len(keys)


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    store = ArrayStore(tmp_path)
    store.write("a", VALUES)

    def fail_half_way(file, array):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "save", fail_half_way)
    for key in "ab":
        with pytest.raises(OSError, match="disk full"):
            store.write(key, VALUES + 1)
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
    np.testing.assert_array_equal(store.read("a"), VALUES)
    assert not store.has("b")


def test_a_damaged_file_is_told(tmp_path):
    store = ArrayStore(tmp_path)
    store.write("a", VALUES)
    content = Path(store.path("a")).read_bytes()
    np.save(tmp_path / "fortran.npy", np.asfortranarray(VALUES))
    np.save(tmp_path / "number.npy", np.float32(1))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "short.npy").write_bytes(content[:-1])
    (tmp_path / "long.npy").write_bytes(content + b"1")
    (tmp_path / "text.npy").write_text("text")
    for key in ("fortran", "number", "objects", "short", "long", "text"):
        with pytest.raises(ValueError, match=f"{key}.npy is damaged"):
            store.read(key)


def test_no_bit_of_an_array_is_flipped_in_silence(store):
    store.write("a", VALUES)
    path = store.path("a")
    whole = store._files.cat_file(path)
    for place in range(0, 8 * len(whole), 7):  # of all bits of a byte
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        store._files.pipe_file(path, bytes(content))
        with pytest.raises(InputError, match="a.npy is damaged: .*run the whole pipeline again"):
            type(store)(store.url).read("a")


def test_a_file_of_numpy_or_of_an_earlier_version_is_read(tmp_path):
    np.save(tmp_path / "a.npy", VALUES)
    np.testing.assert_array_equal(ArrayStore(tmp_path).read("a"), VALUES)
    ArrayStore(tmp_path).write("b", VALUES)
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy", mmap_mode="r"), VALUES)


def test_a_file_that_was_cut_after_it_was_opened_is_told(tmp_path):
    store = ArrayStore(tmp_path)
    store.write("a", VALUES)
    store.read("a")
    path = Path(store.path("a"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="ends before row 40"):
        store.read_rows("a", 30, 40)


def test_only_what_is_asked_for_is_kept(store):
    for key in ("a", "b", "train/c"):
        store.write(key, VALUES)
    with store.replaced_file("index.txt") as file:
        file.write(b"index")
    store.write_file("table", b"sealed")
    store.keep_only(["b", "train/c"])
    assert [store.has(key) for key in ("a", "b", "train/c")] == [False, True, True]
    assert store.read_file("table") == b"sealed"
    assert store.read_file("index.txt") == b"index"  # without a checksum, as of an earlier version


def test_a_file_that_was_changed_is_not_read(store):
    store.write_file("table", b"a,b")
    store.write_file("table", b"a,b,c")
    assert store.read_file("table") == b"a,b,c"
    with store.replaced_file("table") as file:
        file.write(b"a,b,d")
    with pytest.raises(InputError, match="/table is not as it was written"):
        store.read_file("table")
    with pytest.raises(FileNotFoundError):
        store.read_file("other")


def test_threads_that_read_at_once_get_their_own_rows(tmp_path):
    store = ArrayStore(tmp_path)
    arrays = {f"{n}": np.arange(4000 * 3, dtype=np.float32).reshape(4000, 3) + n for n in range(5)}
    for key, values in arrays.items():
        store.write(key, values)
    starts = np.random.default_rng(0).integers(0, 3990, 2000).tolist()
    asked = [(f"{place % 5}", start) for place, start in enumerate(starts)]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda of: store.read_rows(of[0], of[1], of[1] + 10), asked)
    for (key, start), rows in zip(asked, found, strict=True):
        np.testing.assert_array_equal(rows, arrays[key][start : start + 10])


def test_no_file_stays_open(tmp_path):
    open_files = Path("/proc/self/fd")
    if not open_files.is_dir():
        pytest.skip("the system does not list open files")
    store = ArrayStore(tmp_path)
    before = len(list(open_files.iterdir()))
    for number in range(30):
        store.write(f"{number}", VALUES)
        store.read_rows(f"{number}", 3, 5)
    assert len(list(open_files.iterdir())) == before
