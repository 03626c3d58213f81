import pandas as pd
import pytest

from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.corpus.split import calibration_clips, draw_folds
from anomalous_sound.errors import InputError
from anomalous_sound.training.folds import assign_folds, clips_left_out, clips_of_members


def detector(**changed):
    values = {
        "name": None,
        "per": "machine_type",
        "folds": 3,
        "left_out": "clip",
        "left_out_fits": 100,
        "channels": "maximum",
    }
    return DetectorSettings(**values | changed)


def clips_of(**counts):
    """Return training clips; ``_00=5`` are five of machine ID 00, and one test clip for each ID."""
    rows = [
        (f"{name[1:]}/{number}", name[1:], "train" if number else "test")
        for name, count in counts.items()
        for number in range(count + 1)
    ]
    return pd.DataFrame(rows, columns=["clip_id", "machine_id", "split"])


CLIPS = clips_of(_00=5, _02=4)
NORMAL = set(CLIPS.clip_id[CLIPS.split == "train"])


def test_folds_are_even_and_share_out_each_machine_id():
    clips = pd.DataFrame({"machine_id": ["00"] * 10 + ["02"] * 6})
    folds = draw_folds(clips, 4, seed=1)
    assert sorted(folds.value_counts()) == [4, 4, 4, 4]
    assert set(folds.groupby(clips.machine_id).value_counts()) <= {1, 2, 3}
    assert not folds.equals(draw_folds(clips, 4, seed=2))
    pd.testing.assert_series_equal(folds, draw_folds(clips, 4, seed=1))


def test_every_normal_clip_is_left_out_of_one_network():
    folds = assign_folds(CLIPS, detector(), seed=1)
    assert set(folds.clip_id) == NORMAL
    members = clips_of_members(CLIPS, folds, detector())
    assert list(members) == ["fold_0", "fold_1", "fold_2"]
    for fold, (trained_on, validated_on) in enumerate(members.values()):
        assert validated_on == set(folds.clip_id[folds.fold == fold])
        assert trained_on == NORMAL - validated_on
        assert len(validated_on) == 3


def test_each_machine_id_has_folds_of_its_own():
    settings = detector(per="machine_id")
    folds = assign_folds(CLIPS, settings, seed=1)
    members = clips_of_members(CLIPS, folds, settings)
    assert list(members) == [f"id_{name}/fold_{fold}" for name in ("00", "02") for fold in range(3)]
    for name, (trained_on, validated_on) in members.items():
        own = {clip_id for clip_id in NORMAL if clip_id.startswith(name[3:5])}
        assert trained_on | validated_on == own
        assert trained_on & validated_on == set()
        assert validated_on


def test_with_fewer_clips_than_folds_each_clip_is_a_fold(caplog):
    few = clips_of(_00=2)
    with caplog.at_level("INFO"):
        folds = assign_folds(few, detector(), seed=1)
    assert sorted(folds.fold) == [0, 1]
    assert "The 2 normal clips of the corpus make 2 folds." in caplog.text
    with pytest.raises(InputError, match="too few normal training clips of the corpus: 1;"):
        assign_folds(clips_of(_00=1), detector(), seed=1)
    with pytest.raises(InputError, match="of machine ID '02': 1"):
        assign_folds(clips_of(_00=4, _02=1), detector(per="machine_id"), seed=1)


def test_one_network_is_trained_without_the_validation_clips():
    held_out = {"00/2", "02/4"}
    clips = CLIPS.assign(split=CLIPS.split.mask(CLIPS.clip_id.isin(held_out), "validation"))
    folds = assign_folds(clips, detector(folds=1), seed=1)
    assert dict(zip(folds.clip_id, folds.fold, strict=True)) == dict.fromkeys(held_out, 0)
    normal = set(clips.clip_id[clips.split != "test"])
    members = clips_of_members(clips, folds, detector(folds=1))
    assert members == {"": (normal - held_out, held_out)}
    own = clips_of_members(clips, folds, detector(folds=1, per="machine_id"))
    assert list(own) == ["id_00", "id_02"]
    assert own["id_02"][1] == {"02/4"}
    training = clips[clips.split == "train"]
    assert clips_left_out(training, folds, detector(folds=1), 1) is None


def test_a_whole_machine_id_is_left_out():
    settings = detector(left_out="machine_id", folds=1)
    folds = assign_folds(CLIPS, settings, seed=1)
    members = clips_of_members(CLIPS, folds, settings)
    assert list(members) == ["fold_0", "fold_1"]
    assert members["fold_0"] == (
        {clip_id for clip_id in NORMAL if clip_id.startswith("02")},
        {clip_id for clip_id in NORMAL if clip_id.startswith("00")},
    )
    # and of the score
    training = CLIPS[CLIPS.split == "train"]
    assert clips_left_out(training, folds, settings, 1).parts.tolist() == [0] * 5 + [1] * 4
    with pytest.raises(InputError, match="there is only machine ID '00'; give clips of two"):
        assign_folds(clips_of(_00=4), settings, seed=1)


def test_each_clip_is_left_out_of_the_score_alone_or_with_others_of_many():
    training = CLIPS[CLIPS.split == "train"]
    folds = assign_folds(CLIPS, detector(), seed=1)
    assert clips_left_out(training, folds, detector(), 1).parts.tolist() == list(range(9))
    parts = clips_left_out(training, folds, detector(left_out_fits=4), 1).parts
    assert sorted(pd.Series(parts).value_counts()) == [2, 2, 2, 3]


def test_what_calibrates_are_validation_clips_or_else_all_training_clips():
    table = pd.DataFrame({"split": ["train", "validation", "test"]})
    assert calibration_clips(table).tolist() == [False, True, False]
    assert calibration_clips(table[table.split != "validation"]).tolist() == [True, False]


def test_clips_beside_a_block_of_one_recording_are_not_fitted_on():
    """One recording of 12 clips that overlap by half, in folds of blocks."""
    starts = [5.0 * number for number in range(12)]
    training = pd.DataFrame(
        {
            "clip_id": [f"day.wav@{start}" for start in starts],
            "machine_id": "00",
            "split": "train",
            "recording": "day.wav",
            "start_s": starts,
            "duration_s": 10.0,
        }
    )
    folds = assign_folds(training, detector(folds=3), 1)
    left_out = clips_left_out(training, folds, detector(folds=3), 1)
    assert left_out.parts.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    members = clips_of_members(training, folds, detector(folds=3))
    for part, beside in left_out.beside.items():
        fitted_on = set(training.clip_id[(left_out.parts != part) & ~beside])
        assert fitted_on == members[f"fold_{part}"][0]
    assert left_out.beside[0].sum() == 3  # those that begin less than a length behind it


def test_a_recording_too_short_to_leave_anything_to_train_on_is_told_of():
    """Of three clips in a row the middle one has the other two beside it."""
    starts = [0.0, 10.0, 20.0]
    training = pd.DataFrame(
        {
            "clip_id": [f"day.wav@{start}" for start in starts],
            "machine_id": "00",
            "split": "train",
            "recording": "day.wav",
            "start_s": starts,
            "duration_s": 10.0,
        }
    )
    folds = assign_folds(training, detector(folds=4), 1)
    with pytest.raises(InputError, match="too few normal training clips: 3, .* longer or more"):
        clips_of_members(training, folds, detector(folds=4))
