import json
import shutil

import numpy as np
import pytest
import soundfile
from features_of_report import FEATURES
from support import RATE, corpus_settings, noise

from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.corpus.audio_corpus import clip_places
from anomalous_sound.corpus.clips import CLIP_COLUMNS, list_clips, list_new_clips
from anomalous_sound.corpus.extraction import promise_log_mel
from anomalous_sound.corpus.summary import CorpusSummary, fingerprint, summarise
from anomalous_sound.datasets import AudioFolderDataset
from anomalous_sound.errors import InputError

SETTINGS = corpus_settings()


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


def test_the_clip_that_is_named_is_rejected_for_what_most_are(dcase_folder, write_clip):
    write_clip(dcase_folder / "supplemental" / "section_00_machine_source_0000.wav", seed=90)
    rate = FEATURES.audio.model_copy(update={"channel": 3})
    features = FEATURES.model_copy(update={"audio": rate})
    corpus = AudioFolderDataset(audio_dir=str(dcase_folder)).load()
    with pytest.raises(InputError, match="none of the 17 clips found can be used; .*no channel 3"):
        list_clips(corpus, SETTINGS, features, seed=1)


def test_training_clips_of_one_domain_alone_are_told(tmp_path, write_clip, caplog):
    folder = tmp_path / "fan"
    for n in range(4):
        name = f"section_00_source_train_normal_{n:04d}.wav"
        write_clip(folder / "train" / name, seed=n)
    write_clip(folder / "test" / "section_00_target_test_normal_0000.wav", seed=50)
    listed(folder)
    (told,) = [one.getMessage() for one in caplog.records if "domain" in one.getMessage()]
    assert told == (
        "No training clip is of the target domain: whatever tells the domains apart compares with "
        "the source domain alone."
    )
    caplog.clear()
    write_clip(folder / "train" / "section_00_target_train_normal_0000.wav", seed=60)
    listed(folder)
    assert "domain" not in caplog.text


def test_a_rejected_clip_makes_no_other_one_a_repeat(dcase_folder):
    train = dcase_folder / "train"
    shutil.copy(train / "normal_id_00_00000001.wav", train / "anomaly_id_00_00000000.wav")
    clips, rejected = listed(dcase_folder)
    assert len(clips) == 16
    (reason,) = reasons(rejected).values()
    assert "labelled anomalous; training uses normal clips only" in reason


def test_clips_beside_tested_ones_may_be_alike(tmp_path, write_clip):
    machine = tmp_path / "pump" / "id_00"
    samples = noise(1, seconds=20.0)
    write_clip(machine / "normal" / "monday.wav", samples)
    write_clip(machine / "abnormal" / "tuesday.wav", noise(2, seconds=2.0))
    tested = pieces(tmp_path)[0].query("split == 'test' and label == 'normal'").start_s
    beside = [place for place in (tested.min() - 1, tested.max() + 1) if 0 <= place < 20]
    for place in map(int, beside):
        samples[place * RATE : (place + 1) * RATE] = noise(3)
    write_clip(machine / "normal" / "monday.wav", samples)
    _, rejected = pieces(tmp_path)
    assert len(beside) == 2
    for place in beside:
        reason = reasons(rejected)[f"pump/id_00/normal/monday.wav@{place:010.3f}"]
        assert reason.startswith("it lies next to clips of the same recording")


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


def test_fingerprint_follows_content_split_and_machine(dcase_folder, write_clip):
    clips, _ = listed(dcase_folder)
    assert fingerprint(clips) == fingerprint(clips.sample(frac=1, random_state=0))
    relabelled = clips.assign(label=clips.label.replace("anomalous", "normal"))
    assert fingerprint(relabelled) != fingerprint(clips)
    for column in ("machine_id", "machine_type"):
        assert fingerprint(clips.assign(**{column: "other"})) != fingerprint(clips)
    write_clip(dcase_folder / "test" / "normal_id_00_00000000.wav", seed=1234)
    assert fingerprint(listed(dcase_folder)[0]) != fingerprint(clips)


def test_the_summary_of_a_corpus(dcase_folder):
    (dcase_folder / "train" / "normal_id_02_00000003.wav").write_bytes(b"")
    corpus = AudioFolderDataset(audio_dir=str(dcase_folder)).load()
    clips, rejected = listed(dcase_folder)
    summary = summarise(corpus, clips, rejected, SETTINGS)
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
        "segment_s": 10.0,
        "segment_hop_s": None,
        "held_out_by": "clips",
    }
    written = json.loads(json.dumps(summary.model_dump(mode="json")))
    assert written == facts
    assert list(written) == list(facts)
    assert CorpusSummary.model_validate(written) == summary


