"""Recordings go the whole way from a folder to a report, as clips."""

import pytest
import soundfile
from support import noise

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    """Two recordings of 12 s and 9.5 s, and a file of 1.5 s."""
    press = tmp_path / "press"
    press.mkdir()
    for seed, (name, seconds) in enumerate({"a": 12.0, "b": 9.5, "c": 1.5}.items()):
        soundfile.write(press / f"{name}.flac", noise(seed, seconds), 16000)
    return press


def test_a_recording_is_trained_on_and_reported_as_clips(project, folder):
    project.run(audio_dir=str(folder), corpus={"segment_s": 1.0})
    clips, rejected = project.load("clips"), project.load("rejected_clips")
    summary = project.load("corpus_summary")
    assert (len(clips), len(rejected), summary.clips_found) == (12 + 10 + 1, 0, 23)
    assert (summary.segment_s, summary.held_out_by) == (1.0, "recordings")
    held_out = clips[clips.split == "validation"]
    assert not set(held_out.recording) & set(clips.recording[clips.split == "train"])
    scores, decisions = project.load("lstm.clip_scores"), project.load("lstm.decisions")
    for table in (scores, decisions):
        told = table.set_index("clip_id")[["recording", "start_s"]]
        expected = clips.set_index("clip_id")[["recording", "start_s"]]
        assert told.loc[expected.index].equals(expected)
    assert set(project.load("lstm.window_errors").clip_id) == set(clips.clip_id)
    assert len(project.load("log_mel").clip("b.flac@000008.500")) == 16000 // 512 + 1
