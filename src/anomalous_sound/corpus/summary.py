"""The facts of a corpus that every report repeats."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic import Field

from anomalous_sound.configuration.base import PositiveFloat, Settings
from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.segments import SegmentSettings
from anomalous_sound.vocabulary import DrawUnit, Split

if TYPE_CHECKING:
    import pandas as pd


class CorpusSummary(Settings):
    """What was found, and what is used of it."""

    name: str = Field(description="what reports call the corpus")
    simulated: bool = Field(description="whether the sound was made by a program")
    fingerprint: str = Field(
        description="digest of the clips used, their machines, splits and labels"
    )
    machine_type: str
    machine_ids: list[str] = Field(description="those used, sorted")
    clips_found: int
    clips_used: int
    clips_rejected: int
    clips_by_split_and_label: dict[str, int] = Field(description="as in 'train normal': 100")
    segment_s: PositiveFloat | None = Field(description="see corpus.segment_s")
    segment_hop_s: PositiveFloat | None = Field(description="see corpus.segment_hop_s")
    held_out_by: DrawUnit = Field(
        description="what the clips left out of a network were drawn by: see drawn_by"
    )


def summarise(
    corpus: AudioCorpus,
    clips: pd.DataFrame,
    rejected: pd.DataFrame,
    segments: SegmentSettings,
    *,
    folds: int | None = 1,
) -> CorpusSummary:
    """Sum up a corpus.

    Args:
        corpus: the recordings.
        clips: those used, as :func:`anomalous_sound.corpus.clips.list_clips` lists them.
        rejected: the others.
        segments: how recordings were cut into clips.
        folds: into how many parts normal clips are divided; 1: validation clips are held out; None:
            whole machine IDs are left out.
    """
    counts = clips.groupby(["split", "label"]).size()
    return CorpusSummary(
        name=corpus.name,
        simulated=corpus.simulated,
        fingerprint=fingerprint(clips),
        machine_type=clips.machine_type.iloc[0],
        machine_ids=sorted(clips.machine_id.unique()),
        clips_found=len(clips) + len(rejected),
        clips_used=len(clips),
        clips_rejected=len(rejected),
        clips_by_split_and_label={
            " ".join(group): int(count)
            for group, count in zip(counts.index, counts.tolist(), strict=True)
        },
        segment_s=segments.segment_s,
        segment_hop_s=segments.segment_hop_s,
        held_out_by=_held_out_by(clips[clips.split != Split.TEST], folds),
    )


def _held_out_by(clips: pd.DataFrame, folds: int | None) -> DrawUnit:
    from anomalous_sound.corpus.split import drawn_by

    unit = drawn_by(clips, max(folds or 1, 2))
    # with all clips of a machine ID, all those of its recordings are left out
    return "recordings" if folds is None and unit == "blocks" else unit


def fingerprint(clips: pd.DataFrame) -> str:
    """Return a digest of what is used and how: clip IDs, machines, contents, splits and labels."""
    columns = ["clip_id", "machine_type", "machine_id", "sha256", "split", "label"]
    used = clips.sort_values("clip_id")[columns]
    return hashlib.sha256(used.to_csv(index=False).encode()).hexdigest()[:16]