def test_new_clips_are_all_test_clips_of_the_detector(dcase_folder, caplog):
    corpus = AudioFolderDataset(audio_dir=str(dcase_folder)).load()
    how = {"machine_ids": ["00"], "min_frames": 11, "segments": SETTINGS}
    clips, rejected = list_new_clips(corpus, FEATURES, machine_type="slider", **how)
    assert set(clips.split) == {"test"}
    assert set(clips.machine_id) == {"00"}
    assert len(clips) == len(rejected) == 8
    assert rejected.reason.str.contains("no network for machine ID '02'").all()
    caplog.set_level("WARNING", "anomalous_sound")
    clips, _ = list_new_clips(corpus, FEATURES, machine_type="fan", **how)
    assert set(clips.machine_type) == {"fan"}
    assert "call 'slider' is judged as the detector's machine type, fan." in caplog.text


def test_the_name_of_a_plain_folder_is_no_warning(tmp_path, write_clip, caplog):
    write_clip(tmp_path / "monday" / "0001.wav")
    corpus = AudioFolderDataset(audio_dir=str(tmp_path / "monday")).load()
    how = {"machine_ids": ["00"], "nameless": "00", "min_frames": 11, "segments": SETTINGS}
    clips, _ = list_new_clips(corpus, FEATURES, machine_type="fan", **how)
    assert set(clips.machine_type) == {"fan"}
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def test_a_file_from_a_folder_of_a_split_is_of_the_machine_above(dcase_folder):
    path = min((dcase_folder / "test").glob("*.wav"))
    assert AudioFolderDataset(audio_dir=str(path)).load().folder_name == "slider"


def pieces(folder, **changed):
    return listed(folder, **{"segment_s": 1.0, **changed})


def test_recordings_are_cut_and_short_files_stay_whole(tmp_path, write_clip):
    folder = tmp_path / "press"
    write_clip(folder / "monday.wav", noise(1, seconds=3.5))
    write_clip(folder / "tuesday.flac", noise(2, seconds=2.0))
    write_clip(folder / "short.wav", noise(3, seconds=1.9))
    clips, rejected = pieces(folder)
    assert rejected.empty
    assert clips.clip_id.tolist() == [
        "monday.wav@000000.000",
        "monday.wav@000001.000",
        "monday.wav@000002.000",
        "monday.wav@000002.500",
        "short.wav",
        "tuesday.flac@000000.000",
        "tuesday.flac@000001.000",
    ]
    assert clips.recording.tolist() == ["monday.wav"] * 4 + ["short.wav"] + ["tuesday.flac"] * 2
    assert clips.start_s.tolist() == [0.0, 1.0, 2.0, 2.5, 0.0, 0.0, 1.0]
    assert clips.duration_s.tolist() == [1.0] * 4 + [1.9] + [1.0] * 2
    # whole recordings are held out: about a quarter of 7 clips
    held_out = clips[clips.split == "validation"]
    assert set(clips.recording[clips.split == "train"]).isdisjoint(held_out.recording)
    assert len(held_out) in (1, 2)
    assert len(listed(folder, segment_s=None)[0]) == 3


def test_a_piece_is_the_slice_of_its_recording(tmp_path, write_clip):
    write_clip(tmp_path / "press" / "monday.wav", noise(1, seconds=3.5, channels=2))
    write_clip(tmp_path / "press" / "tuesday.wav", noise(2, seconds=3.5))
    clips, _ = pieces(tmp_path / "press")
    corpus = AudioFolderDataset(audio_dir=str(tmp_path / "press")).load()
    whole, _ = soundfile.read(tmp_path / "press" / "monday.wav", dtype="float32")
    place = clip_places(clips)["monday.wav@000002.500"]
    found = corpus.mono_clip(place, FEATURES.audio)
    channel = FEATURES.audio.channel
    expected = whole.mean(axis=1) if channel == "mean" else whole[:, channel]
    np.testing.assert_array_equal(found, expected[40_000:])
    write_clip(tmp_path / "press" / "monday.wav", noise(9, seconds=3.5, channels=2))
    with pytest.raises(InputError, match="monday.wav was changed .* other audio than before"):
        corpus.mono_clip(place, FEATURES.audio)


