"""The environments dcase2021 to dcase2026, on small archives of the same layouts."""

import pytest
import yaml
from features_of_report import FEATURES
from file_server import (
    DOWNLOAD,
    SECTIONS,
    TEST_CLIPS,
    attribute_table,
    clip,
    sections,
    zip_of,
)
from kedro.io import DatasetError

from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.corpus.clips import list_clips
from anomalous_sound.errors import InputError
from anomalous_sound.sources.dcase.published import evaluation_labels

PARTS = ("/train/", "/test/")
CORPUS = CorpusSettings(
    parts=None,
    machine_type=None,
    machine_ids=None,
    segment_s=None,
    segment_hop_s=None,
    validation_fraction=0.2,
    normal_test_fraction=0.3,
    min_frames=11,
)


@pytest.fixture
def year(project, file_server):
    """Let an environment ask this machine for the archives given by part and machine type."""

    def serve(env, **contents):
        path = project.path / "conf" / env / "globals.yml"
        values = yaml.safe_load(path.read_text()) | {"download": DOWNLOAD}
        values["archives"] = {part: values["archives"][part] for part in contents}
        for number, (part, of_type) in enumerate(contents.items()):
            known = values["archives"][part]
            known["files"] = {
                machine: known["files"][machine] | {"md5": None, "bytes": None}
                for machine in of_type
            }
            names = {known["files"][machine]["name"]: made for machine, made in of_type.items()}
            known["record"] = file_server.add_record(str(number), names)
            known["url"] = file_server.url
        path.write_text(yaml.safe_dump(values))

        def dataset(**corpus):
            with project.session(env, corpus=corpus) as session:
                return session.load_context().catalog.get("raw_audio")

        return dataset

    return serve


def table(corpus, **changed):
    clips, rejected = list_clips(corpus, CORPUS.model_copy(update=changed), FEATURES, seed=1)
    assert rejected.empty
    return clips.set_index("clip_id")


def refused(dataset):
    with pytest.raises(DatasetError) as error:
        dataset.load()
    assert isinstance(error.value.__cause__, InputError)
    told = str(error.value.__cause__)
    assert "\n" not in told
    return told


def some_of(env_year, machine_type):
    """Two published test clips of each domain and label, by name."""
    chosen = {}
    for name, facts in evaluation_labels(env_year, machine_type).items():
        key = (facts.domain, facts.label)
        if sum((known.domain, known.label) == key for known in chosen.values()) < 2:
            chosen[name] = facts
    return chosen


def asked(server):
    return [request.name for request in server.requests]


def test_sections_domains_and_attributes_become_columns(year, file_server, project):
    dataset = year("dcase2022", development={"fan": zip_of(sections("fan"))})(machine_type="fan")
    assert not dataset.exists()
    corpus = dataset.load()
    assert corpus.name == "DCASE 2022 Task 2 fan (development)"
    clips = table(corpus)
    assert set(clips.machine_id) == set(SECTIONS)
    train = "development/fan/train/section_01_target_train_normal_0001_vel_1.wav"
    assert tuple(clips.loc[train, ["domain", "attributes", "label"]]) == (
        "target", "vel_1", "normal"
    )  # fmt: skip
    test = clips[clips.split == "test"]
    counts = test.groupby(["domain", "label"]).size()
    for (domain, label), count in TEST_CLIPS.items():
        word = "anomalous" if label == "anomaly" else label
        assert counts[domain, word] == 2 * count
    # the record is asked first; the second load asks for nothing
    assert asked(file_server) == ["0", "dev_fan.zip"]
    assert dataset.exists()
    assert len(dataset.load().recordings) == len(clips)
    assert len(file_server.requests) == 2


def test_2021_has_folders_for_its_domains(year):
    made = zip_of(sections("pump", test="{}_test"))
    corpus = year("dcase2021", development={"pump": made})(machine_type="pump").load()
    clips = table(corpus)
    assert set(clips.domain[clips.split == "test"]) == {"source", "target"}


