"""Clips are kept whole, within bounds, and labelled in one step."""

import errno
import os
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from support import RATE, corpus_summary, describe_network, noise

from anomalous_sound.command.watch.kept import Feedback, Keeper, KeptClips
from anomalous_sound.corpus.decode import AudioFile, Recording
from anomalous_sound.decision.verdict import Verdict
from anomalous_sound.delivery.event import new_event
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.vocabulary import Decision


@pytest.fixture
def kept(tmp_path):
    return KeptClips(tmp_path / "kept")


def add(kept, samples=None, **values):
    event = new_event("verdict", {"machine_id": "00", "decision": "anomalous", **values})
    samples = np.zeros((100, 1), np.float32) if samples is None else samples
    kept.add(event, Recording(samples, RATE))
    return event


def names(kept, feedback=Feedback.NEW):
    return [clip.folder.name for clip in kept.clips(feedback)]


@pytest.mark.parametrize(
    ("samples", "subtype"),
    [
        (np.array([[0, 1], [-(2**15), 2**15 - 1]], np.float32) / 2**15, "PCM_16"),
        (np.array([[1.0]], np.float32), "FLOAT"),
        (np.array([[1e-9], [0.5]], np.float32), "FLOAT"),
        (noise(1).astype(np.float32), "FLOAT"),
    ],
)
def test_no_bit_of_the_sound_is_lost(kept, samples, subtype):
    event = add(kept, samples, source="a\nb")
    (clip,) = kept.clips(Feedback.NEW)
    assert np.array_equal(AudioFile(clip.audio).recording().samples, samples)
    assert soundfile.info(clip.audio).subtype == subtype
    assert clip.event == event
    assert sorted(path.name for path in clip.folder.iterdir()) == [clip.audio.name, "event.json"]


def test_what_was_said_moves_a_clip_and_can_be_said_anew(kept):
    event, other = add(kept), add(kept)
    (clip,) = kept.label(event["id"], Feedback.FAULT, "a loose\nbelt")
    assert clip.audio.is_file()
    assert clip.event["feedback"]["note"] == "a loose\nbelt"
    assert (names(kept), names(kept, Feedback.FAULT)) == ([other["id"]], [event["id"]])
    kept.label(event["id"], Feedback.NORMAL, "")
    assert (names(kept, Feedback.FAULT), names(kept, Feedback.NORMAL)) == ([], [event["id"]])
    (clip,) = kept.clips(Feedback.NORMAL)
    assert clip.event["feedback"]["label"] == "normal"
    assert clip.event["id"] == event["id"]


