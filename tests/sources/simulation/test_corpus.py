import hashlib
import json
from unittest.mock import ANY

import pandas as pd
import pytest
import soundfile as sf

from anomalous_sound.errors import InputError
from anomalous_sound.sources.simulation import corpus
from anomalous_sound.sources.simulation.faults import FAULTS
from anomalous_sound.sources.simulation.settings import SimulationSettings

SETTINGS = {
    "seed": 1,
    "machine_ids": ["00", "04"],
    "duration_s": 2.0,
    "sample_rate": 16_000,
    "training_clips": 2,
    "normal_test_clips": 1,
    "anomalous_test_clips": 3,
    "snr_db": -6.0,
    "snr_jitter_db": 1.5,
    "fault_levels_db": {"obvious": 6.0, "clear": 0.0, "faint": -6.0, "barely_audible": -12.0},
}


def write_corpus(folder, settings, **options):
    corpus.write_corpus(folder, SimulationSettings.parse(settings), **options)


def is_current(folder, settings):
    return corpus.is_current(folder, SimulationSettings.parse(settings))


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.wav"))
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus") / "simulated"
    write_corpus(folder, SETTINGS)
    return folder


def test_files_have_the_layout_of_dcase_2020(written):
    expected = {
        f"{split}/{label}_id_{machine_id}_{number:08d}.wav"
        for machine_id in ("00", "04")
        for split, label, count in (
            ("train", "normal", 2),
            ("test", "normal", 1),
            ("test", "anomaly", 3),
        )
        for number in range(count)
    }
    assert set(digests(written)) == expected
    for file in expected:
        info = sf.info(written / file)
        assert (info.subtype, info.channels, info.samplerate) == ("PCM_16", 1, 16_000)
        assert info.frames == 32_000


def test_description_says_that_the_corpus_is_simulated_and_how(written):
    assert json.loads((written / "corpus.json").read_text()) == {
        "name": "simulated slide rail",
        "simulated": True,
        "settings": SETTINGS,
        "identity": ANY,
    }


def test_fault_table_has_one_row_an_anomalous_clip(written):
    table = pd.read_csv(written / "faults.csv")
    columns = ["file", "fault", "grade", "level_db", "intervals_s", "low_hz", "high_hz"]
    assert list(table.columns) == columns
    assert sorted(table["file"]) == [file for file in digests(written) if "anomaly" in file]
    assert set(table["fault"]) <= set(FAULTS)
    assert (table["level_db"] == table["grade"].map(SETTINGS["fault_levels_db"])).all()
    assert (table["low_hz"] < table["high_hz"]).all()
    assert (table["high_hz"] <= 8_000).all()
    for intervals in table["intervals_s"]:
        ends = [tuple(map(float, interval.split("-"))) for interval in intervals.split(";")]
        assert all(0 <= start < end <= 2.0 for start, end in ends)


def test_same_settings_give_the_same_bytes(written, tmp_path):
    write_corpus(tmp_path / "again", SETTINGS, jobs=2)
    assert digests(tmp_path / "again") == digests(written)
    assert (tmp_path / "again/faults.csv").read_bytes() == (written / "faults.csv").read_bytes()


def test_another_seed_gives_other_clips(written, tmp_path):
    write_corpus(tmp_path / "other", {**SETTINGS, "seed": 2})
    assert not set(digests(tmp_path / "other").values()) & set(digests(written).values())


def test_more_clips_and_more_machines_leave_the_others_as_they_were(written, tmp_path):
    more = {
        **SETTINGS,
        "machine_ids": ["06", "00", "04"],
        "training_clips": 3,
        "normal_test_clips": 2,
        "anomalous_test_clips": 5,
    }
    write_corpus(tmp_path / "more", more)
    assert len(digests(tmp_path / "more")) == 30
    assert digests(written).items() <= digests(tmp_path / "more").items()


