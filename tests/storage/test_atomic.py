import errno
from types import SimpleNamespace

import pytest

from anomalous_sound.errors import InputError
from anomalous_sound.storage import atomic
from anomalous_sound.storage.atomic import replaced_file, replaced_folder


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("replaced", [replaced_file, replaced_folder])
def test_a_disk_that_takes_nothing_is_told_and_leaves_what_was_there(tmp_path, replaced, number):
    path = tmp_path / "place"
    if replaced is replaced_file:
        path.write_text("before")
    else:
        path.mkdir()
    told = pytest.raises(InputError, match=r"place cannot be written: .* is unchanged")
    with told, replaced(path):
        try:
            raise OSError(number, "as the system says")
        except OSError as error:
            raise RuntimeError("as a library says") from error
    assert [one.name for one in tmp_path.iterdir()] == ["place"]


def test_a_library_that_hides_that_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda path: SimpleNamespace(free=4096))
    told = pytest.raises(InputError, match="cannot be written: No space left on device")
    with told, replaced_file(tmp_path / "a" / "b"):
        raise RuntimeError("unexpected pos 64 vs 0")


def test_a_sentence_that_says_more_stays(tmp_path):
    with pytest.raises(InputError, match="^unpacking needs room$"), replaced_file(tmp_path / "a"):
        raise InputError("unpacking needs room") from OSError(errno.ENOSPC, "full")


def test_any_other_error_stays_what_it_is(tmp_path):
    with pytest.raises(KeyError), replaced_file(tmp_path / "a"):
        raise KeyError("b")
    assert not list(tmp_path.iterdir())
