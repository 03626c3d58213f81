"""A run that is taken up in the middle trusts nothing that was changed since it was written."""

import shutil

import numpy as np
import pandas as pd
import pytest
from support import Project

from anomalous_sound.errors import input_error_behind
from anomalous_sound.features.frames import Frames
from anomalous_sound.scoring.band_errors import BandErrors

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def taken_up(simulated_run, tmp_path_factory):
    """A project with the results of a run, to be damaged."""
    place = tmp_path_factory.mktemp("taken_up") / "project"
    shutil.copytree(simulated_run.path, place)
    return Project.existing(place)


def files_of(dataset, project):
    """Return the files of a dataset, but those that hold checksums of others."""
    place = project.path / str(dataset._describe()["filepath"])
    found = sorted(place.rglob("*")) if place.is_dir() else [place]
    return [path for path in found if path.is_file() and not path.name.startswith(".")]


def use(loaded):
    """Read what is read when it is used."""
    if isinstance(loaded, Frames):
        rows = np.arange(len(loaded.index))
        loaded.segments(rows, np.zeros_like(rows), 10)
    if isinstance(loaded, BandErrors):
        for clip_id in loaded.index.clip_id.unique():
            loaded.clip(clip_id)


def test_a_changed_byte_is_noticed_in_whatever_a_later_node_reads(taken_up):
    from kedro.framework.project import pipelines

    with taken_up.session(detector="slider") as session:
        catalog = session.load_context().catalog
    pipeline = pipelines["lstm"]
    names = sorted(pipeline.all_outputs() & pipeline.all_inputs())
    files = [(name, path) for name in names for path in files_of(catalog.get(name), taken_up)]
    assert {name for name, _ in files} == set(names)
    for name, path in files:
        use(catalog.load(name))
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 1
        path.write_bytes(changed)
        with pytest.raises(Exception) as raised:
            use(catalog.load(name))
        path.write_bytes(whole)
        told = str(input_error_behind(raised.value))
        assert str(path.parent) in told, f"{path}: {told}"


def test_a_table_that_somebody_has_changed_ends_the_run_in_a_sentence(taken_up):
    arguments = ("run", "--pipeline", "lstm", "--from-nodes", "lstm.training.train_network")
    path = taken_up.data("04_feature", "slider", "windows.parquet")
    pd.read_parquet(path).iloc[:-1].to_parquet(path)  # as any program reads and writes it
    code, output = taken_up.command(*arguments)
    assert code == 1
    assert "windows.parquet is not as it was written" in output
    assert "without --from-nodes" in output
    assert "Traceback" not in output
    assert taken_up.command("run", "--pipeline", "lstm")[0] == 0  # makes it anew
    assert taken_up.command(*arguments)[0] == 0
