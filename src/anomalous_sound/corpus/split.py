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
