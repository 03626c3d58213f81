"""A file whose checksum lies beside it is not trusted once it is other than it was written."""

import hashlib
import subprocess

import pytest

from anomalous_sound.errors import InputError
from anomalous_sound.storage.seal import check_seal, sealed_path


def write(path, content):
    with sealed_path(path) as incomplete:
        incomplete.write_bytes(content)


def test_the_checksum_lies_beside_the_file_as_sha256sum_reads_it(tmp_path):
    path = tmp_path / "a" / "my table.csv"
    write(path, b"a,b\n")
    check_seal(path)
    beside = tmp_path / "a" / ".my table.csv.sha256"
    digest = hashlib.sha256(b"a,b\n").hexdigest()
    assert beside.read_text() == f"{digest}  my table.csv\n"
    assert subprocess.run(["sha256sum", "--check", beside.name], cwd=beside.parent).returncode == 0


@pytest.mark.parametrize("content", [b"", b"a,b", b"a,b\n\n", b"a,c\n"])
def test_a_file_that_somebody_has_changed_is_told(tmp_path, content):
    write(tmp_path / "table.csv", b"a,b\n")
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"table\.csv is not as it was written.*--from-nodes"):
        check_seal(tmp_path / "table.csv")
    write(tmp_path / "table.csv", content)
    check_seal(tmp_path / "table.csv")


def test_a_checksum_that_somebody_has_changed_is_told(tmp_path):
    write(tmp_path / "table.csv", b"a,b\n")
    (tmp_path / ".table.csv.sha256").write_bytes(b"\xff")
    with pytest.raises(InputError, match="is not as it was written"):
        check_seal(tmp_path / "table.csv")


def test_a_file_of_an_earlier_version_has_none(tmp_path):
    (tmp_path / "table.csv").write_bytes(b"a,b\n")
    check_seal(tmp_path / "table.csv")


def test_an_interrupted_writer_leaves_file_and_checksum_as_they_were(tmp_path):
    write(tmp_path / "table.csv", b"a,b\n")
    with pytest.raises(KeyboardInterrupt), sealed_path(tmp_path / "table.csv") as incomplete:
        incomplete.write_bytes(b"a")
        raise KeyboardInterrupt
    check_seal(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_bytes() == b"a,b\n"
    assert len([*tmp_path.iterdir()]) == 2


def test_a_file_that_is_replaced_while_it_is_looked_at_is_not_called_changed(tmp_path, monkeypatch):
    write(tmp_path / "table.csv", b"a,b\n")
    whole, calls = hashlib.file_digest, []

    def slow(file, name):
        found = whole(file, name)
        if not calls:
            calls.append(name)
            write(tmp_path / "table.csv", b"c,d\n")
        return found

    monkeypatch.setattr(hashlib, "file_digest", slow)
    check_seal(tmp_path / "table.csv")