def test_one_recording_is_held_out_by_a_block_and_its_neighbours_are_told(tmp_path, write_clip):
    write_clip(tmp_path / "press" / "monday.wav", noise(1, seconds=20.0))
    clips, rejected = pieces(tmp_path / "press")
    held_out = clips[clips.split == "validation"].start_s.tolist()
    assert len(held_out) == 5
    assert held_out == list(np.arange(held_out[0], held_out[0] + 5))
    beside = {held_out[0] - 1, held_out[-1] + 1} & set(np.arange(20.0))
    assert set(rejected.clip_id) == {f"monday.wav@{start:010.3f}" for start in beside}
    assert rejected.reason.str.contains("next to clips of the same recording").all()
    assert len(clips) + len(rejected) == 20


def test_the_summary_says_what_the_clips_left_out_have_in_common(tmp_path, write_clip):
    for number in range(3):
        write_clip(tmp_path / "press" / f"{number}.wav", noise(number, seconds=6.0))
    corpus = AudioFolderDataset(audio_dir=str(tmp_path / "press")).load()
    tables = pieces(tmp_path / "press")

    def held_out_by(folds):
        return summarise(corpus, *tables, SETTINGS, folds=folds).held_out_by

    # three recordings are no four parts
    assert [held_out_by(folds) for folds in (1, 2, 3, 4)] == [*["recordings"] * 3, "blocks"]
    assert held_out_by(None) == "recordings"  # machine IDs are left out, and what was cut is whole


def test_faulty_pieces_of_a_recording_are_rejected_each(tmp_path, write_clip):
    samples = noise(1, seconds=20.0)
    samples[RATE : 2 * RATE] = 0
    samples[5 * RATE : 6 * RATE] = samples[12 * RATE : 13 * RATE]
    write_clip(tmp_path / "press" / "monday.wav", samples)
    write_clip(tmp_path / "press" / "tuesday.wav", noise(2, seconds=20.0))
    (tmp_path / "press" / "half.wav").write_bytes(b"RIFF")
    clips, rejected = pieces(tmp_path / "press")
    assert reasons(rejected) == {
        "half.wav": "it cannot be decoded as audio (Format not recognised.)",
        "monday.wav@000001.000": "all samples are zero",
        "monday.wav@000012.000": "the same audio as monday.wav@000005.000; "
        "training on it would leak",
    }
    assert len(clips) + len(rejected) == 41


def test_a_piece_that_another_recording_holds_too_does_not_leak(tmp_path, write_clip):
    first, second = ((noise(seed, 4.0) * 2**15).astype(np.int16) for seed in (1, 2))
    second[2 * RATE : 3 * RATE] = first[RATE : 2 * RATE]
    write_clip(tmp_path / "press" / "a.wav", first)
    write_clip(tmp_path / "press" / "b.flac", second)
    _, rejected = pieces(tmp_path / "press")
    assert rejected.clip_id.tolist() == ["b.flac@000002.000"]


def test_the_log_says_what_was_taken_for_what(tmp_path, write_clip, caplog):
    for name in ("monday/1.wav", "monday/2.wav", "3.wav"):
        write_clip(tmp_path / "press" / name, seed=len(caplog.text) + len(name) + ord(name[-5]))
    caplog.set_level("INFO", "anomalous_sound")
    listed(tmp_path / "press")
    assert "monday/: 2 recordings -> normal, for training." in caplog.text
    assert "./: 1 recordings -> normal, for training." in caplog.text


def test_a_hop_beyond_the_segment_is_refused():
    values = SETTINGS.model_dump() | {"segment_s": 5.0, "segment_hop_s": 6.0}
    with pytest.raises(ValueError, match=r"corpus\.segment_hop_s' is 6\.0; accepted: at most 5"):
        CorpusSettings.model_validate(values)


def test_a_linked_recording_that_is_gone_is_rejected_and_not_lost(dcase_folder):
    (dcase_folder / "train" / "normal_id_00_00000090.wav").symlink_to("gone.wav")
    _, rejected = listed(dcase_folder)
    assert reasons(rejected) == {
        "train/normal_id_00_00000090.wav": "it cannot be read (No such file or directory)"
    }


def test_a_recording_that_is_gone_since_it_was_listed_is_told(dcase_folder):
    clips, _ = listed(dcase_folder)
    name = clips.recording.iloc[0]
    (dcase_folder / name).unlink()
    later = AudioFolderDataset(audio_dir=str(dcase_folder)).load()
    with pytest.raises(InputError, match=f"{name} was there when the clips were listed, and is"):
        promise_log_mel(later, clips, FEATURES)
    with pytest.raises(InputError, match="is there no longer; run again"):
        later.channels(clip_places(clips)[clips.clip_id.iloc[0]], FEATURES.audio)
