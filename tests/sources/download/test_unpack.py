import errno
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from file_server import CHUNK, clip, development, zip_of, zip_with_link

from anomalous_sound.errors import InputError
from anomalous_sound.sources.download.unpack import unpack

GOOD = "slider/train/normal_id_00_00000000.wav"
SOURCE = {"archive": "a.zip", "licence": "CC BY 4.0"}


@pytest.fixture
def unpacked(tmp_path):
    """Write an archive and unpack it to data/slider; nothing else may appear in data/."""

    def unpack_bytes(contents):
        (tmp_path / "a.zip").write_bytes(contents)
        folder = tmp_path / "data" / "slider"
        unpack(tmp_path / "a.zip", folder, source=SOURCE, chunk_bytes=CHUNK)
        return folder

    return unpack_bytes


def refused(unpacked, contents, tmp_path):
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(InputError) as error:
        unpacked(contents)
    assert "a.zip" in str(error.value)
    after = {path for path in tmp_path.rglob("*") if path.is_file() or path.is_symlink()}
    assert after - before <= {tmp_path / "a.zip"}
    assert not (tmp_path / "data" / "slider").exists()
    return str(error.value)


def files(folder):
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_folder_in_the_archive_of_the_same_name_is_not_repeated(unpacked):
    folder = unpacked(zip_of({"slider/": b"", GOOD: clip(0), "slider/test/a.wav": b"x"}))
    assert files(folder) == {"train/normal_id_00_00000000.wav", "test/a.wav", "source.json"}
    assert (folder / "train/normal_id_00_00000000.wav").read_bytes() == clip(0)
    assert json.loads((folder / "source.json").read_text()) == SOURCE
    assert files(folder.parent) == {f"slider/{name}" for name in files(folder)}


def test_other_top_folders_stay(unpacked):
    folder = unpacked(zip_of({GOOD: clip(0), "README.md": b"read me"}))
    assert files(folder) == {GOOD, "README.md", "source.json"}


@pytest.mark.parametrize(
    "name",
    [
        "../planted.wav",
        "slider/../../planted.wav",
        "slider/train/..",
        "/tmp/planted.wav",
        "C:/planted.wav",
        "c:planted.wav",
        "..\\planted.wav",
        "slider\\..\\..\\planted.wav",
    ],
)
def test_a_path_that_leaves_the_folder_is_refused(unpacked, tmp_path, name):
    message = refused(unpacked, zip_of({GOOD: clip(0), name: clip(1)}), tmp_path)
    assert f"its entry '{name}' " in message
    assert not Path("/tmp/planted.wav").exists()


@pytest.mark.parametrize("target", ["/etc", "../../..", "train"])
def test_a_link_is_refused(unpacked, tmp_path, target):
    message = refused(unpacked, zip_with_link("slider/link", target), tmp_path)
    assert "its entry 'slider/link' is a link" in message


def test_another_kind_of_file_is_refused(unpacked, tmp_path):
    pipe = zipfile.ZipInfo("slider/pipe")
    pipe.create_system, pipe.external_attr = 3, 0o010644 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(pipe, b"")
    message = refused(unpacked, (tmp_path / "a.zip").read_bytes(), tmp_path)
    assert "'slider/pipe' is no regular file" in message


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_the_same_name_are_refused(unpacked, tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(GOOD, clip(0))
        archive.writestr(GOOD, clip(1))
    message = refused(unpacked, (tmp_path / "a.zip").read_bytes(), tmp_path)
    assert "several files of the same name" in message


def test_a_file_that_is_also_a_folder_is_refused(unpacked, tmp_path):
    message = refused(unpacked, zip_of({"slider/a": b"x", "slider/a/b": b"y"}), tmp_path)
    assert "cannot be unpacked" in message


@pytest.mark.parametrize(
    "damage",
    [
        lambda contents: b"no zip at all",
        lambda contents: contents[: len(contents) // 2],
        lambda contents: contents[:200] + bytes(64) + contents[264:],
    ],
    ids=["other", "cut off", "overwritten"],
)
def test_a_damaged_archive_leaves_nothing(unpacked, tmp_path, damage):
    message = refused(unpacked, damage(development("slider")), tmp_path)
    assert "is no zip archive that can be unpacked" in message


def test_an_encrypted_archive_is_refused(unpacked, tmp_path):
    contents = bytearray(zip_of({GOOD: b"x"}))
    contents[contents.index(b"PK\x01\x02") + 8] |= 1
    assert "is encrypted" in refused(unpacked, bytes(contents), tmp_path)


def test_room_is_made_sure_of_beforehand(unpacked, tmp_path, monkeypatch):
    bomb = zip_of({"slider/train/silence.wav": bytes(5_000_000)})
    assert len(bomb) < 10_000
    usage = shutil._ntuple_diskusage(0, 0, 4_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    message = refused(unpacked, bomb, tmp_path)
    assert "unpacking a.zip needs 5.00 MB, and only 4.00 MB is free" in message


def test_a_disk_that_fills_up_leaves_nothing(unpacked, tmp_path, monkeypatch):
    original = Path.open

    def open_on_a_full_disk(path, mode="r", *arguments, **options):
        if mode == "xb" and path.name.startswith("anomaly"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_on_a_full_disk)
    assert "the disk is full" in refused(unpacked, development("slider"), tmp_path)


def test_what_was_there_stays_if_the_new_archive_is_refused(unpacked, tmp_path):
    folder = unpacked(development("slider"))
    before = files(folder)
    with pytest.raises(InputError):
        unpacked(zip_of({"slider/../../planted.wav": b"x"}))
    assert files(folder) == before
    unpacked(zip_of({GOOD: clip(9)}))
    assert files(folder) == {"train/normal_id_00_00000000.wav", "source.json"}
