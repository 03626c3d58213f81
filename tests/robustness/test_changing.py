"""Recordings may change while a run reads them; ``changing.py --moments 100`` changes more."""

import pytest
from robustness.changing import change_recordings, make_recordings
from support import Project

pytestmark = pytest.mark.slow


def test_recordings_that_change_during_a_run_end_it_in_a_sentence_or_are_rejected(tmp_path):
    recordings = make_recordings(tmp_path / "press")
    project = Project(tmp_path / "project")
    count = change_recordings(project, recordings, moments=2, seed=5)
    assert count.wrong == []
    assert count.ended.total() == 1
    assert count.ended["with a traceback"] == 0
