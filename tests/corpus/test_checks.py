import hashlib
import tracemalloc
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from support import AUDIO_BOUNDS, RATE, noise

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.corpus import checks as module
from anomalous_sound.corpus import decode
from anomalous_sound.corpus.checks import CHECK_COLUMNS, ClipChecks
from anomalous_sound.corpus.decode import AudioFile

AUDIO = AudioSettings(sample_rate=16000, channel=0, **AUDIO_BOUNDS)


@pytest.fixture
def clip(tmp_path, write_clip) -> AudioFile:
    return AudioFile(write_clip(tmp_path / "a.wav"))


WHOLE = SimpleNamespace(segment_s=None, segment_hop_s=None)


def check_one(checks, clip, **changed):
    ((found,),) = checks.check_all([clip], AUDIO.model_copy(update=changed), WHOLE)
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
    monkeypatch.setattr(module, "_check_clip", None)  # calling it would fail
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


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"RIFF"), lambda p: p.unlink()])
def test_what_is_found_of_a_large_file_that_changes_meanwhile_is_not_remembered(
    clip, monkeypatch, change
):
    monkeypatch.setattr(decode, "_MOST_HELD_BYTES", 1000)
    checks, whole, content = ClipChecks(), module._check_clip, clip.path.read_bytes()

    def found_meanwhile(*arguments, **options):
        change(clip.path)
        return whole(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_check_clip", found_meanwhile)
        assert check_one(checks, clip).reason == "it was changed while it was read; run again"
    assert checks.table().empty
    clip.path.write_bytes(content)
    assert check_one(ClipChecks(checks.table()), clip).reason == ""


def test_what_is_found_of_a_file_is_of_the_bytes_that_were_read_once(clip, monkeypatch):
    checks, opened, read = ClipChecks(), [], Path.open

    def opened_once(path, *arguments, **options):
        opened.append(path)
        return read(path, *arguments, **options)

    def found_meanwhile(*arguments, **options):
        clip.path.write_text("text")
        return whole(*arguments, **options)

    content, whole = clip.path.read_bytes(), module._check_clip
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened_once)
        patch.setattr(module, "_check_clip", found_meanwhile)
        found = check_one(checks, clip)
    assert (found.reason, found.sha256) == ("", hashlib.sha256(content).hexdigest())
    assert opened.count(clip.path) == 2  # to read it, and by write_text
    again = ClipChecks(checks.table())
    assert "cannot be decoded" in check_one(again, clip).reason
    clip.path.write_bytes(content)
    assert check_one(again, clip) == found


def test_a_table_of_another_form_is_not_used(clip):
    first = ClipChecks()
    check_one(first, clip)
    second = ClipChecks(first.table().drop(columns="reason"))
    check_one(second, clip)
    assert counts(second) == (1, 0)


def test_no_value_of_an_earlier_table_is_trusted_once_it_is_another(clip):
    first = ClipChecks()
    whole = check_one(first, clip)
    for column in CHECK_COLUMNS:
        table = first.table()
        value = table.at[0, column]
        table[column] = [not value if column == "is_part" else value * 2 or "x"]
        second = ClipChecks(table)
        assert check_one(second, clip) == whole
        assert counts(second) == (1, 0)
    assert check_one(again := ClipChecks(first.table()), clip) == whole
    assert counts(again) == (0, 1)


def test_a_piece_that_an_earlier_table_has_lost_is_checked_anew(tmp_path, write_clip):
    file = AudioFile(write_clip(tmp_path / "a.wav", noise(1, seconds=3.0)))
    first = ClipChecks()
    list(first.check_all([file], AUDIO, SECONDS))
    second = ClipChecks(first.table().drop(index=1))
    (found,) = second.check_all([file], AUDIO, SECONDS)
    assert [check.start_s for check in found] == [0.0, 1.0, 2.0]
    assert counts(second) == (3, 0)


def test_many_threads_find_what_one_finds(tmp_path, write_clip):
    clips = [AudioFile(write_clip(tmp_path / f"{seed}.wav", seed=seed % 4)) for seed in range(6)]
    clips[2].path.write_text("text")
    clips[4].path.unlink()
    one, three = ClipChecks(), ClipChecks()
    found = [check for (check,) in one.check_all(clips, AUDIO, WHOLE)]
    assert [bool(check.reason) for check in found] == [False, False, True, False, True, False]
    assert found[1] == found[5]
    assert [check for (check,) in three.check_all(clips, AUDIO, WHOLE, jobs=3)] == found
    assert three.table().equals(one.table())
    assert three.table().sha256.tolist() == [found[place].sha256 for place in (0, 1, 2, 3)]
    assert counts(three) == counts(one) == (5, 0)