def test_the_evaluation_set_gets_its_published_labels(year):
    known = some_of(2022, "bearing")
    assert len(known) == 8
    training = [
        f"train/section_03_source_train_normal_{number:04d}_vel_{number}.wav" for number in range(3)
    ]
    added = zip_of({f"bearing/{name}": clip(seed) for seed, name in enumerate(training)})
    test = {f"bearing/test/{name}": clip(seed) for seed, name in enumerate(known, start=20)}
    chosen = {"machine_type": "bearing", "parts": ["additional_training", "evaluation"]}
    corpus = year(
        "dcase2022", additional_training={"bearing": added}, evaluation={"bearing": zip_of(test)}
    )(**chosen).load()
    clips = table(corpus)
    for name, facts in known.items():
        row = clips.loc[f"evaluation/bearing/test/{name}"]
        assert (row.label, row.domain, row.attributes) == (
            facts.label, facts.domain, facts.attributes
        )  # fmt: skip
        assert facts.attributes.startswith("vel_")


def test_2020s_evaluation_set_has_labels_too(year, project):
    known = some_of(2020, "valve")
    test = {f"valve/test/{name}": clip(seed) for seed, name in enumerate(known, start=20)}
    added = {f"valve/train/normal_id_01_{number:08d}.wav": clip(number) for number in range(3)}
    dataset = year(
        "dcase2020",
        additional_training={"valve": zip_of(added)},
        evaluation={"valve": zip_of(test)},
    )
    corpus = dataset(machine_type="valve", parts=["additional_training", "evaluation"]).load()
    clips = table(corpus)
    for name, facts in known.items():
        assert clips.label[f"evaluation/valve/test/{name}"] == facts.label
    # the same from a folder of the user's own, whose name is the machine type
    folder = corpus.recordings[f"evaluation/valve/test/{name}"].path.parents[1]
    with project.session("dcase2020", audio_dir=str(folder)) as session:
        own = session.load_context().catalog.load("raw_audio")
    assert {facts.label for facts in own.published.values()} == {"normal", "anomalous"}


def test_attribute_tables_beside_the_clips_are_read(year):
    files = {f"fan/train/section_00_source_train_normal_{n:04d}.wav": clip(n) for n in range(3)}
    files["fan/attributes_00.csv"] = attribute_table(list(files))
    corpus = year("dcase2023", development={"fan": zip_of(files)})(machine_type="fan").load()
    assert sorted(table(corpus).attributes) == ["vel_0_nz_n0", "vel_1_nz_n1", "vel_2_nz_n2"]


def test_a_table_of_attributes_in_another_form_is_told(year):
    files = {f"fan/train/section_00_source_train_normal_{n:04d}.wav": clip(n) for n in range(3)}
    files["fan/attributes_00.csv"] = b"name,velocity\na,3\n"
    dataset = year("dcase2023", development={"fan": zip_of(files)})(machine_type="fan")
    assert "attributes_00.csv has no column 'file_name' (it has name, velocity)" in refused(dataset)


def test_recordings_of_the_machine_or_of_noise_alone_are_no_clips(year):
    """``supplemental/``, since 2025: some of their names say a domain, as those of clips do."""
    files = {f"fan/train/section_00_source_train_normal_{n:04d}.wav": clip(n) for n in range(3)}
    added = ("section_00_machine_source_0000_noAttribute", "section_00_noise_0001_")
    added += ("section_00_source_normal_0002",)
    files |= {f"fan/supplemental/{name}.wav": clip(9 + n) for n, name in enumerate(added)}
    corpus = year("dcase2025", development={"fan": zip_of(files)})(machine_type="fan").load()
    clips, rejected = list_clips(corpus, CORPUS, FEATURES, seed=1)
    assert len(clips) == 3
    assert len(rejected) == 3
    (reason,) = set(rejected.reason)
    assert reason == (
        "supplemental: the machine or the noise alone, which is neither trained on nor judged"
    )


def test_two_channels_are_kept_and_one_is_chosen(year):
    made = zip_of(sections("ToyCar", channels=2))
    corpus = year("dcase2026", development={"ToyCar": made})(machine_type="ToyCar").load()
    clips = table(corpus)
    assert set(clips.channels) == {2}
    clip_id = clips.index[0]
    whole = corpus.recordings[clip_id].recording().samples
    for channel in (0, 1):
        audio = FEATURES.audio.model_copy(update={"channel": channel})
        assert (corpus.mono_clip(clip_id, audio) == whole[:, channel]).all()
    mean = FEATURES.audio.model_copy(update={"channel": "mean"})
    assert corpus.mono_clip(clip_id, mean) == pytest.approx(whole.mean(axis=1))


