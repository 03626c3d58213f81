"""A store that an interrupted creation has left is recognised, and one that holds runs is kept."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from anomalous_sound.tracking import store
from anomalous_sound.tracking.store import prepare_store


@pytest.fixture(scope="module")
def creation(tmp_path_factory):
    """What lies on the disk after each step that MLflow takes to make a store; the last is whole.

    A step that is being written has a journal beside it, which takes it back.
    """
    folder = tmp_path_factory.mktemp("creation")
    path = folder / "mlflow.db"
    steps: list[tuple[bytes, bytes]] = []

    def look(*arguments):
        if path.exists() and path.stat().st_size:
            journal = Path(f"{path}-journal")
            steps.append((path.read_bytes(), journal.read_bytes() if journal.exists() else b""))

    def rarely(*arguments, calls=[]):  # noqa: B006
        calls.append(1)
        if len(calls) % 25 == 0:
            look()

    events = [("after_cursor_execute", rarely), ("commit", look)]
    for name, listener in events:
        event.listen(Engine, name, listener)
    try:
        MlflowClient(f"sqlite:///{path}").search_experiments()
    finally:
        for name, listener in events:
            event.remove(Engine, name, listener)
    return [*dict.fromkeys(steps), (path.read_bytes(), b"")]


def put(path, step):
    content, journal = step
    path.write_bytes(content)
    if journal:
        Path(f"{path}-journal").write_bytes(journal)


def test_a_store_is_half_made_after_every_step_but_the_last(
    creation, tmp_path, monkeypatch, caplog
):
    whole = tmp_path / "whole.db"
    whole.write_bytes(creation[-1][0])
    monkeypatch.setattr(store, "_make_whole", lambda path: shutil.copy(whole, path))
    unfinished = [step for step in creation if step != creation[-1] and not holds_experiment(step)]
    assert len(unfinished) > 10
    for number, step in enumerate(unfinished):
        path = tmp_path / str(number) / "mlflow.db"
        path.parent.mkdir()
        put(path, step)
        caplog.clear()
        prepare_store(f"sqlite:///{path}", 1)
        assert path.read_bytes() == whole.read_bytes()
        assert path.with_name("mlflow.db.half-made").is_file()
        assert not list(path.parent.glob("mlflow.db-*"))
        (said,) = (record.getMessage() for record in caplog.records)
        assert f"{path} was left half-made" in said
        assert "\n" not in said


def holds_experiment(step):
    # the last transaction may be on the disk already, with its journal not yet removed
    return not step[1] and b"Default" in step[0]


def test_a_store_with_an_experiment_is_kept_and_so_is_what_is_no_store(creation, tmp_path, caplog):
    path = tmp_path / "mlflow.db"
    put(path, creation[-1])
    prepare_store(f"sqlite:///{path}", 1)
    assert path.read_bytes() == creation[-1][0]
    # one of an earlier version of MLflow, and a database of somebody else
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0'")
        connection.execute("DROP TABLE workspaces")
        connection.commit()
    prepare_store(f"sqlite:///{path}", 1)
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE stock (part TEXT)")
        connection.execute("INSERT INTO stock VALUES ('belt')")
        connection.commit()
    prepare_store(f"sqlite:///{tmp_path / 'other.db'}", 1)
    assert not list(tmp_path.glob("*.half-made"))
    assert not caplog.records
    (tmp_path / "text.db").write_text("no database")
    with pytest.raises(sqlite3.DatabaseError):
        prepare_store(f"sqlite:///{tmp_path / 'text.db'}", 1)