def test_faults_and_grades_take_turns(monkeypatch, tmp_path):
    monkeypatch.setattr(corpus.sf, "write", lambda *_, **__: None)
    few = {"machine_ids": ["06"], "training_clips": 0, "normal_test_clips": 0}
    write_corpus(tmp_path / "c", {**SETTINGS, **few, "anomalous_test_clips": 40})
    table = pd.read_csv(tmp_path / "c/faults.csv")
    pairs = list(zip(table["fault"], table["grade"], strict=True))
    assert len(set(pairs[:20])) == 20
    assert len(set(pairs[20:])) == 20
    assert set(table["fault"][:15].value_counts()) == {3}
    assert set(table["grade"][:15].value_counts()) == {3, 4}


def test_current_only_with_the_same_settings_and_generator(written, tmp_path, monkeypatch):
    assert is_current(written, SETTINGS)
    assert not is_current(written, {**SETTINGS, "snr_db": 0.0})
    assert not is_current(tmp_path / "nothing", SETTINGS)
    monkeypatch.setattr(corpus, "simulation_identity", lambda: "of other code")
    assert not is_current(written, SETTINGS)


def test_earlier_simulated_corpus_is_replaced(tmp_path):
    folder = tmp_path / "simulated"
    folder.mkdir()
    (folder / "corpus.json").write_text('{"simulated": true}')
    (folder / "old.wav").touch()
    write_corpus(folder, {**SETTINGS, "machine_ids": ["06"]})
    assert not (folder / "old.wav").exists()
    assert len(digests(folder)) == 6


@pytest.mark.parametrize("description", [None, "{}", '{"simulated": false}', "[]", "not json"])
def test_folder_of_something_else_is_never_replaced(tmp_path, description):
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "precious.wav").touch()
    if description is not None:
        (folder / "corpus.json").write_text(description)
    with pytest.raises(InputError, match="recordings"):
        write_corpus(folder, SETTINGS)
    assert (folder / "precious.wav").exists()


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_interrupted_writing_leaves_nothing(tmp_path, monkeypatch, stop):
    write, written_files = sf.write, []

    def write_three(file, *args, **kwargs):
        if len(written_files) == 3:
            raise stop
        written_files.append(file)
        write(file, *args, **kwargs)

    monkeypatch.setattr(corpus.sf, "write", write_three)
    with pytest.raises(stop):
        write_corpus(tmp_path / "simulated", SETTINGS)
    assert len(written_files) == 3
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_run_are_not_taken_over(tmp_path):
    leftover = tmp_path / "simulated.incomplete" / "train" / "normal_id_00_99999999.wav"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    write_corpus(tmp_path / "simulated", {**SETTINGS, "machine_ids": ["00"]})
    assert [path.name for path in tmp_path.iterdir()] == ["simulated"]
    assert "train/normal_id_00_99999999.wav" not in digests(tmp_path / "simulated")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"loudness": 1}, ["loudness", "snr_db"]),
        ({"machine_ids": ["00", "05"]}, ["05", "00, 02, 04, 06"]),
        ({"machine_ids": [4]}, ["machine_ids", "4", "text in quotes"]),
        ({"duration_s": 1.0}, ["duration_s", "2.0"]),
        ({"fault_levels_db": {}}, ["fault_levels_db"]),
        ({"training_clips": True}, ["training_clips", "True", "at least 0"]),
        ({"normal_test_clips": -1}, ["normal_test_clips", "-1", "at least 0"]),
        ({"anomalous_test_clips": 2.5}, ["anomalous_test_clips", "2.5", "whole number"]),
        ({"seed": "one"}, ["seed", "'one'", "whole number"]),
        ({"snr_db": float("nan")}, ["snr_db", "nan", "a number"]),
        ({"fault_levels_db": {"loud": "very"}}, ["loud", "'very'", "a number"]),
    ],
)
def test_unusable_setting_is_named_with_what_is_accepted(tmp_path, change, named):
    with pytest.raises(InputError) as raised:
        write_corpus(tmp_path / "simulated", {**SETTINGS, **change})
    assert all(part in str(raised.value) for part in named)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SETTINGS)
def test_missing_setting_is_named(tmp_path, name):
    settings = {key: value for key, value in SETTINGS.items() if key != name}
    with pytest.raises(InputError, match=f"'{name}' is missing"):
        write_corpus(tmp_path / "simulated", settings)
