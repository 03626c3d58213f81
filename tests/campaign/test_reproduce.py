"""A table of results is made again, and differences are shown figure by figure."""

import json
import re
import shutil

import pandas as pd
import pytest
import yaml
from file_server import DOWNLOAD, sections, zip_of
from support import SMALL_PARAMETERS

from anomalous_sound.provenance.lock import here

pytestmark = pytest.mark.slow


@pytest.fixture
def machines(tmp_path, write_clip):
    """Two machine types, a machine ID each, with a few clips."""
    folder = tmp_path / "machines of hall 3"
    seed = 0
    for kind in ("fan", "pump"):
        for name, count in (("train/normal", 4), ("test/normal", 3), ("test/anomaly", 3)):
            for number in range(count):
                seed += 1
                write_clip(folder / kind / f"{name}_id_00_{number:08d}.wav", seed=seed)
    return folder


@pytest.fixture
def give(project):
    """Give a command of Kedro; return the exit code and what was said."""
    return project.command


def written(project):
    """When each result that a reproduction has made was written."""
    found = project.data("07_model_output").glob("reproduced-*/*/result.json")
    return {path.parent.parent.name: path.stat().st_mtime_ns for path in found}


def test_a_table_of_a_folder_of_recordings(project, give, machines, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIO_DIR", str(machines))  # its name has spaces
    params = "corpus.machine_type=all,lstm.training.epochs=1,inference.batch_size=64"
    assert give("run", "--pipeline", "lstm", "--params", params)[0] == 0
    monkeypatch.delenv("AUDIO_DIR")
    results = project.data("08_reporting", "machines_of_hall_3", "results")
    kept = {path.name: path.read_bytes() for path in results.iterdir()}
    made = json.loads(kept["provenance.json"])
    assert [run["machine_type"] for run in made["runs"]] == ["fan", "pump"]
    assert made["runs"][0]["made"]["settings"]["training"]["epochs"] == 1
    assert made["runs"][0]["origin"]["given"]["inference"] == {"batch_size": 64}
    assert str(tmp_path) not in kept["provenance.json"].decode()
    card = project.data("08_reporting", "fan", "lstm", "card.md").read_text()
    assert f"Versions of packages: no lock for {here()}." in card
    page = project.data("08_reporting", "fan", "lstm", "report.html").read_text()
    assert f"<dt>versions of packages</dt><dd>no lock for {here()}</dd>" in page
    assert "kedro reproduce" in kept["results.md"].decode()

    code, said = give("reproduce", results)
    assert code == 2
    assert "recordings in a folder called fan; say where they are: --audio-dir DIR." in said
    code, said = give("reproduce", results, "--audio-dir", tmp_path / "absent")
    assert code == 2
    assert "absent does not exist; give the folder of recordings." in said

    # published: in another place, read-only, and the project's parameters have changed since
    published = tmp_path / "published"
    shutil.copytree(results, published)
    changed = {"seed": 7, "lstm": {"training": {"epochs": 3}, "network": {"num_layers": 1}}}
    project.configure("parameters", SMALL_PARAMETERS | changed)
    code, said = give("reproduce", published, "--audio-dir", machines)
    assert code == 0, said
    assert "2 runs are made again." in said
    assert "Other than there" not in said
    assert "The scores of all test clips are the same in 2 of 2 runs." in said
    assert "Reproduced: none of" in said
    assert re.search(r"^lstm +fan +00 +auc +(\S+) +\1 +0$", said, re.MULTILINE)
    assert {path.name: path.read_bytes() for path in results.iterdir()} == kept

    # what is finished is not run again, unless asked
    first = written(project)
    assert set(first) == {"reproduced-fan", "reproduced-pump"}
    assert give("reproduce", published / "results.csv", "--audio-dir", machines)[0] == 0
    assert written(project) == first
    assert give("reproduce", published, "--audio-dir", machines, "--again")[0] == 0
    assert all(written(project)[name] > at for name, at in first.items())

    # a changed number
    table = pd.read_csv(published / "results.csv", dtype={"machine_id": str})
    chosen = (table.machine_type == "fan") & (table.machine_id == "00") & (table.figure == "auc")
    made_again = float(table.loc[chosen, "mean"].iloc[0])
    table.loc[chosen, "mean"] = made_again - 0.25
    table.to_csv(published / "results.csv", index=False)
    code, said = give("reproduce", published, "--audio-dir", machines)
    assert code == 1
    row = rf"^lstm +fan +00 +auc +{made_again - 0.25:.6f} +{made_again:.6f} +\+2\.5e-01$"
    assert re.search(row, said, re.MULTILINE), said
    assert re.search(r"Not reproduced: 1 of \d+ figures differ\.", said)
    assert give("reproduce", published, "--audio-dir", machines, "--tolerance", 0.3)[0] == 0

    # other clips, and other software
    clip = machines / "fan" / "test" / "anomaly_id_00_00000000.wav"
    clip.write_bytes((machines / "pump" / "test" / "anomaly_id_00_00000001.wav").read_bytes())
    made["runs"][1]["origin"]["software"]["packages"]["numpy"] = "1.0"
    (published / "provenance.json").write_text(json.dumps(made))
    code, said = give("reproduce", published, "--audio-dir", machines)
    assert code == 1
    begin = said.partition("system")[0]  # before the figures
    assert re.search(
        r"Other than there: fan: the clips here \(10, fingerprint \w+\) are not those that the "
        r"table was made with \(10, fingerprint \w+\)",
        begin,
    )
    assert "pump: the clips here" not in said
    assert re.search(r"Other than there: numpy: \S+ here, 1.0 there\.", begin)
    assert "The scores of all test clips are the same in 1 of 2 runs." in said


def test_a_table_of_a_downloaded_data_set_with_two_seeds(
    project, give, file_server, dcase_folder, monkeypatch
):
    folder = project.path / "conf" / "dcase2022"
    values = yaml.safe_load((folder / "globals.yml").read_text())
    known = values["archives"]["development"]
    archive = {known["files"]["fan"]["name"]: zip_of(sections("fan"))}
    known["record"] = file_server.add_record("1", archive)
    values |= {"download": DOWNLOAD, "profile": "report"}
    (folder / "globals.yml").write_text(yaml.safe_dump(values))
    (folder / "parameters.yml").write_text(yaml.safe_dump(SMALL_PARAMETERS))
    params = "corpus.machine_type=[fan],seeds=2,profile=baseline,autoencoder.training.epochs=1"
    campaign = ("--pipeline", "autoencoder", "--env", "dcase2022", "--params", params)
    assert give("run", *campaign)[0] == 0
    table = project.data("08_reporting", "dcase2022-fan", "results", "results.csv")
    shutil.rmtree(project.data("01_raw", "dcase2022"))
    monkeypatch.setenv("AUDIO_DIR", str(dcase_folder))  # the table is of no such recordings
    code, said = give("reproduce", table)
    assert code == 0, said
    assert "its clips are not here yet, and are compared when they are" in said
    assert "The scores of all test clips are the same in 2 of 2 runs." in said
    assert re.search(r"^autoencoder +fan +mean +score +0\.", said, re.MULTILINE)
    assert "baseline" not in said  # what others have published is not made again
    code, said = give("reproduce", table, "--audio-dir", project.path)
    assert code == 2
    assert "--audio-dir is for recordings of one's own; leave it out." in said


def test_mistakes_are_told_and_end_with_2(project, give, tmp_path):
    absent = tmp_path / "absent"
    for place, told in (
        (absent, "absent does not exist; give the results.csv of a campaign, or its folder"),
        (tmp_path, "results.csv does not exist"),
    ):
        code, said = give("reproduce", place)
        assert (code, told in said) == (2, True), said
    table = tmp_path / "results.csv"
    table.write_text("a,b\n1,2\n")
    assert "cannot be read as a table of results" in give("reproduce", table)[1]
    head = "system,origin,machine_type,machine_id,figure,mean,std,low,high\n"
    table.write_text(head + "theirs,published,fan,00,auc,0.9,,,\n")
    assert "has no figure that was measured here" in give("reproduce", table)[1]
    table.write_text(head + "lstm,measured here,fan,00,auc,0.9,,0.8,1.0\n")
    code, said = give("reproduce", table)
    assert code == 2
    assert "provenance.json is missing, which says how results.csv was made" in said
    (tmp_path / "provenance.json").write_text('{"format": 2}')
    code, said = give("reproduce", table)
    assert code == 2
    assert "provenance.json cannot be read (format: Input should be 1)" in said
    assert give("reproduce", table, "--tolerance", "-1")[0] == 2
    early = {"name": "t", "title": "t", "evaluation": {}, "seed": 1, "runs": []}
    early |= {"format": 1, "not_recorded": ["lstm, fan-seed1"]}
    (tmp_path / "provenance.json").write_text(json.dumps(early))
    code, said = give("reproduce", table)
    assert code == 2
    assert "how lstm, fan-seed1 was made is not recorded, since an earlier version" in said
    assert written(project) == {}
