import errno
import hashlib
import shutil
import time
from collections import namedtuple
from pathlib import Path

import pytest
from file_server import CHUNK, DOWNLOAD

from anomalous_sound.errors import InputError
from anomalous_sound.sources.download.fetch import RemoteFile, fetch
from anomalous_sound.sources.download.settings import DownloadSettings

CONTENTS = b"".join(bytes([n % 251]) * 101 for n in range(1000))  # 101 000 bytes
HALF = len(CONTENTS) // 2 // CHUNK * CHUNK  # what has arrived of a half: whole chunks
NAME = "slider.zip"


@pytest.fixture
def remote(file_server):
    listed = file_server.add(NAME, CONTENTS)
    return RemoteFile(NAME, file_server.url.replace("{name}", NAME), listed["md5"], listed["bytes"])


def get(remote, folder, **changed):
    return fetch(remote, folder, DownloadSettings(**DOWNLOAD | changed))


def without_size(remote):
    return RemoteFile(remote.name, remote.url, remote.md5, None)


def only_file(folder):
    [path] = folder.iterdir()
    return path.name


def sent(server):
    return [(request.range, request.sent) for request in server.requests]


def refused(remote, folder, **changed):
    with pytest.raises(InputError) as error:
        get(remote, folder, **changed)
    message = str(error.value)
    assert NAME in message
    assert "\n" not in message
    return message


def test_a_file_arrives_and_is_not_asked_for_again(remote, file_server, tmp_path):
    path = get(remote, tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / NAME
    assert path.read_bytes() == CONTENTS
    assert only_file(path.parent) == NAME
    get(remote, path.parent)
    assert sent(file_server) == [(None, len(CONTENTS))]


@pytest.mark.parametrize("how", ["drop", "stall"])
def test_a_connection_that_breaks_off_is_gone_on_with(remote, file_server, tmp_path, how):
    file_server.plan = [how]
    path = get(remote, tmp_path, timeout_s=0.5)
    assert path.read_bytes() == CONTENTS
    first, second = file_server.requests
    start = int(second.range.removeprefix("bytes=").removesuffix("-"))
    assert HALF <= start <= first.sent
    assert second.sent == len(CONTENTS) - start


def test_an_interrupted_download_goes_on_in_the_next_call(remote, file_server, tmp_path):
    file_server.always = "drop"
    assert "which resumes where it stopped" in refused(remote, tmp_path, retries=0)
    part = tmp_path / f"{NAME}.part"
    assert only_file(tmp_path) == part.name
    assert part.stat().st_size == HALF
    file_server.always = None
    file_server.requests.clear()
    assert get(remote, tmp_path).read_bytes() == CONTENTS
    assert sent(file_server) == [(f"bytes={HALF}-", len(CONTENTS) - HALF)]
    assert only_file(tmp_path) == NAME


def test_retries_are_not_used_up_while_something_arrives(remote, file_server, tmp_path):
    file_server.plan = ["drop"] * 4
    assert get(remote, tmp_path, retries=1).read_bytes() == CONTENTS
    assert len(file_server.requests) == 5


def test_a_server_without_ranges_is_started_over_with(remote, file_server, tmp_path):
    file_server.ignores_ranges = True
    file_server.plan = ["drop"]
    assert get(remote, tmp_path).read_bytes() == CONTENTS
    assert sent(file_server)[1] == (f"bytes={HALF}-", len(CONTENTS))


def test_a_server_without_ranges_that_always_breaks_off_is_given_up(remote, file_server, tmp_path):
    file_server.ignores_ranges = True
    file_server.always = "drop"
    assert "slider.zip cannot be downloaded" in refused(remote, tmp_path)
    assert len(file_server.requests) <= 2 + DOWNLOAD["retries"]


def test_another_range_than_asked_for_is_not_appended(remote, file_server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENTS[:HALF])
    file_server.plan = ["shifted"]
    assert get(remote, tmp_path).read_bytes() == CONTENTS
    assert sent(file_server)[1] == (None, len(CONTENTS))


@pytest.mark.parametrize("how", [None, "drop", "slow", "no length"])
def test_the_size_need_not_be_known(remote, file_server, tmp_path, how):
    file_server.plan = [how]
    assert get(without_size(remote), tmp_path).read_bytes() == CONTENTS


def test_a_whole_part_of_unknown_size_is_only_checked(remote, file_server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENTS)
    assert get(without_size(remote), tmp_path).read_bytes() == CONTENTS
    assert sent(file_server) == [(f"bytes={len(CONTENTS)}-", 0)]


def test_a_whole_part_of_known_size_is_not_asked_for(remote, file_server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENTS)
    assert get(remote, tmp_path).read_bytes() == CONTENTS
    assert not file_server.requests


@pytest.mark.parametrize("size", [None, len(CONTENTS)])
def test_a_part_longer_than_the_file_is_dropped(remote, file_server, tmp_path, size):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENTS + b"more")
    remote = RemoteFile(remote.name, remote.url, remote.md5, size)
    assert get(remote, tmp_path).read_bytes() == CONTENTS


def test_a_slow_server_is_waited_for(remote, file_server, tmp_path):
    file_server.plan = ["slow"]
    assert get(remote, tmp_path).read_bytes() == CONTENTS
    assert len(file_server.requests) == 1


