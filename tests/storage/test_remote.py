"""Recordings, arrays, checkpoints and folders behind a URL."""

import pickle
import stat
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from features_of_report import FEATURES
from s3_server import S3Server

from anomalous_sound.corpus.folder import open_corpus
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.storage import array_store
from anomalous_sound.storage.array_store import ArrayStore
from anomalous_sound.storage.remote import (
    RemotePath,
    fetched_folder,
    place_of,
    sent_folder,
    without_secrets,
)
from anomalous_sound.training.checkpoint import RemoteCheckpoint


@pytest.fixture(scope="module")
def s3():
    with pytest.MonkeyPatch.context() as patch:
        server = S3Server(patch)
        server.make_bucket("sound")
        yield server
        server.stop()


@pytest.mark.parametrize("url", ["s3://sound/a/b.wav", "memory://a/b.wav"])
def test_the_parts_of_a_url(url):
    path = place_of(url + "/")
    assert str(path) == url
    assert (path.name, path.stem, path.suffix) == ("b.wav", "b", ".wav")
    assert str(path.parent / "c.csv") == url.replace("b.wav", "c.csv")
    assert pickle.loads(pickle.dumps(path)) == path


def test_recordings_are_listed_and_read_as_from_a_folder(s3, dcase_folder):
    (dcase_folder / ".hidden").mkdir()
    (dcase_folder / ".hidden" / "x.wav").write_bytes(b"no recording")
    (dcase_folder / "notes.txt").write_text("no recording")
    (dcase_folder / "labels.csv").write_text("file,label\ntrain/a.wav,normal\n", encoding="utf-8")
    s3.put(dcase_folder, "s3://sound/hall 3/slider")
    here, there = (
        open_corpus(place_of(str(place)), "audio_dir")
        for place in (dcase_folder, "s3://sound/hall 3/slider")
    )
    assert list(there.recordings) == list(here.recordings)
    assert (there.name, there.folder_name) == ("slider", "slider")
    assert there.labels == here.labels
    clip_id = next(iter(here.recordings))
    np.testing.assert_array_equal(
        there.mono_clip(clip_id, FEATURES.audio), here.mono_clip(clip_id, FEATURES.audio)
    )
    assert there.recordings[clip_id].sha256() == here.recordings[clip_id].sha256()


def test_one_recording_alone(s3, dcase_folder):
    s3.put(dcase_folder, "s3://sound/one/slider")
    name = "normal_id_00_00000000.wav"
    corpus = open_corpus(place_of(f"s3://sound/one/slider/train/{name}"), "audio_dir")
    assert list(corpus.recordings) == [name]
    assert corpus.folder_name == "slider"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://ada:secret@db:5432/runs", "postgresql://ada:***@db:5432/runs"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////a/mlflow.db", "sqlite:////a/mlflow.db"),
        ("/hall 3/ada:secret@press", "/hall 3/ada:secret@press"),
        ("s3://hall/x?token=secret", "s3://hall/x?***"),
        ("/hall 3/what?now", "/hall 3/what?now"),
    ],
)
def test_a_password_is_never_shown(uri, shown):
    assert without_secrets(uri) == shown


@pytest.mark.parametrize("scheme", ["ftp", "sftp"])  # needs paramiko
def test_nor_is_that_of_a_storage_which_cannot_be_reached(scheme):
    place = RemotePath(f"{scheme}://ada:secret@127.0.0.1:9/sound/a.wav")
    with pytest.raises(
        InputError, match=r"ada:\*\*\*@127\.0\.0\.1:9/sound/a\.wav cannot be"
    ) as told:
        place.length()
    assert "secret" not in str(told.value)


def test_nothing_behind_a_url(s3):
    with pytest.raises(InputError, match="s3://sound/nothing does not exist"):
        open_corpus(place_of("s3://sound/nothing"), "audio_dir")


def test_a_recording_that_is_gone_is_unreadable(s3, dcase_folder):
    s3.put(dcase_folder, "s3://sound/gone/slider")
    corpus = open_corpus(place_of("s3://sound/gone/slider"), "audio_dir")
    file = next(iter(corpus.recordings.values()))
    file.path.unlink()
    with pytest.raises(UnreadableClipError, match="cannot be read"):
        file.content()


