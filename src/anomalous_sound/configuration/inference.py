"""Settings of inference: they decide how fast a result comes, not what it is."""

from __future__ import annotations

from pydantic import Field

from anomalous_sound.configuration.base import (
    Accelerator,
    Fraction,
    PositiveInt,
    Precision,
    Settings,
)


class ScoringSettings(Settings):
    """How a trained network is applied."""

    batch_size: PositiveInt = Field(description="windows of a clip at once")
    accelerator: Accelerator
    precision: Precision


class InferenceSettings(ScoringSettings):
    """How recordings are judged."""

    method: str = Field(description="the method whose detector judges in the pipeline score")
    machine_id: str | None = Field(
        description="of clips whose files name none, in the pipeline score; null: not known"
    )
    false_alarm_rate: Fraction | None = Field(
        description="to promise in the pipeline score; null: that of the detector"
    )

    def scoring(self) -> ScoringSettings:
        """Return how a network is applied, without what is judged."""
        return ScoringSettings(**self.model_dump(include=set(ScoringSettings.model_fields)))
