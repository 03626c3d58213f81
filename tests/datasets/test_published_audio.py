import datetime
import json

import pandas as pd
import pytest
import yaml
from features_of_report import FEATURES
from file_server import DOWNLOAD, development, evaluation, mimii, zip_of, zip_with_link
from kedro.io import DatasetError

from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.corpus.clips import list_clips
from anomalous_sound.datasets import PublishedAudioDataset
from anomalous_sound.errors import InputError


@pytest.fixture
def archives(file_server):
    def part(name, make):
        return {
            "record": None,
            "url": file_server.url,
            "licence": f"licence of {name}",
            "citation": "Koizumi et al.",
            "files": {
                machine_type: file_server.add(f"{name}_{machine_type}.zip", make(machine_type))
                for machine_type in ("slider", "fan")
            },
        }

    return {"development": part("dev", development), "evaluation": part("eval", evaluation)}


@pytest.fixture
def published(archives, tmp_path):
    def make(**changed):
        arguments = {
            "name": "DCASE 2020 Task 2",
            "path": str(tmp_path / "dcase2020"),
            "archives": archives,
            "parts": ["development"],
            "machine_type": "slider",
            "download": DOWNLOAD,
        }
        return PublishedAudioDataset(**arguments | changed)

    return make


def refused(dataset):
    with pytest.raises(DatasetError) as error:
        dataset.load()
    assert isinstance(error.value.__cause__, InputError)
    return str(error.value.__cause__)


def asked(server):
    return [request.name for request in server.requests]


def test_the_machine_types_clips_of_a_part_are_loaded(published, file_server, tmp_path):
    dataset = published()
    assert not dataset.exists()
    corpus = dataset.load()
    assert dataset.exists()
    assert corpus.name == "DCASE 2020 Task 2 slider (development)"
    assert corpus.folder_name == "slider"
    assert not corpus.simulated
    assert len(corpus.recordings) == 6
    clip_id = "development/slider/test/anomaly_id_00_00000000.wav"
    assert corpus.recordings[clip_id].recording().sample_rate == 16000
    assert (tmp_path / "dcase2020" / clip_id).is_file()
    assert asked(file_server) == ["dev_slider.zip"]
    assert not list((tmp_path / "dcase2020" / "archives").iterdir())


def test_the_second_load_asks_for_nothing(published, file_server, tmp_path):
    first = published().load()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    file_server.stop()
    second = published().load()
    assert list(first.recordings) == list(second.recordings)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert len(file_server.requests) == 1


def test_each_machine_type_and_part_is_downloaded_when_it_is_asked_for(published, file_server):
    published().load()
    corpus = published(parts=["development", "evaluation"]).load()
    assert "evaluation/slider/test/id_01_00000000.wav" in corpus.recordings
    assert len(corpus.recordings) == 6 + 2
    fans = published(machine_type="fan").load()
    assert {clip_id.split("/")[1] for clip_id in fans.recordings} == {"fan"}
    assert asked(file_server) == ["dev_slider.zip", "eval_slider.zip", "dev_fan.zip"]
    assert len(published().load().recordings) == 6


def test_where_it_comes_from_is_kept_and_told_once(published, archives, tmp_path, caplog):
    caplog.set_level("INFO", "anomalous_sound")
    published().load()
    source = json.loads((tmp_path / "dcase2020/development/slider/source.json").read_text())
    retrieved = datetime.date.fromisoformat(source.pop("retrieved"))
    assert abs(retrieved - datetime.datetime.now(datetime.UTC).date()).days <= 1
    assert source == {
        "archive": "dev_slider.zip",
        "md5": archives["development"]["files"]["slider"]["md5"],
        "url": archives["development"]["url"].replace("{name}", "dev_slider.zip"),
        "licence": "licence of dev",
        "citation": "Koizumi et al.",
    }
    assert caplog.text.count("licence of dev. To be cited: Koizumi et al.") == 1
    caplog.clear()
    published().load()
    assert not caplog.text


def test_archives_may_be_kept(published, tmp_path):
    published(download=DOWNLOAD | {"keep_archives": True}).load()
    assert (tmp_path / "dcase2020" / "archives" / "dev_slider.zip").is_file()


