"""Every file of the catalog is written whole or not at all."""

import errno

import fsspec
import pandas as pd
import pytest
import yaml
from kedro.io import DatasetError
from support import REPOSITORY

from anomalous_sound import datasets
from anomalous_sound.errors import InputError, input_error_behind

TABLE = pd.DataFrame({"a": [1, 2]})
DATA = {
    "CSVDataset": (TABLE, 3 * TABLE),
    "SubmissionDataset": (TABLE, 3 * TABLE),
    "ParquetDataset": (TABLE, 3 * TABLE),
    "JSONDataset": ({"a": 1}, {"a": 3, "b": object()}),  # of which JSON knows the first half
    "TextDataset": ("before", "afterwards"),
}


def same(one, other):
    return one.equals(other) if isinstance(one, pd.DataFrame) else one == other


@pytest.mark.parametrize("name", DATA)
def test_an_interrupted_file_stays_as_it_was(tmp_path, monkeypatch, name):
    before, after = DATA[name]
    dataset = getattr(datasets, name)(filepath=str(tmp_path / "a" / "file"))
    dataset.save(before)

    class Full:
        """A file that takes some bytes and no more."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, content):
            self.file.write(content[:1])
            raise OSError(errno.ENOSPC, "No space left on device")

    whole = fsspec.AbstractFileSystem.open
    opened = lambda *arguments, **options: Full(whole(*arguments, **options))  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(type(dataset._fs), "open", opened)
        with pytest.raises(DatasetError) as raised:
            dataset.save(after)
    if name != "JSONDataset":
        error = raised.value
        while not isinstance(error, InputError):
            error = error.__cause__
        assert f"{tmp_path}/a/file cannot be written: No space left" in str(error)
    assert same(dataset.load(), before)
    assert {path.name for path in (tmp_path / "a").iterdir()} - {".file.sha256"} == {"file"}


def test_an_interrupted_folder_stays_as_it_was(tmp_path):
    dataset = datasets.FolderDataset(
        path=str(tmp_path / "folder"),
        filename_suffix=".csv",
        dataset={"type": "anomalous_sound.datasets.CSVDataset", "save_args": {"index": False}},
    )
    dataset.save({"a": TABLE, "b": TABLE})
    with pytest.raises(DatasetError):
        dataset.save({"a": 3 * TABLE, "c": "no table"})
    assert {name: load().equals(TABLE) for name, load in dataset.load().items()} == {
        "a": True,
        "b": True,
    }
    dataset.save({"c": TABLE})
    assert [path.name for path in tmp_path.rglob("*.csv")] == ["c.csv"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", ["CSVDataset", "ParquetDataset", "JSONDataset"])
def test_a_file_that_was_changed_is_refused_and_can_be_replaced(tmp_path, name):
    dataset = getattr(datasets, name)(filepath=str(tmp_path / "file"))
    dataset.save(DATA[name][0])
    whole = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(whole + b"\n")
    with pytest.raises(DatasetError) as raised:
        dataset.load()
    assert f"{tmp_path}/file is not as it was written" in str(input_error_behind(raised.value))
    dataset.save(DATA[name][0])
    assert same(dataset.load(), DATA[name][0])


def test_what_an_earlier_run_has_left_is_not_believed_if_it_was_changed(tmp_path):
    path = tmp_path / "table.parquet"
    datasets.ParquetDataset(filepath=str(path)).save(TABLE)
    earlier = datasets.EarlierTableDataset(filepath=str(path))
    assert earlier.load().equals(TABLE)
    (2 * TABLE).to_parquet(path)
    assert earlier.load().empty


def test_no_dataset_of_the_catalog_writes_in_place():
    types = set()

    def collect(values):
        if isinstance(values, dict):
            types.update(v for k, v in values.items() if k in ("type", "dataset") and v == str(v))
            for value in values.values():
                collect(value)

    for path in (REPOSITORY / "conf").rglob("catalog*.yml"):
        collect(yaml.safe_load(path.read_text()))
    others = {name for name in types if not name.startswith("anomalous_sound.datasets.")}
    assert others == {"kedro_mlflow.io.artifacts.MlflowArtifactDataset"}