def test_that_nothing_can_be_written_is_told(kept, monkeypatch):
    event = add(kept)

    def read_only(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", read_only)
        with pytest.raises(InputError, match=f"normal/{event['id']} cannot be written: Read-only"):
            kept.label(event["id"], Feedback.NORMAL, "")
    assert names(kept) == [event["id"]]


def test_an_alarm_stands_for_the_clips_that_voted(kept):
    keeper = Keeper(kept, None, most_clips=9, most_bytes=10**9)
    told = {}
    for machine_id, number in (("00", 0), ("00", 1), ("02", 2), ("00", 3)):
        told[number] = new_event("verdict", {"machine_id": machine_id})
        recording = Recording(np.zeros((100, 1), np.float32), RATE)
        one = replace(verdict(None), machine_id=machine_id)
        keeper.keep(told[number], one, recording, print)
    alarm = new_event("alarm", {"machine_id": "00", "votes": 2})
    keeper.raised(alarm)
    keeper.raised(new_event("alarm", {"machine_id": "07", "votes": 2}))
    labelled = kept.label(alarm["id"], Feedback.NORMAL, "")
    assert {clip.event["id"] for clip in labelled} == {told[1]["id"], told[3]["id"]}
    assert sorted(names(kept)) == sorted([told[0]["id"], told[2]["id"]])


@pytest.mark.parametrize("name", ["", "..", "../new", "new", "20260101T000000000-0000000000", "*"])
def test_what_is_not_kept_is_said(kept, name, tmp_path):
    event = add(kept)
    with pytest.raises(InputError, match=f"1 wait for feedback, the newest: {event['id']}"):
        kept.label(name, Feedback.NORMAL, "")
    with pytest.raises(InputError, match="0 wait for feedback"):
        KeptClips(tmp_path / "elsewhere").label(name, Feedback.NORMAL, "")


def test_the_oldest_without_feedback_go(kept, monkeypatch):
    ids = [f"2026010{day}T000000000-0000000000" for day in range(1, 7)]
    for name in ids:
        kept.add({"id": name}, Recording(np.zeros((100, 1), np.float32), RATE))
    kept.label(ids[0], Feedback.NORMAL, "")
    size = sum(path.stat().st_size for path in (kept.folder / "new" / ids[1]).iterdir())
    assert kept.drop_oldest(5, 5 * size) == 0
    assert kept.drop_oldest(4, 10 * size) == 1
    assert names(kept) == ids[2:]
    assert kept.drop_oldest(4, 2 * size) == 2
    assert names(kept) == ids[4:]
    assert names(kept, Feedback.NORMAL) == ids[:1]
    assert len(list((kept.folder / "new").iterdir())) == 2


def test_what_was_killed_while_it_was_written_is_no_clip(kept):
    event = add(kept)
    (kept.folder / "new" / (event["id"] + ".incomplete")).mkdir()
    assert names(kept) == [event["id"]]
    assert kept.drop_oldest(1, 10**6) == 0


def described(segment_s):
    summary = corpus_summary(segment_s=segment_s)
    return describe_network("lstm", {"hidden_size": 4, "num_layers": 1}, corpus=summary)


def verdict(source, start_s=0.0):
    return Verdict(1.0, 0.5, Decision.ANOMALOUS, 0.1, (), (), source=source, start_s=start_s)


def test_of_a_long_recording_the_clip_is_kept(kept, tmp_path, write_clip):
    path = write_clip(tmp_path / "hour.wav", noise(3, 3.4))
    whole = AudioFile(path).recording().samples
    keeper = Keeper(kept, described(1.0), most_clips=9, most_bytes=10**9)
    for start_s, samples in [
        (1.0, whole[RATE : 2 * RATE]),
        (2.4, whole[-RATE:]),  # the last one ends with the recording
    ]:
        event = new_event("verdict", {})
        keeper.keep(event, verdict(path, start_s), None, print)
        (clip,) = [one for one in kept.clips(Feedback.NEW) if one.event["id"] == event["id"]]
        assert np.array_equal(AudioFile(clip.audio).recording().samples, samples)
    with pytest.raises(UnreadableClipError, match="has changed since it was judged"):
        keeper.keep(new_event("verdict", {}), verdict(path, 0.5), None, print)
    path.unlink()
    with pytest.raises(UnreadableClipError):
        keeper.keep(new_event("verdict", {}), verdict(path), None, print)
    assert len(names(kept)) == 2


def test_that_clips_had_to_go_is_said_at_first_and_then_now_and_again(kept):
    told = []
    keeper = Keeper(kept, described(1.0), most_clips=1, most_bytes=10**9)
    recording = Recording(np.zeros((100, 1), np.float32), RATE)
    for _ in range(103):
        keeper.keep(
            new_event("verdict", {}), verdict(None), recording, lambda *one: told.append(one)
        )
    counts = [what.partition(": ")[2].partition(";")[0] for _, what in told]
    assert counts == ["1", "100"]


def test_a_damaged_event_is_told(kept):
    event = add(kept)
    for content in ("{", "[]"):
        (kept.folder / "new" / event["id"] / "event.json").write_text(content)
        with pytest.raises(InputError, match="event.json .*delete the folder"):
            kept.clips(Feedback.NEW)
