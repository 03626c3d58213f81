"""Settings of the corpus."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from anomalous_sound.configuration.base import Fraction, PositiveFloat, PositiveInt, Settings


class CorpusSettings(Settings):
    """Which clips are used and how they are split."""

    parts: list[str] | None = Field(description="parts of a published data set")
    machine_type: str | None = Field(description="needed only where a folder holds several")
    machine_ids: list[str] | None = Field(description="the machine IDs to use; null: all")
    segment_s: PositiveFloat | None = Field(
        description="recordings of twice this and more are cut into clips of it; null: not cut"
    )
    segment_hop_s: PositiveFloat | None = Field(
        description="seconds from one such clip to the next; null: segment_s"
    )
    validation_fraction: Fraction = Field(
        description="part of each machine ID's normal training clips that is held out where "
        "detector.folds is 1"
    )
    normal_test_fraction: Fraction = Field(
        description="part of the normal clips that is tested where the layout gives no split"
    )
    min_frames: PositiveInt = Field(description="shorter clips are rejected")

    @model_validator(mode="after")
    def _a_choice_is_not_empty(self) -> Self:
        for name in ("parts", "machine_ids"):
            if getattr(self, name) == []:
                raise ValueError(
                    f"parameter 'corpus.{name}' is an empty list; accepted: one or more of them, "
                    "or null for all"
                )
        return self

    @model_validator(mode="after")
    def _nothing_lies_between_the_clips(self) -> Self:
        if self.segment_s and self.segment_hop_s and self.segment_hop_s > self.segment_s:
            raise ValueError(
                f"parameter 'corpus.segment_hop_s' is {self.segment_hop_s}; accepted: at most "
                f"{self.segment_s}, corpus.segment_s, so that no sound lies between two clips"
            )
        return self