def test_an_archive_put_there_by_hand_is_used(published, file_server, tmp_path):
    folder = tmp_path / "dcase2020" / "archives"
    file_server.stop()
    assert f"save it as {folder / 'dev_slider.zip'};" in refused(published())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dev_slider.zip").write_bytes(file_server.files["dev_fan.zip"])
    assert "is not the published file: its md5 is" in refused(published())
    (folder / "dev_slider.zip").write_bytes(file_server.files["dev_slider.zip"])
    assert len(published().load().recordings) == 6
    assert not file_server.requests
    assert (folder / "dev_slider.zip").is_file()  # only what was downloaded is removed


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (zip_of({"slider/../../../planted.wav": b"x"}), "leads out of the folder"),
        (zip_of({"/planted.wav": b"x"}), "is no path below the folder"),
        (zip_with_link("slider/link", ".."), "is a link"),
        (b"no zip at all", "is no zip archive that can be unpacked"),
    ],
)
def test_a_refused_archive_leaves_no_clip(
    published, archives, file_server, tmp_path, contents, message
):
    archives["development"]["files"]["slider"] = file_server.add("dev_slider.zip", contents)
    assert message in refused(published())
    assert message in refused(published())  # and is not taken for unpacked
    assert not list(tmp_path.rglob("*.wav"))


def test_an_unpacking_that_was_killed_is_begun_again(published, file_server, tmp_path):
    part = tmp_path / "dcase2020" / "development"
    incomplete = part / "slider.incomplete" / "train"
    incomplete.mkdir(parents=True)
    (incomplete / "normal_id_00_00000007.wav").write_bytes(b"half")
    assert len(published().load().recordings) == 6
    assert [path.name for path in part.glob("[!.]*")] == ["slider"]


def test_another_archive_than_was_unpacked_replaces_it(published, archives, file_server):
    published().load()
    renewed = zip_of({"slider/train/normal_id_00_00000000.wav": b"x"})
    archives["development"]["files"]["slider"] = file_server.add("dev_slider.zip", renewed)
    assert len(published().load().recordings) == 1


def test_a_folder_of_the_users_is_never_replaced(published, file_server, tmp_path, write_clip):
    theirs = tmp_path / "dcase2020" / "development" / "slider" / "train"
    write_clip(theirs / "normal_id_00_00000000.wav")
    assert "was not unpacked by this program" in refused(published())
    assert (theirs / "normal_id_00_00000000.wav").is_file()
    assert not file_server.requests


def test_an_archive_without_audio_is_told(published, archives, file_server):
    contents = zip_of({"slider/README.md": b"moved elsewhere"})
    archives["development"]["files"]["slider"] = file_server.add("dev_slider.zip", contents)
    assert "holds no audio, although dev_slider.zip was unpacked" in refused(published())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"machine_type": "slidr"}, "'slidr' is not in the data set's part development; it has sl"),
        ({"machine_type": None}, "'None' is not in the data set's part development; it has slider"),
        ({"parts": ["train"]}, "names 'train', which the data set does not have; it has develop"),
        ({"parts": []}, r"corpus.parts is \[\]; give a list of one or more of development, eval"),
        ({"parts": "development"}, "corpus.parts is 'development'; give a list"),
        ({"parts": None}, "corpus.parts is None; give a list"),
        ({"download": {}}, "download.retries: Field required"),
        ({"download": DOWNLOAD | {"timeout_s": 0}}, "download.timeout_s: Input should be greater"),
        (
            {
                "archives": {
                    "development": {
                        **{"record": None, "url": "http://x/{name}", "licence": "", "citation": ""},
                        "files": {"slider": {"name": "a.zip", "md5": None, "bytes": None}},
                    }
                }
            },
            "a.zip has no md5, and there is no record to ask for it",
        ),
        ({"archives": {"development": {}}}, "archives.development.url: Field required"),
    ],
)
def test_what_the_data_set_does_not_have_is_told(published, file_server, changed, message):
    told = refused(published(**changed))
    assert pd.Series([told]).str.contains(message)[0], told
    assert "\n" not in told
    assert not file_server.requests


def test_a_folder_that_was_asked_for_is_loaded_instead(published, file_server, dcase_folder):
    dataset = published(audio_dir=str(dcase_folder))
    assert dataset.exists()
    corpus = dataset.load()
    assert (corpus.name, len(corpus.recordings)) == ("slider", 16)
    missing = published(audio_dir=str(dcase_folder / "gone"))
    assert "does not exist" in refused(missing)
    assert not file_server.requests


def table(corpus, machine_type=None):
    clips, rejected = list_clips(
        corpus,
        CorpusSettings(
            parts=None,
            machine_type=machine_type,
            machine_ids=None,
            segment_s=None,
            segment_hop_s=None,
            validation_fraction=0.2,
            normal_test_fraction=0.3,
            min_frames=11,
        ),
        FEATURES,
        seed=1,
    )
    assert rejected.empty
    return clips


def test_dcase_clips_are_identified(published):
    clips = table(published(parts=["development", "evaluation"]).load(), "slider")
    assert set(clips.machine_type) == {"slider"}
    assert set(clips.machine_id) == {"00", "01", "02"}
    assert (
        clips.set_index("clip_id").label["evaluation/slider/test/id_01_00000000.wav"] == "unknown"
    )


