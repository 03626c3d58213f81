"""Settings of the training."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from anomalous_sound.configuration.base import (
    Accelerator,
    PositiveFloat,
    PositiveInt,
    Precision,
    Settings,
)
from anomalous_sound.configuration.features import WindowSettings


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


class DetectorSettings(Settings):
    """Which clips share a network."""

    per: Literal["machine_type", "machine_id"] = Field(
        description="machine_type: one network for all machine IDs; machine_id: one each"
    )