def test_a_storage_that_does_not_answer_rejects_no_recording(monkeypatch):
    from s3fs import S3FileSystem

    monkeypatch.setattr(S3FileSystem, "retries", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match="s3://sound/a.wav cannot be reached: .*run again"):
        RemotePath("s3://sound/a.wav").open()
    S3FileSystem.clear_instance_cache()


def test_arrays_are_written_whole_and_found_by_others(s3):
    store = ArrayStore("s3://sound/arrays")
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    store.write("a", array)
    others = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(others.read("a"), array)
    np.testing.assert_array_equal(others.read_rows("a", 1, 3), array[1:3])
    assert others.shape("a") == (4, 3)
    with pytest.raises(FileNotFoundError):
        others.read("b")
    with pytest.raises(KeyboardInterrupt), store.replaced_file("a.npy") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    others.write("b", array)
    np.testing.assert_array_equal(ArrayStore("s3://sound/arrays").read("a"), array)
    store.keep_only(["b"])
    assert list(s3.files("s3://sound/arrays")) == ["b.npy"]


def test_rows_are_fetched_once_while_there_is_room(s3, monkeypatch):
    ArrayStore("s3://sound/rows").write("a", np.arange(12).reshape(4, 3))
    ArrayStore("s3://sound/rows").write("b", np.arange(6).reshape(2, 3))
    store = ArrayStore("s3://sound/rows")
    fetched = []
    read = store.read
    monkeypatch.setattr(store, "read", lambda key: fetched.append(key) or read(key))

    def first_rows(keys):
        for key in keys:
            np.testing.assert_array_equal(store.read_rows(key, 0, 2), np.arange(6).reshape(2, 3))

    first_rows("abab")
    assert fetched == ["a", "b"]
    monkeypatch.setattr(array_store, "_KEPT_BYTES", 100)
    first_rows("bab")  # 96 and 48 bytes: each is given up for the other
    assert fetched == ["a", "b", "a", "b"]
    with pytest.raises(ValueError, match="has 4 rows; rows 3 to 5 were asked for"):
        store.read_rows("a", 3, 5)


def test_a_checkpoint_is_found_by_who_goes_on(s3):
    kept = RemoteCheckpoint.at(RemotePath("s3://sound/models/checkpoint.ckpt")).of_member("00/a")
    assert not kept.exists()
    kept.being_written().write_bytes(b"state")
    kept.complete()
    kept.path.unlink()  # as on another machine
    other = RemoteCheckpoint.at(RemotePath("s3://sound/models/checkpoint.ckpt")).of_member("00/a")
    assert other.exists()
    assert other.content() == b"state"
    assert list(s3.files("s3://sound/models")) == ["checkpoint_00_a.ckpt"]
    other.clear()
    other.clear()
    assert not kept.exists()
    assert not other.path.exists()


def test_nobody_else_can_foresee_where_the_copy_of_a_checkpoint_is():
    url = RemotePath("s3://sound/models/checkpoint.ckpt")
    folder = RemoteCheckpoint.at(url).path.parent
    assert folder != Path(tempfile.gettempdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert RemoteCheckpoint.at(url).path.parent == folder


def test_a_folder_is_sent_and_fetched(s3):
    with sent_folder("s3://sound/detector", last="settings.json") as folder:
        (folder / "graphs").mkdir(parents=True)
        (folder / "graphs" / "a.onnx").write_bytes(b"graph")
        (folder / "settings.json").write_text("{}")
    with fetched_folder("s3://sound/detector") as folder:
        files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert files == {"a.onnx": b"graph", "settings.json": b"{}"}


@pytest.mark.parametrize("name", ["/{}/stranger.txt", "../../../../../../{}/stranger.txt"])
def test_nothing_is_fetched_to_a_place_that_a_stranger_names(s3, tmp_path, name):
    url = f"s3://sound/by_strangers_{len(name)}"
    s3.put_object(f"{url}/settings.json", b"{}")
    s3.put_object(f"{url}/{name.format(tmp_path.as_posix().lstrip('/'))}", b"harm")
    # what begins with a dot is no part of a folder, as on a disk
    refused = nullcontext() if name.startswith(".") else pytest.raises(InputError, match="leads ou")
    with refused, fetched_folder(url) as folder:
        assert [path.name for path in folder.rglob("*")] == ["settings.json"]
    assert list(tmp_path.iterdir()) == []
