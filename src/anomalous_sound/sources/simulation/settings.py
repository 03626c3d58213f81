"""Settings of the simulated corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from anomalous_sound.configuration.base import FiniteFloat, PositiveInt, Seed, Settings
from anomalous_sound.configuration.mistakes import describe_mistakes
from anomalous_sound.errors import InputError
from anomalous_sound.sources.simulation.machines import MACHINES
from anomalous_sound.sources.simulation.slide_rail import SHORTEST_CLIP_S

ClipCount = Annotated[int, Field(ge=0)]


class SimulationSettings(Settings):
    """What is simulated."""

    seed: Seed = Field(description="the same seed gives the same files")
    machine_ids: list[str] = Field(description="which of the simulated machines")
    duration_s: Annotated[float, Field(ge=SHORTEST_CLIP_S)] = Field(
        description="of every clip; in shorter ones not every machine would move"
    )
    sample_rate: PositiveInt = Field(description="Hz")
    training_clips: ClipCount = Field(description="per machine ID, all normal")
    normal_test_clips: ClipCount = Field(description="per machine ID")
    anomalous_test_clips: ClipCount = Field(description="per machine ID")
    snr_db: FiniteFloat = Field(description="RMS of the machine over that of the background, dB")
    snr_jitter_db: FiniteFloat = Field(description="how much it varies between clips, dB")
    fault_levels_db: Annotated[dict[str, FiniteFloat], Field(min_length=1)] = Field(
        description="for each grade of fault, its level over the machine's own sound, dB"
    )

    @model_validator(mode="after")
    def _machines_are_there(self) -> Self:
        for machine_id in self.machine_ids:
            if machine_id not in MACHINES:
                raise ValueError(
                    f"there is no simulated machine ID '{machine_id}'; accepted, in quotes: "
                    f"{', '.join(MACHINES)}"
                )
        return self

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> SimulationSettings:
        """Check the settings.

        Raises:
            InputError: one is unknown, missing or not accepted.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise InputError(describe_mistakes(error, cls, noun="simulation setting")) from None
