import pytest

from anomalous_sound.errors import InputError
from anomalous_sound.sources.layout import (
    ClipFacts,
    ClipIdentity,
    choose_machine_type,
    identify_clips,
    identify_new_clips,
)
from anomalous_sound.sources.tables import Table


@pytest.mark.parametrize(
    ("clip_id", "expected"),
    [
        ("train/normal_id_00_00000000.wav", ("slider", "00", "train", "normal")),
        ("test/anomaly_id_02_00000011.wav", ("slider", "02", "test", "anomalous")),
        ("fan/test/normal_id_04_00000003.flac", ("fan", "04", "test", "normal")),
        ("test/id_01_00000000.wav", ("slider", "01", "test", "unknown")),
        (
            "valve/train/section_00_source_train_normal_0000_strength_1_ambient.wav",
            ("valve", "00", "train", "normal", "source", "strength_1_ambient"),
        ),
        (
            "source_test/section_01_source_test_anomaly_7.wav",
            ("slider", "01", "test", "anomalous", "source"),
        ),
        (
            "target_test/section_02_target_test_normal_1_x.wav",
            ("slider", "02", "test", "normal", "target", "x"),
        ),
        (
            "test/section_00_target_test_normal_0002_noAttribute.wav",
            ("slider", "00", "test", "normal", "target"),
        ),
        ("test/section_03_test_0000.wav", ("slider", "03", "test", "unknown")),
        ("test/section_03_0012.wav", ("slider", "03", "test", "unknown")),
        ("id_06/normal/00000000.wav", ("slider", "06", None, "normal")),
        ("fan/id_06/abnormal/00000000.wav", ("fan", "06", None, "anomalous")),
        ("normal_id_00_00000000.wav", ("slider", "00", None, "normal")),
    ],
)  # fmt: skip
def test_names_of_the_known_layouts(clip_id, expected):
    identities, rejected = identify_clips([clip_id], "slider")
    assert identities == {clip_id: ClipIdentity(*expected)}
    assert rejected == {}


def test_a_name_that_does_not_fit_is_rejected_where_others_fit():
    identities, rejected = identify_clips(
        ["train/normal_id_00_00000000.wav", "train/recording 7.wav"], "slider"
    )
    assert list(identities) == ["train/normal_id_00_00000000.wav"]
    assert "cannot be parsed" in rejected["train/recording 7.wav"]
    assert "normal_id_<id>_<n>" in rejected["train/recording 7.wav"]


def test_a_plain_folder_is_all_normal_for_training():
    identities, rejected = identify_clips(["a.wav", "day 2/b.wav"], "press")
    assert set(identities.values()) == {ClipIdentity("press", "", "train", "normal")}
    assert rejected == {}