def test_an_evaluation_set_without_published_labels_is_scored_but_not_judged(year, caplog):
    name = "Sander/train/section_00_source_train_normal_{:04d}.wav"
    files = {name.format(n): clip(n) for n in range(3)}
    files |= {f"Sander/test/section_00_{n:04d}.wav": clip(9 + n) for n in range(2)}
    training, test = ({name: files[name] for name in files if part in name} for part in PARTS)
    chosen = {"machine_type": "Sander", "parts": ["additional_training", "evaluation"]}
    corpus = year(
        "dcase2026",
        additional_training={"Sander": zip_of(training)},
        evaluation={"Sander": zip_of(test)},
    )(**chosen).load()
    told = [record.getMessage() for record in caplog.records if "no label" in record.msg]
    assert told == [
        "There is no label of 2 test clips of DCASE 2026 Task 2, such as "
        "evaluation/Sander/test/section_00_0000.wav, among those that come with this package: they "
        "are scored and decided, and have no part in the figures. If you have their labels, put "
        "the clips into a folder with a labels.csv, and give that as audio_dir."
    ]
    assert (table(corpus).label == "unknown").sum() == 2


@pytest.mark.parametrize(
    ("env", "corpus", "message"),
    [
        (
            "dcase2022",
            {"machine_type": "pump"},
            "corpus.machine_type 'pump' is not in the",
        ),
        ("dcase2026", {"parts": ["test"]}, "corpus.parts names 'test', which the data"),
        (
            "dcase2026",
            {"machine_type": "fan", "parts": ["evaluation"]},
            "corpus.machine_type 'fan' is not in the data set's part evaluation; it has Blower",
        ),
    ],
)
def test_what_a_year_does_not_have_is_told(project, env, corpus, message, file_server):
    with project.session(env, corpus=corpus) as session:
        dataset = session.load_context().catalog.get("raw_audio")
    assert message in refused(dataset)


@pytest.mark.parametrize(
    "names",
    [
        ["fan/train/machine_a_0000.wav", "fan/train/machine_a_0001.wav"],
        ["fan/test/clip_anomalous_1.wav"],
        ["dev/ventilator/train/section_00_source_train_normal_0000.wav"],
    ],
)
def test_an_archive_whose_layout_has_changed_is_told(year, names):
    made = zip_of({name: clip(seed) for seed, name in enumerate(names)})
    dataset = year("dcase2022", development={"fan": made})(machine_type="fan")
    assert "dev_fan.zip has another layout than is understood" in refused(dataset)


def test_an_archive_put_there_by_hand_where_no_record_can_be_asked(
    year, file_server, project, caplog
):
    made = zip_of(sections("fan"))
    dataset = year("dcase2022", development={"fan": made})(machine_type="fan")
    file_server.stop()
    folder = project.data("01_raw", "dcase2022", "archives")
    told = refused(dataset)
    assert f"Or get dev_fan.zip in another way and save it as {folder / 'dev_fan.zip'}." in told
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dev_fan.zip").write_bytes(made)
    assert dataset.load().recordings
    assert "is used as it is, unchecked" in caplog.text


@pytest.mark.parametrize(
    ("of_year", "clips", "anomalous"),
    [
        *((2020, 7103, 4544), (2021, 8635, 4329), (2022, 4200, 2100)),
        *((2023, 1400, 629), (2024, 1800, 900), (2025, 1600, 800)),
    ],
)
def test_the_published_labels_are_complete(project, of_year, clips, anomalous):
    archives = yaml.safe_load((project.path / f"conf/dcase{of_year}/globals.yml").read_text())
    facts = [
        known
        for machine_type in archives["archives"]["evaluation"]["files"]
        for known in evaluation_labels(of_year, machine_type).values()
    ]
    assert len(facts) == clips
    assert sum(known.label == "anomalous" for known in facts) == anomalous
    assert {known.domain for known in facts} == ({""} if of_year == 2020 else {"source", "target"})