SECONDS = SimpleNamespace(segment_s=1.0, segment_hop_s=None)


def test_a_recording_is_checked_by_the_piece_and_once(tmp_path, write_clip, monkeypatch):
    samples = noise(1, seconds=3.5)
    samples[RATE : 2 * RATE] = 0
    samples[int(3.2 * RATE)] = np.nan
    file = AudioFile(write_clip(tmp_path / "a.wav", samples, subtype="FLOAT"))
    first = ClipChecks()
    (found,) = first.check_all([file], AUDIO, SECONDS)
    assert [check.start_s for check in found] == [0.0, 1.0, 2.0, 2.5]
    assert [check.duration_s for check in found if not check.reason] == [1.0, 1.0]
    assert [check.reason for check in found] == [
        "",
        "all samples are zero",
        "",
        "it holds samples that are NaN or infinite",
    ]
    assert len({check.sha256 for check in found}) == 4
    assert counts(first) == (4, 0)
    monkeypatch.setattr(module, "_check_clip", None)  # calling it would fail
    second = ClipChecks(first.table())
    assert list(second.check_all([file], AUDIO, SECONDS)) == [found]
    assert counts(second) == (0, 4)


@pytest.mark.parametrize("changed", [{"segment_s": 1.5}, {"segment_hop_s": 0.5}])
def test_recordings_cut_in_another_way_are_checked_anew(tmp_path, write_clip, changed):
    file = AudioFile(write_clip(tmp_path / "a.wav", noise(1, seconds=4.0)))
    first = ClipChecks()
    list(first.check_all([file], AUDIO, SECONDS))
    second = ClipChecks(first.table())
    list(second.check_all([file], AUDIO, SimpleNamespace(**vars(SECONDS) | changed)))
    assert second.reused == 0


def test_a_recording_that_ends_early_is_one_rejection(tmp_path, write_clip):
    path = write_clip(tmp_path / "a.flac", noise(1, seconds=4.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    ((check,),) = ClipChecks().check_all([AudioFile(path)], AUDIO, SECONDS)
    assert check.reason
    assert not check.is_part


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_memory_does_not_grow_with_the_recording(tmp_path, suffix):
    """Five minutes are 19 MB of samples; a piece of a second is 64 kB."""
    path = tmp_path / f"long.{suffix}"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for second in range(300):
            file.write(noise(second))
    check = partial(ClipChecks().check_all, [AudioFile(path)], AUDIO, SECONDS)
    list(check())
    tracemalloc.start()
    (found,) = check()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 300
    assert peak < 3_000_000


def test_the_bound_on_length_is_on_a_clip_and_not_on_the_file(tmp_path, write_clip):
    """A file of any length is cut, though whole it would not fit into memory."""
    file = AudioFile(write_clip(tmp_path / "a.wav", noise(1, seconds=10.0), subtype="FLOAT"))
    at_most = lambda samples: AUDIO.model_copy(update={"max_samples": samples})  # noqa: E731
    check = lambda audio, cut: next(ClipChecks().check_all([file], audio, cut))  # noqa: E731
    assert [one.reason for one in check(at_most(RATE), SECONDS)] == [""] * 10
    (one,) = check(at_most(RATE - 1), SECONDS)
    assert one.reason.startswith("it is too long: 16000 samples in all channels")
    (one,) = check(at_most(RATE), WHOLE)
    assert one.reason.startswith("the file is too large")
    (one,) = check(at_most(9 * RATE), WHOLE)
    assert one.reason.startswith("it is too long: 160000 samples")


def test_the_bound_on_a_part_is_on_its_resampled_length(tmp_path, write_clip):
    path = write_clip(tmp_path / "a.wav", noise(1, 4.0, 8000), samplerate=8000)
    check = partial(ClipChecks().check_all, [AudioFile(path)], segments=SECONDS)
    found = next(check(audio=AUDIO.model_copy(update={"max_samples": RATE})))
    assert [(one.reason, one.mono_samples) for one in found] == [("", RATE)] * 4
    (one,) = next(check(audio=AUDIO.model_copy(update={"max_samples": RATE - 1})))
    assert one.reason.startswith("it is too long: 16000 samples once resampled")


def test_an_absurd_rate_is_refused_before_the_recording_is_cut(tmp_path, write_clip, monkeypatch):
    """At 1 Hz every second sample would begin a clip."""
    file = AudioFile(write_clip(tmp_path / "a.wav", samplerate=1))
    monkeypatch.setattr(module, "spans", None)  # calling it would fail
    ((check,),) = ClipChecks().check_all([file], AUDIO, SECONDS)
    assert check.reason.startswith("its sample rate is 1 Hz")
