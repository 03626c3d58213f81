import json
import shutil

import numpy as np
import pytest
import soundfile
from features_of_report import FEATURES

from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.corpus.clips import CLIP_COLUMNS, list_clips, list_new_clips
from anomalous_sound.corpus.summary import CorpusSummary, fingerprint, summarise
from anomalous_sound.datasets import AudioFolderDataset
from anomalous_sound.errors import InputError

SETTINGS = CorpusSettings(
    parts=None,
    machine_type=None,
    machine_ids=None,
    validation_fraction=0.25,
    normal_test_fraction=0.3,
    min_frames=11,
)


def listed(folder, seed=1, **changed):
    corpus = AudioFolderDataset(audio_dir=str(folder)).load()
    return list_clips(corpus, SETTINGS.model_copy(update=changed), FEATURES, seed=seed)


def reasons(rejected):
    return dict(zip(rejected.clip_id, rejected.reason, strict=True))


def test_validation_is_held_out_by_clip_and_machine_id(dcase_folder):
    clips, rejected = listed(dcase_folder)
    assert list(clips.columns) == CLIP_COLUMNS
    assert rejected.empty
    assert len(clips) == 16
    counts = clips.groupby(["machine_id", "split"]).size()
    assert counts.to_dict() == {
        (machine_id, split): count
        for machine_id in ("00", "02")
        for split, count in (("test", 4), ("train", 3), ("validation", 1))
    }
    assert set(clips.label[clips.split == "validation"]) == {"normal"}
    row = clips.iloc[0]
    assert (row.sample_rate, row.channels, row.duration_s) == (16000, 1, 1.0)


def test_the_draw_depends_on_the_seed_alone(dcase_folder):
    def validation(seed):
        clips, _ = listed(dcase_folder, seed=seed)
        return tuple(clips.clip_id[clips.split == "validation"])

    assert validation(1) == validation(1)
    assert len({validation(seed) for seed in range(8)}) > 1


def test_the_draw_of_a_machine_id_ignores_the_others(dcase_folder):
    clips, _ = listed(dcase_folder, validation_fraction=0.5)
    alone, rejected = listed(dcase_folder, validation_fraction=0.5, machine_ids=["00"])
    both = clips[clips.machine_id == "00"].reset_index(drop=True)
    assert both.equals(alone)
    assert len(rejected) == 8
    assert set(rejected.reason) == {"machine ID 02 is not in corpus.machine_ids"}
    with pytest.raises(InputError, match="names 09.* it holds 00, 02"):
        listed(dcase_folder, machine_ids=["09"])


def test_mimii_normal_clips_are_split_and_abnormal_are_test(tmp_path, write_clip):
    for number in range(10):
        write_clip(tmp_path / "fan" / "id_00" / "normal" / f"{number:08d}.wav", seed=number)
    for number in range(3):
        write_clip(tmp_path / "fan" / "id_00" / "abnormal" / f"{number:08d}.wav", seed=50 + number)
    clips, _ = listed(tmp_path / "fan")
    counts = clips.groupby(["split", "label"]).size().to_dict()
    assert counts == {
        ("test", "anomalous"): 3,
        ("test", "normal"): 3,
        ("train", "normal"): 5,
        ("validation", "normal"): 2,
    }


def test_bad_clips_are_listed_and_the_rest_is_used(dcase_folder, write_clip):
    train, test = dcase_folder / "train", dcase_folder / "test"
    good = (train / "normal_id_00_00000000.wav").read_bytes()
    (train / "normal_id_00_00000010.wav").write_bytes(b"")
    (train / "normal_id_00_00000011.wav").write_bytes(good[:5000])
    (train / "normal_id_00_00000012.wav").write_text("text")
    (train / "holiday.wav").write_bytes(good)
    write_clip(train / "normal_id_00_00000013.wav", np.zeros(16000))
    not_numbers = np.full(16000, np.nan)
    write_clip(train / "normal_id_00_00000014.wav", not_numbers, subtype="FLOAT")
    write_clip(train / "normal_id_00_00000015.wav", np.random.default_rng(0).normal(size=5119))
    write_clip(train / "normal_id_00_00000016.wav", np.random.default_rng(0).normal(size=5120))
    write_clip(train / "anomaly_id_00_00000017.wav", seed=99)
    shutil.copy(train / "normal_id_02_00000000.wav", test / "normal_id_02_00000042.wav")
    clips, rejected = listed(dcase_folder)
    reason = reasons(rejected)
    expected = {
        "train/normal_id_00_00000010.wav": "empty",
        "train/normal_id_00_00000011.wav": "truncated",
        "train/normal_id_00_00000012.wav": "decoded",
        "train/holiday.wav": "cannot be parsed",
        "train/normal_id_00_00000013.wav": "zero",
        "train/normal_id_00_00000014.wav": "NaN",
        "train/normal_id_00_00000015.wav": "10 frames, and a window with its next frame needs 11",
        "train/anomaly_id_00_00000017.wav": "labelled anomalous",
        "train/normal_id_02_00000000.wav": "the same audio as test/normal_id_02_00000042.wav",
    }
    assert set(reason) == set(expected)
    for clip_id, words in expected.items():
        assert words in reason[clip_id]
    assert "train/normal_id_00_00000016.wav" in set(clips.clip_id)
    assert len(clips) + len(rejected) == 26