def test_a_wrong_file_is_downloaded_once_more(remote, file_server, tmp_path):
    file_server.plan = ["wrong"]
    assert get(remote, tmp_path).read_bytes() == CONTENTS
    assert sent(file_server) == [(None, len(CONTENTS))] * 2


def test_a_file_that_stays_wrong_is_not_kept(remote, file_server, tmp_path):
    file_server.always = "wrong"
    found = hashlib.md5(bytes(255 - value for value in CONTENTS)).hexdigest()
    message = refused(remote, tmp_path)
    assert f"arrived twice with the wrong md5: {found}" in message
    assert remote.md5 in message
    assert not list(tmp_path.iterdir())
    assert len(file_server.requests) == 2


def test_a_part_of_another_file_is_found_out(remote, file_server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(b"?" * HALF)
    assert get(remote, tmp_path).read_bytes() == CONTENTS
    assert sent(file_server)[1] == (None, len(CONTENTS))


def test_a_file_of_another_size_is_not_even_received(remote, file_server, tmp_path):
    file_server.add(NAME, b"<html>The archive is being maintained.</html>")
    message = refused(remote, tmp_path)
    assert f"answers with 45 bytes, and the published {NAME} has {len(CONTENTS)}" in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_file_that_is_not_there_is_told_at_once(remote, file_server, tmp_path, status):
    file_server.always = status
    message = refused(remote, tmp_path)
    assert f"{remote.url} answers {status} " in message
    assert f"save it as {tmp_path / NAME};" in message
    assert len(file_server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(remote, file_server, tmp_path, status):
    file_server.plan = [status, status]
    assert get(remote, tmp_path).read_bytes() == CONTENTS
    assert len(file_server.requests) == 3


def test_a_server_that_stays_in_trouble_is_given_up(remote, file_server, tmp_path):
    file_server.always = 503
    message = refused(remote, tmp_path)
    assert "answers 503 Service Unavailable; try again later, or get it" in message
    assert len(file_server.requests) == 1 + DOWNLOAD["retries"]


def test_a_server_that_asks_to_wait_is_given_the_time(remote, file_server, tmp_path):
    file_server.plan = [(429, {"Retry-After": "1"})]
    started = time.monotonic()
    get(remote, tmp_path)
    assert time.monotonic() - started >= 1


def test_without_a_server_one_sentence_says_what_to_do_by_hand(remote, file_server, tmp_path):
    file_server.stop()
    message = refused(remote, tmp_path)
    assert message.startswith(f"{NAME} cannot be downloaded from {remote.url} (")
    assert "Connection refused" in message
    assert "object at 0x" not in message
    assert f"save it as {tmp_path / NAME}; its md5 ({remote.md5}) is checked" in message
    (tmp_path / NAME).write_bytes(CONTENTS)
    assert get(remote, tmp_path) == tmp_path / NAME


def test_a_wrong_file_put_there_by_hand_is_told_and_left_alone(remote, file_server, tmp_path):
    (tmp_path / NAME).write_bytes(b"something else")
    message = refused(remote, tmp_path)
    assert hashlib.md5(b"something else").hexdigest() in message
    assert f"expected {remote.md5}" in message
    assert (tmp_path / NAME).read_bytes() == b"something else"
    assert not file_server.requests


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("known", "requests"), [(True, 0), (False, 1)])
def test_room_is_made_sure_of_beforehand(
    remote, file_server, tmp_path, monkeypatch, known, requests
):
    needed = round(len(CONTENTS) * (1 + DOWNLOAD["unpacked_ratio"]))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, needed - 1))
    message = refused(remote if known else without_size(remote), tmp_path)
    assert "needs 252.50 kB, and only 252.50 kB is free" in message
    assert len(file_server.requests) == requests
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, needed))
    get(remote, tmp_path)


class Full:
    """A file on a disk that has room for so many bytes only."""

    def __init__(self, file, room):
        self._file, self._room = file, room

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def write(self, data):
        if self._file.tell() + len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._file.write(data)


def test_a_disk_that_fills_up_keeps_what_has_arrived(remote, file_server, tmp_path, monkeypatch):
    original = Path.open

    def open_on_a_full_disk(path, mode="r", *arguments, **options):
        file = original(path, mode, *arguments, **options)
        return Full(file, 10 * CHUNK) if path.suffix == ".part" and mode in ("wb", "ab") else file

    monkeypatch.setattr(Path, "open", open_on_a_full_disk)
    message = refused(remote, tmp_path)
    left = round(len(CONTENTS) * 2.5) - 10 * CHUNK
    assert f"the disk is full; {NAME} needs {left / 1000:.2f} kB more, to download and" in message
    assert (tmp_path / f"{NAME}.part").stat().st_size == 10 * CHUNK
    monkeypatch.undo()
    file_server.requests.clear()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    get(remote, tmp_path)
    assert sent(file_server) == [(f"bytes={10 * CHUNK}-", len(CONTENTS) - 10 * CHUNK)]


def test_a_folder_that_cannot_be_written_is_told(remote, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "cannot be written" in refused(remote, tmp_path / "file")


def test_nothing_is_trusted_when_the_process_ends_before_the_check(
    remote, file_server, tmp_path, monkeypatch
):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("anomalous_sound.sources.download.fetch.md5_of", stop)
    with pytest.raises(KeyboardInterrupt):
        get(remote, tmp_path)
    assert only_file(tmp_path) == f"{NAME}.part"