def test_mimii_clips_are_identified(published, file_server):
    part = {
        "record": None,
        "url": file_server.url,
        "licence": "CC BY-SA 4.0",
        "citation": "Purohit et al.",
        "files": {"slider": file_server.add("-6_dB_slider.zip", mimii("slider")) | {"bytes": None}},
    }
    corpus = published(name="MIMII", archives={"-6_dB": part}, parts=["-6_dB"]).load()
    assert corpus.name == "MIMII slider (-6_dB)"
    assert sorted(corpus.recordings)[:2] == [
        "-6_dB/slider/id_00/abnormal/00000000.wav",
        "-6_dB/slider/id_00/normal/00000000.wav",
    ]
    clips = table(corpus)
    assert set(clips.channels) == {8}
    assert sorted(clips.label) == ["anomalous"] + ["normal"] * 4


def test_clips_can_only_be_read(published):
    with pytest.raises(DatasetError, match="read only"):
        published().save("anything")


def configured(project, env, **parameters):
    """Return the environment's raw_audio as the catalog has it."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project.path)
    session = KedroSession.create(
        project_path=project.path, env=env, runtime_params=parameters, save_on_close=False
    )
    with session:
        return session.load_context().catalog.get("raw_audio")


def serve(project, env, server, contents):
    """Let an environment's configuration ask this machine, and fast, for small archives."""
    path = project.path / "conf" / env / "globals.yml"
    values = yaml.safe_load(path.read_text()) | {"download": DOWNLOAD}
    for name, part in values["archives"].items():
        part["url"] = server.url
        for machine_type, file in part["files"].items():
            file |= server.add(file["name"], contents[name](machine_type))
            part["files"][machine_type] = file
    path.write_text(yaml.safe_dump(values))


def test_the_environment_dcase2020_loads_what_is_asked_for(project, file_server):
    contents = {
        "development": development,
        "additional_training": development,
        "evaluation": evaluation,
    }
    serve(project, "dcase2020", file_server, contents)
    corpus = configured(project, "dcase2020").load()
    assert corpus.name == "DCASE 2020 Task 2 slider (development)"
    assert "development/slider/train/normal_id_00_00000000.wav" in corpus.recordings
    chosen = {"machine_type": "ToyCar", "parts": ["development", "evaluation"]}
    cars = configured(project, "dcase2020", corpus=chosen).load()
    assert cars.name == "DCASE 2020 Task 2 ToyCar (development, evaluation)"
    assert asked(file_server) == [
        "dev_data_slider.zip",
        "dev_data_ToyCar.zip",
        "eval_data_test_ToyCar.zip",
    ]
    assert project.data("01_raw", "dcase2020", "development", "ToyCar").is_dir()


def test_the_environment_mimii_loads_what_is_asked_for(project, file_server):
    serve(project, "mimii", file_server, dict.fromkeys(("-6_dB", "0_dB", "6_dB"), mimii))
    assert configured(project, "mimii").load().name == "MIMII slider (-6_dB)"
    chosen = {"machine_type": "fan", "parts": ["6_dB"]}
    assert configured(project, "mimii", corpus=chosen).load().name == "MIMII fan (6_dB)"
    assert asked(file_server) == ["-6_dB_slider.zip", "6_dB_fan.zip"]


@pytest.mark.parametrize("env", ["dcase2020", "mimii"])
def test_a_folder_is_loaded_in_any_environment(project, env, dcase_folder):
    corpus = configured(project, env, audio_dir=str(dcase_folder)).load()
    assert (corpus.name, len(corpus.recordings)) == ("slider", 16)


@pytest.mark.parametrize(
    ("env", "archives"),
    [
        *(("dcase2021", 21), ("dcase2022", 21), ("dcase2023", 21)),
        *(("dcase2024", 25), ("dcase2025", 23), ("dcase2026", 17)),
    ],
)
def test_later_archives_are_listed_with_the_record_to_ask(project, env, archives):
    dataset = configured(project, env)
    assert not dataset.exists()
    parts = dataset._archives.values()
    assert len({file["name"] for part in parts for file in part["files"].values()}) == archives
    for part in parts:
        number = part["record"].removeprefix("https://zenodo.org/api/records/")
        assert part["url"] == f"https://zenodo.org/records/{number}/files/{{name}}?download=1"
        assert number.isdecimal()


@pytest.mark.parametrize(
    ("env", "archives", "record"), [("dcase2020", 18, "3678171"), ("mimii", 12, "3384388")]
)
def test_the_published_archives_are_listed_soundly(project, env, archives, record):
    dataset = configured(project, env)
    assert not dataset.exists()  # reads and checks the table
    files = [file for part in dataset._archives.values() for file in part["files"].values()]
    assert len({file["md5"] for file in files}) == len({f["name"] for f in files}) == archives
    first = next(iter(dataset._archives.values()))
    assert first["url"] == f"https://zenodo.org/records/{record}/files/{{name}}?download=1"
    assert first["citation"]
