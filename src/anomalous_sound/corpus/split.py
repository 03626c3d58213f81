"""Which clips are trained on, held out for validation, or tested: seeded draws by machine ID.

Clips that are cut from one recording are more alike than clips of different days. Where a machine
ID has several such recordings, whole recordings are drawn; where it has one, a block of clips that
follow each other, and the clips next to the block are not trained on.
"""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd

from anomalous_sound.vocabulary import DrawUnit, Label, Split

LEFT_OUT = "left out"  # in place of a split: too close to held-out clips to be trained on

_SAME_MOMENT_S = 1e-6


def split_where_open(clips: pd.DataFrame, normal_test_fraction: float, seed: int) -> pd.Series[str]:
    """Decide between training and test where the layout of the folder does not.

    Anomalous and unknown clips are test clips; of the normal ones a part is drawn.

    Args:
        clips: ``machine_id, label, split``; no split where it is open; and where recordings are
            cut, ``clip_id, recording, start_s, duration_s``.
        normal_test_fraction: part of the normal clips of each machine ID that is tested.
        seed: of the draw.

    Returns:
        The split of each clip, or LEFT_OUT.
    """
    split = clips.split.copy()
    is_open = split.isna()
    is_normal = clips.label == Label.NORMAL
    split[is_open] = np.where(is_normal[is_open], Split.TRAIN, Split.TEST)
    drawn = _draw_by_machine_id(clips[is_open & is_normal], normal_test_fraction, seed, Split.TEST)
    split[drawn] = Split.TEST
    return _without_neighbours(clips, split, drawn)


def hold_out_validation(clips: pd.DataFrame, fraction: float, seed: int) -> pd.Series[str]:
    """Hold out training clips for validation; two at least in all: a spread of scores needs two.

    Args:
        clips: ``machine_id, split``; and where recordings are cut, ``clip_id, recording, start_s,
            duration_s``.
        fraction: part of the training clips of each machine ID that is held out.
        seed: of the draw.

    Returns:
        The split of each clip, or LEFT_OUT.
    """
    split = clips.split.copy()
    training = clips[split == Split.TRAIN]
    at_least = 2 if len(set(training.machine_id)) == 1 else 1
    drawn = _draw_by_machine_id(training, fraction, seed, Split.VALIDATION, at_least)
    split[drawn] = Split.VALIDATION
    return _without_neighbours(clips, split, drawn)


def draw_folds(clips: pd.DataFrame, folds: int, seed: int) -> pd.Series[int]:
    """Divide clips into folds, those of each machine ID as evenly as possible.

    scikit-learn's ``StratifiedKFold`` shares them out as evenly, but draws all machine IDs from one
    stream: here a machine ID's clips are drawn by the seed and its own name, so that they do not
    change places when another machine ID comes or goes.

    Whole recordings are shared out where a machine ID has cut ones and at least as many recordings
    as there are folds, the longest first, each to the fold that has least; else what was cut is
    divided into blocks of clips that follow each other. Train a fold's network without the clips
    that are :func:`beside` its own.

    Args:
        clips: ``machine_id`` a clip; and where recordings are cut, ``clip_id, recording, start_s``.
        folds: how many.
        seed: of the draw.

    Returns:
        The fold of each clip, from 0; by the index of ``clips``.
    """
    fold = pd.Series(0, index=clips.index)
    begin = 0
    for machine_id, group in clips.groupby("machine_id"):
        rng = np.random.default_rng([seed, zlib.crc32(f"folds {machine_id}".encode())])
        unit = drawn_by(group, folds)
        cut = group[_is_cut(group)]
        if unit == "recordings":
            fold[group.index] = _share_out_recordings(group, folds, begin, rng)
        else:
            whole = rng.permutation(group.index[~_is_cut(group)].to_numpy(copy=True))
            in_order = cut.sort_values(["recording", "start_s"]) if len(cut) else cut
            # a machine ID begins where the one before has ended, so that folds are equally large
            fold[whole] = (np.arange(len(whole)) + begin) % folds
            fold[in_order.index] = np.arange(len(cut)) * folds // max(len(cut), 1)
        begin += len(group)
    return fold


def drawn_by(clips: pd.DataFrame, folds: int = 2) -> DrawUnit:
    """Say what draws of clips rest on, where machine IDs differ on the weakest ground.

    Args:
        clips: ``machine_id, clip_id, recording`` of those that are drawn from; without
            ``recording``, each clip is a recording.
        folds: into how many parts they are divided; 2: held out or not.

    Returns:
        ``clips``: each clip is a recording of its own; ``recordings``: no recording is in two
        parts; ``blocks``: parts share a recording, and what lies between them is not trained on.
    """
    units: set[DrawUnit] = set()
    for _, group in clips.groupby("machine_id"):
        cut = group[_is_cut(group)]
        if not len(cut):
            units.add("clips")
        elif cut.recording.nunique() < 2 or group.recording.nunique() < folds:
            units.add("blocks")
        else:
            units.add("recordings")
    order: tuple[DrawUnit, ...] = ("blocks", "recordings")
    return next((unit for unit in order if unit in units), "clips")


