import json
import os

import pytest
from kedro.io import DatasetError

from anomalous_sound.datasets import AudioFolderDataset
from anomalous_sound.errors import InputError


def load(folder):
    return AudioFolderDataset(audio_dir=str(folder)).load()


def test_clips_are_found_and_decoded_when_asked_for(dcase_folder, write_clip):
    write_clip(dcase_folder / "deeper" / "down" / "LOUD.WAV", seed=3)
    write_clip(dcase_folder / ".hidden" / "a.wav")
    write_clip(dcase_folder / "train" / "._normal_id_00_00000000.wav")
    (dcase_folder / "README.md").write_text("not a clip")
    (dcase_folder / "train" / "normal_id_00_00000009.wav").write_bytes(b"broken")
    corpus = load(dcase_folder)
    assert len(corpus.recordings) == 16 + 2
    assert "deeper/down/LOUD.WAV" in corpus.recordings
    assert corpus.recordings["test/anomaly_id_02_00000001.wav"].recording().channels == 1
    assert (corpus.name, corpus.folder_name, corpus.simulated) == ("slider", "slider", False)
    assert corpus.labels is None


def test_labels_and_description_come_along(dcase_folder):
    (dcase_folder / "labels.csv").write_text("file,label,machine_id\na.wav, normal,007\n")
    (dcase_folder / "corpus.json").write_text(json.dumps({"name": "made up", "simulated": True}))
    corpus = load(dcase_folder)
    assert corpus.labels.columns == ("file", "label", "machine_id")
    assert corpus.labels.rows == ({"file": "a.wav", "label": "normal", "machine_id": "007"},)
    assert corpus.simulated
    assert corpus.name == "made up"


def test_a_wrong_folder_is_named(tmp_path):
    with pytest.raises(DatasetError) as missing:
        load(tmp_path / "gone")
    assert isinstance(missing.value.__cause__, InputError)
    assert f"{tmp_path / 'gone'} does not exist" in str(missing.value)
    with pytest.raises(DatasetError, match="there are no recordings to read: give a folder"):
        AudioFolderDataset(audio_dir=None).load()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"empty holds no audio; files ending in \.wav, "):
        load(tmp_path / "empty")


def test_a_single_file_is_a_corpus_of_its_own(dcase_folder, write_clip):
    (dcase_folder / "labels.csv").write_text("file,label\nother.wav,normal\n")
    path = write_clip(dcase_folder / "monday.wav", seed=7)
    corpus = load(path)
    assert list(corpus.recordings) == ["monday.wav"]
    assert (corpus.name, corpus.folder_name) == ("monday.wav", "slider")
    assert corpus.labels is None  # they are of the folder
    assert corpus.recordings["monday.wav"].recording().sample_rate == 16000


def test_recordings_are_never_written(dcase_folder):
    with pytest.raises(DatasetError, match="read only"):
        AudioFolderDataset(audio_dir=str(dcase_folder)).save("anything")


@pytest.mark.parametrize("name", ["labels.csv", "corpus.json"])
def test_a_link_to_nothing_is_not_ignored(dcase_folder, name):
    (dcase_folder / name).symlink_to("gone.csv")
    with pytest.raises(DatasetError, match=f"{name} is a link to gone.csv, which does not exist"):
        load(dcase_folder)


@pytest.mark.parametrize("name", ["labels.csv", "corpus.json"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: path.mkdir(), "folder"),
        (lambda path: os.mkfifo(path), "pipe"),
        (lambda path: path.symlink_to(os.devnull), "device"),
    ],
)
def test_what_is_no_file_under_the_name_of_one_is_not_ignored(dcase_folder, name, make, kind):
    make(dcase_folder / name)
    with pytest.raises(DatasetError, match=f"{name} is no file but a {kind}; put a file there, or"):
        load(dcase_folder)


def test_what_is_no_table_of_attributes_is_not_ignored(dcase_folder):
    os.mkfifo(dcase_folder / "attributes_00.csv")
    with pytest.raises(DatasetError, match=r"attributes_00\.csv is no file but a pipe"):
        load(dcase_folder)


def test_linked_folders_are_followed_once(tmp_path, write_clip):
    folder = tmp_path / "press"
    write_clip(folder / "monday" / "a.wav")
    write_clip(tmp_path / "archive" / "b.wav")
    (folder / "a loop").symlink_to(folder)
    (folder / "again").symlink_to(folder / "monday")
    (folder / "archive").symlink_to(tmp_path / "archive")
    (tmp_path / "archive" / "back").symlink_to(folder)
    (folder / "linked.wav").symlink_to(folder / "monday" / "a.wav")
    assert list(load(folder).recordings) == ["archive/b.wav", "linked.wav", "monday/a.wav"]


def test_endings_that_are_read_and_those_that_are_to_be_converted(tmp_path, write_clip):
    folder = tmp_path / "press"
    write_clip(folder / "a.opus", format="OGG", subtype="OPUS")
    for name in ("b.m4a", "c.AAC", "d.wma", "notes.txt"):
        (folder / name).write_text("not audio")
    recordings = load(folder).recordings
    assert list(recordings) == ["a.opus", "b.m4a", "c.AAC", "d.wma"]
    assert len(recordings["a.opus"].recording().samples) == 16000


NAMES = {
    b"caf\xe9.wav": r"caf\xe9.wav",
    b"two\nlines.wav": r"two\nlines.wav",
    rb"two\nlines.wav": r"two\\nlines.wav",
    b"back\rwards.wav": r"back\rwards.wav",
    b"<b>|tab\t,.wav": r"<b>|tab\t,.wav",
    "line\u2028end.wav".encode(): r"line\u2028end.wav",
}


def test_clips_of_any_name_are_scored_under_names_that_fit_into_a_line(
    project, dcase_folder, write_clip
):
    before = len(project.load_corpus(dcase_folder).recordings)
    for seed, name in enumerate(NAMES):
        clip = write_clip(dcase_folder / "test" / "plain.wav", seed=50 + seed)
        folder = clip.parent / "odd\nfolder"
        folder.mkdir(exist_ok=True)
        clip.rename(os.fsdecode(os.fsencode(folder) + b"/" + name))
    labels = ["file,label,machine_id,split"]
    for path in sorted(dcase_folder.rglob("normal_*.wav")):
        labels.append(f"{path.relative_to(dcase_folder)},normal,00,{path.parent.name}")
    # a table names a file as it is, or as it is shown
    labels.append('"test/odd\nfolder/two\nlines.wav",anomalous,00,test')
    labels.append(r"test/odd\nfolder/caf\xe9.wav,anomalous,00,test")
    (dcase_folder / "labels.csv").write_text("\n".join(labels))
    project.run(audio_dir=str(dcase_folder))
    expected = {rf"test/odd\nfolder/{shown}" for shown in NAMES.values()}
    clips, scores = project.load("clips"), project.load("lstm.clip_scores")
    assert len(clips) == before + len(NAMES)
    assert project.load("rejected_clips").empty
    assert expected < set(clips.clip_id)
    assert expected < set(scores.clip_id)
    assert expected < set(project.load("lstm.decisions").clip_id)
    anomalous = clips.clip_id[clips.label == "anomalous"]
    assert {
        rf"test/odd\nfolder/{NAMES[name]}" for name in (b"two\nlines.wav", b"caf\xe9.wav")
    } == set(anomalous)
    for page in ("report.md", "report.html"):
        text = project.data("08_reporting", "slider", "lstm", page).read_text(encoding="utf-8")
        assert "\nlines.wav" not in text