@pytest.mark.parametrize(
    ("clip_id", "named"),
    [
        ("day 1/abnormal/2.wav", "press/day 1/abnormal/"),
        ("NG/2.wav", "press/NG/"),
        ("day 1/press_NOK_2.wav", "press/day 1/press_NOK_2.wav"),
        ("not ok/2.wav", "press/not ok/"),
        ("not_ok_2.wav", "press/not_ok_2.wav"),
        ("bad/2.wav", "press/bad/"),
        ("2-fault.wav", "press/2-fault.wav"),
        ("bearingdefect2/2.wav", "press/bearingdefect2/"),
        ("broken2.wav", "press/broken2.wav"),
        ("anomalies/2.wav", "press/anomalies/"),
        ("damaged belt/2.wav", "press/damaged belt/"),
        ("failure.wav", "press/failure.wav"),
        ("worn bearing/2.wav", "press/worn bearing/"),
        ("unhealthy/2.wav", "press/unhealthy/"),
        ("malfunction_2.wav", "press/malfunction_2.wav"),
        ("faulted/2.wav", "press/faulted/"),
        ("failing.wav", "press/failing.wav"),
        ("cracked/2.wav", "press/cracked/"),
        ("leak2.wav", "press/leak2.wav"),
        ("error/2.wav", "press/error/"),
        ("non-normal/2.wav", "press/non-normal/"),
        ("unnormal/2.wav", "press/unnormal/"),
        ("Defekt/2.wav", "press/Defekt/"),
        ("ko/2.wav", "press/ko/"),
        ("KO_2.wav", "press/KO_2.wav"),
        ("imbalance/2.wav", "press/imbalance/"),
        ("Unbalanced/2.wav", "press/Unbalanced/"),
        ("shaft_misalignment/2.wav", "press/shaft_misalignment/"),
        ("misaligned.wav", "press/misaligned.wav"),
        ("loose_belt/2.wav", "press/loose_belt/"),
        ("beltLoose2/2.wav", "press/beltLoose2/"),
        ("looseness/2.wav", "press/looseness/"),
        ("BadBearing/2.wav", "press/BadBearing/"),
        ("bearingBad.wav", "press/bearingBad.wav"),
        ("NGclips/2.wav", "press/NGclips/"),
        ("clipsNG/2.wav", "press/clipsNG/"),
        ("clipNG2.wav", "press/clipNG2.wav"),
        ("NOKparts/2.wav", "press/NOKparts/"),
        ("PartNotOK/2.wav", "press/PartNotOK/"),
        ("faulty_bearing/2.wav", "press/faulty_bearing/"),
        ("BearingFault07.wav", "press/BearingFault07.wav"),
        ("WornBelt/2.wav", "press/WornBelt/"),
        ("nonNormal/2.wav", "press/nonNormal/"),
    ],
)
def test_a_name_that_speaks_of_a_fault_is_never_taken_for_normal(clip_id, named):
    with pytest.raises(InputError) as refused:
        identify_clips(["day 1/good/1.wav", clip_id], "press")
    assert str(refused.value).startswith(f"{named}: the name speaks of a fault, but press/ has no")
    assert "put a labels.csv (file,label) into press/, or move" in str(refused.value)


@pytest.mark.parametrize(
    "folder",
    [
        "test",
        "Test",
        "day 1/test",
        "target_test",
        "test_1",
        "test set",
        "testset",
        "eval",
        "validation",
    ],
)
def test_a_folder_to_test_with_is_not_trained_on(folder):
    with pytest.raises(InputError, match=f"press/{folder}/: the name speaks of a test, but press/"):
        identify_clips(["day 1/1.wav", f"{folder}/1.wav"], "press")


def test_the_folder_itself_may_speak_of_a_fault():
    with pytest.raises(InputError, match="^NG/: the name speaks of a fault"):
        identify_clips(["1.wav"], "NG")


@pytest.mark.parametrize(
    "clip_id",
    [
        *("king.wav", "bearing/1.wav", "badminton.wav", "default.wav", "tester.wav", "test 1.wav"),
        *("bearing_ok/1.wav", "badminton_hall/1.wav", "normal/1.wav", "Bearing.wav"),
        *("balanced/1.wav", "aligned/1.wav", "bloose.wav", "looser.wav", "KOMATSU/1.wav"),
        *("Korea/1.wav", "NGO/1.wav", "RunningNormal/1.wav", "PumpKing.wav", "BaDen/1.wav"),
        *("PressOK/1.wav", "TOKYO/1.wav", "Bookend/1.wav", "Hong Kong/1.wav"),
        *("run-normal/1.wav", "cracker.wav", "worner.wav", "test bench/1.wav", "valve/1.wav"),
    ],
)
def test_a_word_within_a_word_is_no_fault(clip_id):
    assert identify_clips([clip_id], "press")[0]


def table_of(**columns):
    """Return a table of texts, given by column."""
    values = zip(*columns.values(), strict=True)
    return Table(tuple(columns), tuple(dict(zip(columns, row, strict=True)) for row in values))


