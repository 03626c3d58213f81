import hashlib

import pytest

from anomalous_sound.audio import checks as module
from anomalous_sound.audio.checks import CHECK_COLUMNS, ClipChecks
from anomalous_sound.audio.decode import AudioFile
from anomalous_sound.errors import UnreadableClipError

SETTINGS = {"sample_rate": 16000, "channel": 0}


@pytest.fixture
def clip(tmp_path, write_clip) -> AudioFile:
    return AudioFile(write_clip(tmp_path / "a.wav"))


def counts(checks):
    return checks.computed, checks.reused


def test_facts_of_a_clip(clip):
    check = ClipChecks().check(clip, **SETTINGS)
    assert check.sha256 == hashlib.sha256(clip.path.read_bytes()).hexdigest()
    assert (check.reason, check.sample_rate, check.channels) == ("", 16000, 1)
    assert (check.duration_s, check.mono_samples) == (1.0, 16000)
    mono = clip.recording().samples[:, 0]
    assert check.mono_sha256 == hashlib.sha256(mono.tobytes()).hexdigest()


def test_the_same_bytes_and_settings_are_checked_once(clip, monkeypatch):
    first = ClipChecks()
    found = first.check(clip, **SETTINGS)
    assert counts(first) == (1, 0)
    monkeypatch.setattr(module, "decode_recording", None)  # calling it would fail
    second = ClipChecks(first.table())
    assert second.check(clip, **SETTINGS) == found
    assert counts(second) == (0, 1)
    assert second.table().equals(first.table())


@pytest.mark.parametrize("changed", [{"sample_rate": 8000}, {"channel": "mean"}])
def test_other_settings_are_checked_anew(clip, changed):
    first = ClipChecks()
    first.check(clip, **SETTINGS)
    second = ClipChecks(first.table())
    second.check(clip, **SETTINGS | changed)
    assert counts(second) == (1, 0)


def test_other_bytes_and_other_code_are_checked_anew(clip, write_clip, monkeypatch):
    first = ClipChecks()
    first.check(clip, **SETTINGS)
    monkeypatch.setattr(module, "decoding_version", lambda: "another")
    second = ClipChecks(first.table())
    second.check(clip, **SETTINGS)
    assert counts(second) == (1, 0)
    monkeypatch.undo()
    write_clip(clip.path, seed=9)
    third = ClipChecks(first.table())
    third.check(clip, **SETTINGS)
    assert counts(third) == (1, 0)


def test_a_rejection_is_remembered_with_its_reason(clip):
    clip.path.write_text("text")
    first = ClipChecks()
    reason = first.check(clip, **SETTINGS).reason
    assert "cannot be decoded as audio" in reason
    second = ClipChecks(first.table())
    assert second.check(clip, **SETTINGS).reason == reason
    assert counts(second) == (0, 1)


def test_a_file_that_cannot_be_read_is_not_remembered(tmp_path):
    checks = ClipChecks()
    with pytest.raises(UnreadableClipError, match="it cannot be read"):
        checks.check(AudioFile(tmp_path / "gone.wav"), **SETTINGS)
    assert checks.table().empty
    assert list(checks.table().columns) == CHECK_COLUMNS


def test_a_table_of_another_form_is_not_used(clip):
    first = ClipChecks()
    first.check(clip, **SETTINGS)
    second = ClipChecks(first.table().drop(columns="reason"))
    second.check(clip, **SETTINGS)
    assert counts(second) == (1, 0)
