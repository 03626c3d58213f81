"""Settings of the training."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from anomalous_sound.configuration.base import (
    Accelerator,
    PositiveFloat,
    PositiveInt,
    Precision,
    Settings,
)
from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.configuration.names import ACCEPTED, is_name


class TrainingSettings(Settings):
    """The training of one method."""

    epochs: PositiveInt
    batch_size: PositiveInt = Field(description="windows a batch")
    learning_rate: PositiveFloat = Field(description="of Adam")
    stride: PositiveInt = Field(description="frames from one training window to the next")
    accelerator: Accelerator
    precision: Precision
    threads: PositiveInt = Field(description="CPU threads that share a training step")

    def windows(self, scored: WindowSettings) -> WindowSettings:
        """Return the form of the windows to train on.

        Args:
            scored: the form of the windows that are scored.
        """
        return scored


class SegmentTrainingSettings(TrainingSettings):
    """The training on segments that are longer than a window."""

    segment: PositiveInt = Field(description="frames of a training segment, without its next frame")

    def windows(self, scored: WindowSettings) -> WindowSettings:
        """Return the form of the segments."""
        return WindowSettings(length=self.segment, next_frame=True)


def _checked_name(name: str) -> str:
    if not is_name(name):
        raise ValueError(f"parameter 'detector.name' is {name!r}; accepted: {ACCEPTED}")
    return name


class DetectorSettings(Settings):
    """What it is called, which clips share a network, and which of them a network does not hear."""

    name: Annotated[str, AfterValidator(_checked_name)] | None = Field(
        description="of the folders of all that a run makes; null: that of the corpus"
    )
    per: Literal["machine_type", "machine_id"] = Field(
        description="machine_type: networks for all machine IDs; machine_id: of their own for each"
    )
    folds: PositiveInt = Field(
        description="networks, each trained without one part of the normal clips, so that all "
        "serve training and threshold; 1: one network, and validation clips are held out"
    )
    left_out: Literal["clip", "machine_id"] = Field(
        description="what calibration leaves out: single clips, or whole machine IDs, so that it "
        "speaks for machine IDs that were not trained on"
    )
    left_out_fits: Annotated[int, Field(ge=2)] = Field(
        description="fits of the score, each without some normal clips; as many as there are clips "
        "if those are fewer"
    )
    channels: Literal["maximum", "mean"] = Field(
        description="of the scores of the channels in audio.channel, each in standard deviations "
        "of left-out normal clips: the score of the clip"
    )

    @property
    def holds_out_validation(self) -> bool:
        """Whether clips are held out of all training; otherwise each is left out of a part."""
        return self.folds == 1 and self.left_out == "clip"

    @model_validator(mode="after")
    def _a_machine_id_left_out_is_judged_by_the_others(self) -> Self:
        if self.left_out == "machine_id" and self.per == "machine_id":
            raise ValueError(
                "parameter 'detector.left_out' is machine_id, which needs networks that the "
                "machine IDs share; accepted with it: 'detector.per' machine_type"
            )
        return self