def test_labels_overrule_and_unlisted_clips_are_judged_only():
    labels = table_of(
        file=["a.wav", "b.wav", "gone.wav"],
        label=["normal", "anomaly", "normal"],
        split=["train", "", ""],
        machine_id=["7", "", ""],
    )
    identities, rejected = identify_clips(["a.wav", "b.wav", "c.wav"], "press", labels)
    assert identities == {
        "a.wav": ClipIdentity("press", "7", "train", "normal"),
        "b.wav": ClipIdentity("press", "", None, "anomalous"),
        "c.wav": ClipIdentity("press", "", "test", "unknown"),
    }
    assert list(rejected) == ["gone.wav"]
    assert "no such audio file" in rejected["gone.wav"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": ["a.wav"], "label": ["normal"]}, "no column 'file'"),
        ({"file": ["a.wav"], "label": ["good"]}, "line 2: label 'good'"),
        ({"file": ["a.wav"], "label": ["normal"], "split": ["dev"]}, "line 2: split 'dev'"),
        ({"file": ["a.wav"] * 2, "label": ["normal", "anomaly"]}, "line 3: a.wav is listed twice"),
    ],
)
def test_a_wrong_table_of_labels_names_the_line(table, message):
    with pytest.raises(InputError, match=message):
        identify_clips(["a.wav"], "press", table_of(**table))


def test_one_machine_type_a_run():
    identities = {
        "a": ClipIdentity("fan", "00", "train", "normal"),
        "b": ClipIdentity("slider", "00", "train", "normal"),
    }
    assert choose_machine_type(identities, "slider") == "slider"
    with pytest.raises(InputError, match=r"fan, slider.*corpus\.machine_type=fan.*labels\.csv"):
        choose_machine_type(identities, None)
    with pytest.raises(InputError, match="'pump' is not in the corpus; it holds fan, slider"):
        choose_machine_type(identities, "pump")


def test_clips_to_be_judged_keep_what_their_names_say_and_none_is_refused():
    names = ["train/normal_id_04_00000001.wav", "abnormal monday.wav"]
    found, rejected = identify_new_clips(names, "slider")
    assert found == {
        names[0]: ClipIdentity("slider", "04", "test", "normal"),
        names[1]: ClipIdentity("slider", "", "test", "unknown"),
    }
    assert rejected == {}
    labels = table_of(file=["a.wav", "gone.wav"], label=["anomalous", "normal"])
    found, rejected = identify_new_clips(["a.wav", "b.wav"], "fan", labels)
    assert [identity.label for identity in found.values()] == ["anomalous", "unknown"]
    assert list(rejected) == ["gone.wav"]


@pytest.mark.parametrize("column", ["machine_id", "machine_type"])
@pytest.mark.parametrize("name", ["a/b", "..", "../x", "x" * 9000, "two\nlines", "a:b", " a"])
def test_a_name_that_cannot_be_part_of_a_file_name_is_refused(column, name):
    labels = table_of(**{"file": ["a.wav"], "label": ["normal"], column: [name]})
    with pytest.raises(InputError, match=rf"labels\.csv, line 2: {column} is .*at most 80") as said:
        identify_clips(["a.wav"], "pump", labels)
    assert len(str(said.value)) < 300


@pytest.mark.parametrize("name", ["", "00", "Press 3", "v1.2-b", "straße", "a..b"])
def test_a_plain_machine_id_is_accepted(name):
    labels = table_of(file=["a.wav"], label=["normal"], machine_id=[name])
    identities, _ = identify_clips(["a.wav"], "pump", labels)
    assert identities["a.wav"].machine_id == name


def test_a_table_may_state_domain_and_attributes():
    told = {"file": ["a.wav"], "label": ["normal"], "attributes": ["vel_3"]}
    found, _ = identify_clips(["a.wav"], "fan", table_of(**told, domain=["target"]))
    assert found["a.wav"] == ClipIdentity("fan", "", None, "normal", "target", "vel_3")
    with pytest.raises(InputError, match="line 2: domain 'moon'; give source or target"):
        identify_clips(["a.wav"], "fan", table_of(**told, domain=["moon"]))


def test_what_is_published_adds_to_names_and_never_overrules_them():
    clips = {
        "test/section_00_0001.wav": ClipFacts("anomalous", "target", "vel_1"),
        "test/section_00_source_test_normal_0002_vel_2.wav": ClipFacts("anomalous", "target", "x"),
    }
    found, _ = identify_clips(list(clips), "fan", None, clips)
    assert list(found.values()) == [
        ClipIdentity("fan", "00", "test", "anomalous", "target", "vel_1"),
        ClipIdentity("fan", "00", "test", "normal", "source", "vel_2"),
    ]
