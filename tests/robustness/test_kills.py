"""A run that is killed leaves nothing that the next one would trust; ``make kills`` kills more."""

import pytest
from robustness.kills import kill_runs, results
from support import Project

pytestmark = pytest.mark.slow


def test_a_run_after_killed_ones_gives_what_an_unbroken_one_gives(simulated_run, tmp_path):
    count = kill_runs(
        lambda: Project(tmp_path / "project"), results(simulated_run), kills=2, in_a_row=2, seed=3
    )
    assert count.kills >= 1
    assert count.differences == []
    assert count.wrong == []
