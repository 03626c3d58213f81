"""A full disk ends a run in a sentence; ``full_disk.py`` tries more sizes."""

import pytest
from robustness.full_disk import can_mount, disk, fill_disks, results, written_mb
from support import Project

pytestmark = pytest.mark.slow


def test_a_run_on_a_full_disk_ends_in_a_sentence_and_goes_on_when_there_is_room(
    simulated_run, tmp_path
):
    if not can_mount():
        pytest.skip("only root can mount a small disk, on Linux")
    try:
        with disk(tmp_path / "tried", 1):
            pass
    except OSError as refused:
        pytest.skip(f"no small disk can be mounted: {refused}")
    size_mb = written_mb(simulated_run) / 2
    count = fill_disks(lambda: Project(tmp_path / "project"), results(simulated_run), [size_mb])
    assert count.full == 1
    assert count.differences == []
    assert count.wrong == []
