"""Which normal clips a network is trained without, so that its errors of them can calibrate."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.corpus import split
from anomalous_sound.errors import InputError
from anomalous_sound.methods.trained import member_name
from anomalous_sound.scoring.left_out import LeftOut, draw_parts
from anomalous_sound.vocabulary import Split

logger = logging.getLogger(__name__)

FOLD_COLUMNS = ["clip_id", "fold"]


def assign_folds(clips: pd.DataFrame, detector: DetectorSettings, seed: int) -> pd.DataFrame:
    """Draw the folds: of each, a network is trained on all other normal clips.

    Args:
        clips: ``clip_id, machine_id, split``.
        detector: how many folds, and which clips share a network.
        seed: of the draw.

    Returns:
        FOLD_COLUMNS: one row for each normal clip that a network is trained without. With one
        network these are the validation clips, with folds all normal clips. Where each machine ID
        has networks of its own, their folds are counted from 0 for each.

    Raises:
        InputError: there are too few clips or machine IDs.
    """
    if detector.holds_out_validation:
        held_out = clips[clips.split == Split.VALIDATION]
        return held_out[["clip_id"]].assign(fold=0).reset_index(drop=True)
    normal = clips[clips.split == Split.TRAIN]
    if detector.left_out == "machine_id":
        machine_ids = sorted(set(normal.machine_id))
        if len(machine_ids) < 2:
            raise InputError(
                "detector.left_out is machine_id, but there is only machine ID "
                f"'{machine_ids[0]}'; give clips of two or more, or detector.left_out=clip."
            )
        fold = normal.machine_id.map({name: place for place, name in enumerate(machine_ids)})
    elif detector.per == "machine_id":
        fold = pd.concat(
            [
                _drawn(of_id, detector.folds, seed, f"machine ID '{machine_id}'")
                for machine_id, of_id in normal.groupby("machine_id")
            ]
        ).sort_index()
    else:
        fold = _drawn(normal, detector.folds, seed, "the corpus")
    return normal[["clip_id"]].assign(fold=fold).reset_index(drop=True)


def clips_of_members(
    clips: pd.DataFrame, folds: pd.DataFrame, detector: DetectorSettings
) -> dict[str, tuple[set[str], set[str]]]:
    """Say which clips each network is trained on, and which validate it.

    Args:
        clips: ``clip_id, machine_id, split``; and where recordings are cut, ``recording, start_s,
            duration_s``: clips beside those of the fold are not trained on.
        folds: as :func:`assign_folds` draws them.
        detector: which clips share a network.

    Returns:
        By the name of the network: the IDs of its training clips and of its validation clips.

    Raises:
        InputError: a machine ID has too few clips for a network of its own, or a network has no
            clip to be trained on.
    """
    normal = clips[clips.split != Split.TEST].merge(folds, on="clip_id", how="left")
    of_own = detector.per == "machine_id"
    groups: dict[str | None, pd.DataFrame] = {None: normal}
    if of_own:
        groups = {str(machine_id): group for machine_id, group in normal.groupby("machine_id")}
    members = {}
    for machine_id, group in groups.items():
        if of_own and (len(group) < 2 or group.fold.isna().all()):
            raise InputError(
                f"machine ID '{machine_id}' has too few normal clips for a network of its own: at "
                "least 2 are needed, one to train on and one to validate with."
            )
        for fold in sorted(set(group.fold.dropna().astype(int))):
            left_out = group.fold == fold
            heard = ~left_out & ~split.beside(group, left_out)
            if not heard.any():
                whose = f" of machine ID '{machine_id}'" if of_own else ""
                raise InputError(
                    f"too few normal training clips{whose}: {len(group)}, and one of the networks "
                    "would have none to train on, since clips that lie next to those left out in a "
                    "recording do not serve; give longer or more recordings."
                )
            name = member_name(machine_id, None if detector.holds_out_validation else fold)
            members[name] = (set(group.clip_id[heard]), set(group.clip_id[left_out]))
    return members


def clips_left_out(
    clips: pd.DataFrame, drawn: pd.DataFrame, detector: DetectorSettings, seed: int
) -> LeftOut | None:
    """Say which training clips the score is fitted without, together, for their own scores.

    Args:
        clips: the training clips, ``clip_id, machine_id``; and where recordings are cut,
            ``recording, start_s, duration_s``.
        drawn: the folds.
        detector: its settings.
        seed: of the draw, where there are more clips than fits.

    Returns:
        The part of each clip; None where validation clips are held out.
    """
    if detector.holds_out_validation:
        return None
    is_cut = split.drawn_by(clips, detector.folds) != "clips"
    if detector.left_out == "clip" and not is_cut:
        return LeftOut(draw_parts(clips, detector.left_out_fits, seed))
    # clips of one recording are so alike that one alone is not left out while the others stay
    parts = clips.clip_id.map(drawn.set_index("clip_id").fold).to_numpy()
    if not is_cut:
        return LeftOut(parts)
    beside = {
        int(part): split.beside(clips, pd.Series(parts == part, index=clips.index)).to_numpy()
        for part in np.unique(parts)
    }
    return LeftOut(parts, beside)


def _drawn(clips: pd.DataFrame, folds: int, seed: int, whose: str) -> pd.Series[int]:
    if len(clips) < 2:
        raise InputError(
            f"too few normal training clips of {whose}: {len(clips)}; at least 2 are needed, so "
            "that a network can be trained without one of them."
        )
    if len(clips) < folds:
        logger.info("The %d normal clips of %s make %d folds.", len(clips), whose, len(clips))
    return split.draw_folds(clips, min(folds, len(clips)), seed)