def beside(clips: pd.DataFrame, held_out: pd.Series[bool]) -> pd.Series[bool]:
    """Find the clips that are too close to held-out clips of their recording to be trained on.

    Args:
        clips: ``clip_id, recording, start_s, duration_s`` a clip.
        held_out: whether it is held out.

    Returns:
        For each clip whether it is not held out and lies less than its own length before or after
        one that is, in the same recording.
    """
    close = pd.Series(False, index=clips.index)
    cut = clips[_is_cut(clips)]
    if not len(cut):
        return close
    for _, group in cut.groupby("recording"):
        out = group[held_out[group.index]]
        begins = np.sort(out.start_s.to_numpy())
        ends = np.sort((out.start_s + out.duration_s).to_numpy())
        start, length = group.start_s.to_numpy(), group.duration_s.to_numpy()
        begun = np.searchsorted(begins, start + 2 * length - _SAME_MOMENT_S)
        over = np.searchsorted(ends, start - length + _SAME_MOMENT_S, side="right")
        close[group.index] = begun > over
    return close & ~held_out


def _without_neighbours(
    clips: pd.DataFrame, split: pd.Series[str], drawn: pd.Index[int]
) -> pd.Series[str]:
    """Leave the training clips beside drawn ones out."""
    held_out = pd.Series(clips.index.isin(drawn), index=clips.index)
    return split.mask(beside(clips, held_out) & (split == Split.TRAIN), LEFT_OUT)


def _is_cut(clips: pd.DataFrame) -> pd.Series[bool]:
    """Say of each clip whether it is a part of a recording."""
    if "recording" not in clips:
        return pd.Series(False, index=clips.index)
    return clips.recording != clips.clip_id


def calibration_clips(table: pd.DataFrame) -> pd.Series[bool]:
    """Say which clips calibrate: those held out for validation, or else all training clips.

    Args:
        table: ``split``, one row a clip. Where none is held out, the score of a training clip comes
            from a network and a score that have not seen it.
    """
    held_out: pd.Series[bool] = table.split == Split.VALIDATION
    return held_out if held_out.any() else table.split == Split.TRAIN


def _draw_by_machine_id(
    candidates: pd.DataFrame, fraction: float, seed: int, purpose: Split, at_least: int = 1
) -> pd.Index[int]:
    """Draw a part of each machine ID's clips, ``at_least`` so many, and never the last one."""
    drawn: list[int] = []
    for machine_id, group in candidates.groupby("machine_id"):
        count = min(max(round(fraction * len(group)), at_least), len(group) - 1)
        # each machine ID has a draw of its own, which the others' clips do not shift
        rng = np.random.default_rng([seed, zlib.crc32(f"{purpose} {machine_id}".encode())])
        unit = drawn_by(group)
        if unit == "recordings":
            drawn.extend(_draw_recordings(group, count, at_least, rng))
            continue
        cut = group[_is_cut(group)]
        whole = rng.permutation(group.index[~_is_cut(group)].to_numpy(copy=True))
        of_whole = round(fraction * len(whole)) if unit == "blocks" else count
        drawn.extend(whole[:of_whole])
        if unit == "blocks":
            drawn.extend(_draw_block(cut, max(count - of_whole, 0), rng))
    return pd.Index(sorted(drawn), dtype="int64")


def _draw_recordings(
    group: pd.DataFrame, count: int, at_least: int, rng: np.random.Generator
) -> list[int]:
    """Draw whole recordings, so that about ``count`` clips are drawn; never all recordings.

    One after the other is taken if that brings the clips nearer to ``count``. Where all that fit
    hold less than half of it, or less than ``at_least``, the shortest of the others join them.
    """
    sizes = group.groupby("recording").size()
    order = rng.permutation(sizes.index.to_numpy())
    chosen: list[str] = []
    held = 0
    for recording in order:
        size = int(sizes[recording])
        if abs(held + size - count) < abs(held - count) and len(chosen) + 1 < len(order):
            chosen.append(recording)
            held += size
    others = sorted(set(order) - set(chosen), key=lambda name: (int(sizes[name]), name))
    while held < max(count / 2, at_least) and len(others) > 1:
        chosen.append(others.pop(0))
        held += int(sizes[chosen[-1]])
    return group.index[group.recording.isin(chosen)].tolist()


def _draw_block(cut: pd.DataFrame, count: int, rng: np.random.Generator) -> list[int]:
    """Draw clips that follow each other in a recording."""
    in_order = cut.sort_values("start_s").index.tolist()
    count = min(count, len(in_order))
    first = int(rng.integers(len(in_order) - count + 1))
    return in_order[first : first + count]


def _share_out_recordings(
    group: pd.DataFrame, folds: int, begin: int, rng: np.random.Generator
) -> pd.Series[int]:
    """Give each recording to the fold with the fewest clips so far."""
    sizes = group.groupby("recording").size()
    order = sorted(rng.permutation(sizes.index.to_numpy()), key=lambda name: -int(sizes[name]))
    held = [0] * folds
    fold_of = {}
    for recording in order:
        fold = min(range(folds), key=lambda number: (held[number], (number - begin) % folds))
        fold_of[recording] = fold
        held[fold] += int(sizes[recording])
    return group.recording.map(fold_of)