def test_the_same_sound_in_another_format_still_leaks(dcase_folder):
    samples, rate = soundfile.read(dcase_folder / "train" / "normal_id_00_00000001.wav")
    soundfile.write(dcase_folder / "train" / "normal_id_00_00000077.flac", samples, rate)
    clips, rejected = listed(dcase_folder)
    assert reasons(rejected) == {
        "train/normal_id_00_00000077.flac": "the same audio as train/normal_id_00_00000001.wav; "
        "training on it would leak"
    }
    assert len(clips) == 16


def test_the_same_sound_with_two_labels_is_not_judged(dcase_folder):
    test = dcase_folder / "test"
    shutil.copy(test / "normal_id_00_00000000.wav", test / "anomaly_id_00_00000000.wav")
    _, rejected = listed(dcase_folder)
    assert len(rejected) == 2
    assert rejected.reason.str.contains("the other label too").all()


def test_other_rates_are_resampled_and_said(dcase_folder, write_clip, caplog):
    write_clip(dcase_folder / "train" / "normal_id_00_00000020.wav", seed=9, samplerate=8000)
    caplog.set_level("WARNING", "anomalous_sound")
    clips, _ = listed(dcase_folder)
    assert set(clips.sample_rate) == {8000, 16000}
    assert "1 clips were recorded at 8000 Hz and are resampled to 16000 Hz" in caplog.text


def test_nothing_usable_is_one_sentence(tmp_path):
    folder = tmp_path / "slider" / "train"
    folder.mkdir(parents=True)
    (folder / "normal_id_00_00000000.wav").write_bytes(b"")
    with pytest.raises(
        InputError, match="none of the 1 clips found can be used; the first, train/"
    ):
        listed(tmp_path / "slider")


def test_one_training_clip_is_too_few(tmp_path, write_clip):
    write_clip(tmp_path / "press" / "a.wav")
    with pytest.raises(InputError, match="too few normal training clips: 1 usable"):
        listed(tmp_path / "press")


def test_two_validation_clips_at_least_since_a_spread_needs_two(tmp_path, write_clip):
    for number in range(5):
        write_clip(tmp_path / "press" / f"{number}.wav", seed=number)
    clips, _ = listed(tmp_path / "press")
    assert clips.split.value_counts().to_dict() == {"train": 3, "validation": 2}


def test_fingerprint_follows_content_and_split(dcase_folder, write_clip):
    clips, _ = listed(dcase_folder)
    assert fingerprint(clips) == fingerprint(clips.sample(frac=1, random_state=0))
    relabelled = clips.assign(label=clips.label.replace("anomalous", "normal"))
    assert fingerprint(relabelled) != fingerprint(clips)
    write_clip(dcase_folder / "test" / "normal_id_00_00000000.wav", seed=1234)
    assert fingerprint(listed(dcase_folder)[0]) != fingerprint(clips)


def test_the_summary_of_a_corpus(dcase_folder):
    (dcase_folder / "train" / "normal_id_02_00000003.wav").write_bytes(b"")
    corpus = AudioFolderDataset(audio_dir=str(dcase_folder)).load()
    clips, rejected = listed(dcase_folder)
    summary = summarise(corpus, clips, rejected)
    facts = {
        "name": "slider",
        "simulated": False,
        "fingerprint": fingerprint(clips),
        "machine_type": "slider",
        "machine_ids": ["00", "02"],
        "clips_found": 16,
        "clips_used": 15,
        "clips_rejected": 1,
        "clips_by_split_and_label": {
            "test anomalous": 4,
            "test normal": 4,
            "train normal": 5,
            "validation normal": 2,
        },
    }
    written = json.loads(json.dumps(summary.model_dump(mode="json")))
    assert written == facts
    assert list(written) == list(facts)
    assert CorpusSummary.model_validate(written) == summary


def test_new_clips_are_all_test_clips_of_the_detector(dcase_folder, caplog):
    corpus = AudioFolderDataset(audio_dir=str(dcase_folder)).load()
    how = {"machine_ids": ["00"], "min_frames": 11}
    clips, rejected = list_new_clips(corpus, FEATURES, machine_type="slider", **how)
    assert set(clips.split) == {"test"}
    assert set(clips.machine_id) == {"00"}
    assert len(clips) == len(rejected) == 8
    assert rejected.reason.str.contains("no network for machine ID '02'").all()
    caplog.set_level("WARNING", "anomalous_sound")
    clips, _ = list_new_clips(corpus, FEATURES, machine_type="fan", **how)
    assert set(clips.machine_type) == {"fan"}
    assert "machine type slider; its clips are judged as the detector's fan" in caplog.text
