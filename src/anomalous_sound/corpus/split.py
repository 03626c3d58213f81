"""Which clips are trained on, held out for validation, or tested: seeded draws by machine ID."""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd

from anomalous_sound.vocabulary import Label, Split


def split_where_open(clips: pd.DataFrame, normal_test_fraction: float, seed: int) -> pd.Series[str]:
    """Decide between training and test where the layout of the folder does not.

    Anomalous and unknown clips are test clips; of the normal ones a part is drawn.

    Args:
        clips: ``machine_id, label, split``; no split where it is open.
        normal_test_fraction: part of the normal clips of each machine ID that is tested.
        seed: of the draw.

    Returns:
        The split of each clip.
    """
    split = clips.split.copy()
    is_open = split.isna()
    is_normal = clips.label == Label.NORMAL
    split[is_open] = np.where(is_normal[is_open], Split.TRAIN, Split.TEST)
    drawn = _draw_by_machine_id(clips[is_open & is_normal], normal_test_fraction, seed, Split.TEST)
    split[drawn] = Split.TEST
    return split


def hold_out_validation(clips: pd.DataFrame, fraction: float, seed: int) -> pd.Series[str]:
    """Hold out training clips for validation; two at least in all: a spread of scores needs two.

    Args:
        clips: ``machine_id, split``.
        fraction: part of the training clips of each machine ID that is held out.
        seed: of the draw.

    Returns:
        The split of each clip.
    """
    split = clips.split.copy()
    training = clips[split == Split.TRAIN]
    at_least = 2 if len(set(training.machine_id)) == 1 else 1
    drawn = _draw_by_machine_id(training, fraction, seed, Split.VALIDATION, at_least)
    split[drawn] = Split.VALIDATION
    return split


def calibration_clips(table: pd.DataFrame) -> pd.Series[bool]:
    """Say which clips calibrate: those held out for validation, or else all training clips.

    Args:
        table: ``split``, one row a clip. Where none is held out, the score of a training clip comes
            from a network and a score that have not seen it.
    """
    held_out: pd.Series[bool] = table.split == Split.VALIDATION
    return held_out if held_out.any() else table.split == Split.TRAIN


def draw_folds(clips: pd.DataFrame, folds: int, seed: int) -> pd.Series[int]:
    """Divide clips into folds, those of each machine ID as evenly as possible.

    scikit-learn's ``StratifiedKFold`` shares them out as evenly, but draws all machine IDs from one
    stream: here a machine ID's clips are drawn by the seed and its own name, so that they do not
    change places when another machine ID comes or goes.

    Args:
        clips: ``machine_id`` a clip.
        folds: how many.
        seed: of the draw.

    Returns:
        The fold of each clip, from 0; by the index of ``clips``.
    """
    fold = pd.Series(0, index=clips.index)
    begin = 0
    for machine_id, group in clips.groupby("machine_id"):
        rng = np.random.default_rng([seed, zlib.crc32(f"folds {machine_id}".encode())])
        # a machine ID begins where the one before has ended, so that folds are equally large
        fold[rng.permutation(group.index)] = (np.arange(len(group)) + begin) % folds
        begin += len(group)
    return fold


def _draw_by_machine_id(
    candidates: pd.DataFrame, fraction: float, seed: int, purpose: Split, at_least: int = 1
) -> pd.Index[int]:
    """Draw a part of each machine ID's clips, ``at_least`` so many, and never the last one."""
    drawn: list[int] = []
    for machine_id, group in candidates.groupby("machine_id"):
        count = min(max(round(fraction * len(group)), at_least), len(group) - 1)
        # each machine ID has a draw of its own, which the others' clips do not shift
        rng = np.random.default_rng([seed, zlib.crc32(f"{purpose} {machine_id}".encode())])
        drawn.extend(rng.permutation(group.index.to_numpy())[:count])
    return pd.Index(sorted(drawn), dtype="int64")
