"""Settings of the corpus."""

from __future__ import annotations

from pydantic import Field

from anomalous_sound.configuration.base import Fraction, PositiveInt, Settings


class CorpusSettings(Settings):
    """Which clips are used and how they are split."""

    parts: list[str] | None = Field(description="parts of a published data set")
    machine_type: str | None = Field(description="needed only where a folder holds several")
    machine_ids: list[str] | None = Field(description="the machine IDs to use; null: all")
    validation_fraction: Fraction = Field(
        description="part of each machine ID's normal training clips that is held out where "
        "detector.folds is 1"
    )
    normal_test_fraction: Fraction = Field(
        description="part of the normal clips that is tested where the layout gives no split"
    )
    min_frames: PositiveInt = Field(description="shorter clips are rejected")
