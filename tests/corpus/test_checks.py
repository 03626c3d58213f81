import hashlib

import pytest
from support import AUDIO_BOUNDS

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.corpus import checks as module
from anomalous_sound.corpus.checks import CHECK_COLUMNS, ClipChecks
from anomalous_sound.corpus.decode import AudioFile

AUDIO = AudioSettings(sample_rate=16000, channel=0, **AUDIO_BOUNDS)


@pytest.fixture
def clip(tmp_path, write_clip) -> AudioFile:
    return AudioFile(write_clip(tmp_path / "a.wav"))


def check_one(checks, clip, **changed):
    (found,) = checks.check_all([clip], AUDIO.model_copy(update=changed))
    return found


def counts(checks):
    return checks.computed, checks.reused


def test_facts_of_a_clip(clip):
    check = check_one(ClipChecks(), clip)
    assert check.sha256 == hashlib.sha256(clip.path.read_bytes()).hexdigest()
    assert (check.reason, check.sample_rate, check.channels) == ("", 16000, 1)
    assert (check.duration_s, check.mono_samples) == (1.0, 16000)
    mono = clip.recording().samples[:, 0]
    assert check.mono_sha256 == hashlib.sha256(mono.tobytes()).hexdigest()


def test_the_same_bytes_and_settings_are_checked_once(clip, monkeypatch):
    first = ClipChecks()
    found = check_one(first, clip)
    assert counts(first) == (1, 0)
    monkeypatch.setattr(module, "decode_recording", None)  # calling it would fail
    second = ClipChecks(first.table())
    assert check_one(second, clip) == found
    assert counts(second) == (0, 1)
    assert second.table().equals(first.table())


@pytest.mark.parametrize("changed", [{"sample_rate": 8000}, {"channel": "mean"}])
def test_other_settings_are_checked_anew(clip, changed):
    first = ClipChecks()
    check_one(first, clip)
    second = ClipChecks(first.table())
    check_one(second, clip, **changed)
    assert counts(second) == (1, 0)


def test_other_bytes_and_other_code_are_checked_anew(clip, write_clip, monkeypatch):
    first = ClipChecks()
    check_one(first, clip)
    monkeypatch.setattr(module, "decoding_identity", lambda: "another")
    second = ClipChecks(first.table())
    check_one(second, clip)
    assert counts(second) == (1, 0)
    monkeypatch.undo()
    write_clip(clip.path, seed=9)
    third = ClipChecks(first.table())
    check_one(third, clip)
    assert counts(third) == (1, 0)


def test_a_rejection_is_remembered_with_its_reason(clip):
    clip.path.write_text("text")
    first = ClipChecks()
    reason = check_one(first, clip).reason
    assert "cannot be decoded as audio" in reason
    second = ClipChecks(first.table())
    assert check_one(second, clip).reason == reason
    assert counts(second) == (0, 1)


def test_a_file_that_cannot_be_read_is_not_remembered(tmp_path):
    checks = ClipChecks()
    reason = check_one(checks, AudioFile(tmp_path / "gone.wav")).reason
    assert reason == "it cannot be read (No such file or directory)"
    assert counts(checks) == (0, 0)
    assert checks.table().empty
    assert list(checks.table().columns) == CHECK_COLUMNS


def test_a_table_of_another_form_is_not_used(clip):
    first = ClipChecks()
    check_one(first, clip)
    second = ClipChecks(first.table().drop(columns="reason"))
    check_one(second, clip)
    assert counts(second) == (1, 0)


def test_many_threads_find_what_one_finds(tmp_path, write_clip):
    clips = [AudioFile(write_clip(tmp_path / f"{seed}.wav", seed=seed % 4)) for seed in range(6)]
    clips[2].path.write_text("text")
    clips[4].path.unlink()
    one, three = ClipChecks(), ClipChecks()
    found = list(one.check_all(clips, AUDIO))
    assert [bool(check.reason) for check in found] == [False, False, True, False, True, False]
    assert found[1] == found[5]
    assert list(three.check_all(clips, AUDIO, jobs=3)) == found
    assert three.table().equals(one.table())
    assert three.table().sha256.tolist() == [found[place].sha256 for place in (0, 1, 2, 3)]
    assert counts(three) == counts(one) == (5, 0)
