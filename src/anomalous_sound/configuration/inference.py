"""Settings of inference: they decide how fast a result comes, not what it is."""

from __future__ import annotations

from pydantic import Field

from anomalous_sound.configuration.base import Accelerator, PositiveInt, Precision, Settings


class ScoringSettings(Settings):
    """How a trained network is applied."""

    batch_size: PositiveInt = Field(description="windows of a clip at once")
    accelerator: Accelerator
    precision: Precision


class InferenceSettings(ScoringSettings):
    """How recordings are judged."""

    method: str = Field(description="the method whose detector judges in the pipeline score")
