"""Lines are whole, whatever happens to the file."""

import os

import pytest

from anomalous_sound.delivery.log_file import EventFile


def test_lines_are_added(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text("before\n")
    file = EventFile(path)
    file.write("a")
    assert path.read_text() == "before\na\n"  # at once
    file.write("b")
    assert path.read_text() == "before\na\nb\n"


def test_it_may_be_moved_away_or_cut(tmp_path):
    path, moved = tmp_path / "events.jsonl", tmp_path / "events.jsonl.1"
    file = EventFile(path)
    file.write("a")
    path.rename(moved)
    file.write("b")
    assert (moved.read_text(), path.read_text()) == ("a\n", "b\n")
    path.rename(moved)
    path.touch()  # as logrotate's `create` does
    file.write("c")
    assert (moved.read_text(), path.read_text()) == ("b\n", "c\n")
    os.truncate(path, 0)  # its `copytruncate`
    file.write("d")
    assert path.read_text() == "d\n"
    path.unlink()
    file.write("e")
    assert path.read_text() == "e\n"


def test_half_a_line_of_a_process_that_was_killed_is_left_alone(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('a\n{"event": "verd')
    EventFile(path).write("b")
    assert path.read_text().splitlines() == ["a", '{"event": "verd', "b"]


def test_a_disk_that_was_full_leaves_no_line_that_is_joined_to_another(tmp_path, monkeypatch):
    path = tmp_path / "events.jsonl"
    file, write = EventFile(path), os.write

    def half(number, content):
        if not path.read_bytes():
            return write(number, content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space left"):
        file.write("abcd")
    monkeypatch.setattr(os, "write", write)
    file.write("e")
    assert path.read_text() == "ab\ne\n"


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(OSError):
        EventFile(tmp_path / "none" / "events.jsonl")
