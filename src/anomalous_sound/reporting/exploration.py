"""The table of a corpus, and the choice of the clips that its figures show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from anomalous_sound.vocabulary import Label, Split

SHOWN_LABELS = (Label.NORMAL, Label.ANOMALOUS)

_SPLITS = (Split.TRAIN, Split.VALIDATION, Split.TEST)
_LABELS = (Label.NORMAL, Label.ANOMALOUS, Label.UNKNOWN)


@dataclass(frozen=True)
class ShownClips:
    """The clips that figures show.

    Attributes:
        clip_ids: clip ID by machine ID and label.
        note: what is shown and what is left out, for the titles.
    """

    clip_ids: Mapping[tuple[str, str], str]
    note: str

    @property
    def machine_ids(self) -> list[str]:
        """The machine IDs, each a row of a figure."""
        return sorted({machine_id for machine_id, _ in self.clip_ids})

    @property
    def labels(self) -> list[str]:
        """The labels, each a column of a figure."""
        present = {label for _, label in self.clip_ids}
        return [label for label in SHOWN_LABELS if label in present]


def choose_clips(clips: pd.DataFrame, at_most: int) -> ShownClips:
    """Choose the first clip, by clip ID, of each machine ID and label.

    Args:
        clips: ``clip_id, machine_id, label``, one row per clip; clips without a label are not
            shown.
        at_most: how many machine IDs are shown.
    """
    shown, left_out = choose_machine_ids(clips, at_most)
    first = shown.groupby(["machine_id", "label"], as_index=False).clip_id.min()
    groups = zip(first.machine_id, first.label, strict=True)
    subject = "the first clip of each machine ID and label"
    clip_ids = dict(zip(groups, first.clip_id, strict=True))
    return ShownClips(clip_ids, "\n".join(filter(None, [subject, left_out])))


def choose_machine_ids(table: pd.DataFrame, at_most: int) -> tuple[pd.DataFrame, str]:
    """Choose the rows of the first machine IDs that are labelled normal or anomalous.

    Args:
        table: with ``machine_id`` and ``label``.
        at_most: how many machine IDs are shown.

    Returns:
        The rows, and what is left out or missing; empty if nothing is.
    """
    labelled = table[table.label.isin(SHOWN_LABELS)]
    machine_ids = sorted(labelled.machine_id.unique())
    shown = labelled[labelled.machine_id.isin(machine_ids[:at_most])]
    notes = []
    if len(machine_ids) > at_most:
        notes.append(f"the first {at_most} of {len(machine_ids)} machine IDs")
    if missing := [label for label in SHOWN_LABELS if label not in set(shown.label)]:
        notes.append(f"there is no {missing[0]} clip")
    return shown, "; ".join(notes)


def tabulate_clips(clips: pd.DataFrame, clip_levels: pd.DataFrame) -> pd.DataFrame:
    """Summarise the clips of each machine ID, split and label.

    Args:
        clips: the table of clips.
        clip_levels: ``clip_id, rms_dbfs, peak_dbfs``, one row per clip.

    Returns:
        One row per machine ID, split and label: the number of clips, their total duration
        (minutes), the range of their durations (s) and levels (dB relative to full scale), and
        their sample rates (Hz) and channel counts.
    """
    table = (
        clips.merge(clip_levels, on="clip_id", validate="one_to_one")
        .assign(
            split=lambda measured: pd.Categorical(measured.split, _SPLITS, ordered=True),
            label=lambda measured: pd.Categorical(measured.label, _LABELS, ordered=True),
        )
        .groupby(["machine_id", "split", "label"], observed=True)
        .agg(
            clips=("clip_id", "size"),
            minutes=("duration_s", lambda seconds: seconds.sum() / 60),
            duration_min_s=("duration_s", "min"),
            duration_median_s=("duration_s", "median"),
            duration_max_s=("duration_s", "max"),
            rms_min_dbfs=("rms_dbfs", "min"),
            rms_median_dbfs=("rms_dbfs", "median"),
            rms_max_dbfs=("rms_dbfs", "max"),
            peak_max_dbfs=("peak_dbfs", "max"),
            sample_rates=("sample_rate", _listed),
            channels=("channels", _listed),
        )
        .reset_index()
    )
    return table.astype({"split": str, "label": str})


def _listed(values: pd.Series[int]) -> str:
    return ", ".join(map(str, sorted(values.unique())))
