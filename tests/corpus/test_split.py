"""Draws by clip, by recording and by block, against counts worked out by hand."""

import zlib

import numpy as np
import pandas as pd
import pytest

from anomalous_sound.corpus.split import (
    LEFT_OUT,
    beside,
    draw_folds,
    drawn_by,
    hold_out_validation,
    split_where_open,
)


def table(machine_id="00", hop_s=10.0, split="train", **clips_of_recording):
    """Name each recording with its number of clips; one clip is a file of its own."""
    rows = []
    for name, count in clips_of_recording.items():
        for number in range(count):
            start_s = number * hop_s
            clip_id = f"{name}@{start_s:010.3f}" if count > 1 else name
            rows.append((clip_id, name, start_s, 10.0, machine_id, "normal", split))
    columns = ["clip_id", "recording", "start_s", "duration_s", "machine_id", "label", "split"]
    return pd.DataFrame(rows, columns=columns)


def whole_files(count):
    return table(**{f"f{number:02d}": 1 for number in range(count)})


def test_files_that_are_one_clip_are_drawn_as_ever():
    """The draw of version 0.1.0, written down."""
    split = hold_out_validation(whole_files(10), 0.2, seed=1)
    rng = np.random.default_rng([1, zlib.crc32(b"validation 00")])
    assert set(split.index[split == "validation"]) == set(rng.permutation(np.arange(10))[:2])
    assert drawn_by(whole_files(10)) == "clips"


@pytest.mark.parametrize("seed", range(20))
def test_whole_recordings_are_held_out(seed):
    clips = table(a=30, b=30, c=30, d=30, e=30)
    split = hold_out_validation(clips, 0.2, seed)
    held_out = clips[split == "validation"]
    assert len(set(held_out.recording)) == 1
    assert len(held_out) == 30
    assert not (split == LEFT_OUT).any()
    assert drawn_by(clips) == "recordings"


@pytest.mark.parametrize("seed", range(20))
def test_the_part_held_out_is_as_near_as_recordings_allow(seed):
    clips = table(hour=360, ten_minutes=60)  # a fifth of 420 clips are 84
    held_out = clips[hold_out_validation(clips, 0.2, seed) == "validation"]
    assert set(held_out.recording) == {"ten_minutes"}
    clips = table(a=100, b=90)  # each is more than twice a fifth of 190: the shorter one
    held_out = clips[hold_out_validation(clips, 0.2, seed) == "validation"]
    assert set(held_out.recording) == {"b"}


@pytest.mark.parametrize("seed", range(20))
def test_a_short_file_is_not_all_that_is_held_out(seed):
    clips = table(a=12, b=10, c=1)  # a fifth of 23 clips are 5, of which c alone is less than half
    held_out = clips[hold_out_validation(clips, 0.2, seed) == "validation"]
    assert set(held_out.recording) == {"b", "c"}


@pytest.mark.parametrize("seed", range(20))
def test_one_recording_is_held_out_by_a_block_with_a_gap(seed):
    clips = table(hour=360)
    split = hold_out_validation(clips, 0.2, seed)
    places = np.flatnonzero(split == "validation")
    assert len(places) == 72
    assert (np.diff(places) == 1).all()
    around = {places[0] - 1, places[-1] + 1} & set(range(360))
    assert set(np.flatnonzero(split == LEFT_OUT)) == around
    assert drawn_by(clips) == "blocks"


def test_the_gap_is_a_clips_length_whatever_the_hop():
    clips = table(hour=40, hop_s=5.0)
    held_out = pd.Series(clips.start_s.between(100, 120), index=clips.index)
    # [85, 95) ends 5 s before 100, [90, 100) and [95, 105) are nearer; [80, 90) is 10 s away.
    # The last held-out clip ends at 130: [125, 135), [130, 140) and [135, 145) are near.
    assert clips.start_s[beside(clips, held_out)].tolist() == [85, 90, 95, 125, 130, 135]
    other = table(other=40, hop_s=5.0)
    both = pd.concat([clips, other], ignore_index=True)
    out = pd.Series([*held_out, *[False] * len(other)])
    assert set(both.recording[beside(both, out)]) == {"hour"}


def test_files_beside_one_long_recording_are_drawn_as_files():
    clips = table(hour=100, **{f"f{number}": 1 for number in range(20)})
    split = hold_out_validation(clips, 0.2, seed=1)
    drawn = clips[split == "validation"]
    assert (drawn.recording == "hour").sum() == 20
    assert (drawn.recording != "hour").sum() == 4
    assert drawn_by(clips) == "blocks"


def test_the_weakest_ground_is_told():
    cut, files = table("00", a=5, b=5), table("01", c=1, d=1)
    assert drawn_by(files) == "clips"
    assert drawn_by(pd.concat([cut, files])) == "recordings"
    assert drawn_by(pd.concat([cut, files, table("02", e=5)])) == "blocks"
    assert drawn_by(cut, folds=3) == "blocks"


@pytest.mark.parametrize("seed", range(10))
def test_test_clips_are_drawn_by_recording_and_by_block_too(seed):
    clips = table(a=10, b=10, c=10, split=None)
    split = split_where_open(clips, 0.3, seed)
    assert len(set(clips.recording[split == "test"])) == 1
    clips = table(hour=100, split=None)
    split = split_where_open(clips, 0.3, seed)
    assert (split == "test").sum() == 30
    validated = hold_out_validation(
        clips.assign(split=split)[split != LEFT_OUT].reset_index(drop=True), 0.2, seed
    )
    assert set(validated) == {"train", "validation", "test"} | set(validated[validated == LEFT_OUT])


@pytest.mark.parametrize("seed", range(10))
def test_no_recording_is_in_two_folds(seed):
    clips = table(a=30, b=10, c=10, d=10, e=20, f=1, g=9)
    fold = draw_folds(clips, 3, seed)
    assert all(len(set(of_recording)) == 1 for _, of_recording in fold.groupby(clips.recording))
    # the longest first, each to the smallest fold: 30; 20 + 10; 10 + 10 + 9 + 1
    assert sorted(fold.value_counts()) == [30, 30, 30]


def test_fewer_recordings_than_folds_are_folded_by_block():
    clips = table(a=10, b=10)
    fold = draw_folds(clips, 5, seed=1)
    assert fold.tolist() == [number for number in range(5) for _ in range(4)]
    # the clips beside a fold's own are not for its network
    assert beside(clips, fold == 0).tolist() == [place == 4 for place in range(20)]
    assert beside(clips, fold == 1).tolist() == [place in (3, 8) for place in range(20)]
    # the third fold lies in both recordings
    assert beside(clips, fold == 2).tolist() == [place in (7, 12) for place in range(20)]
