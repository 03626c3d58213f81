"""Settings of metrics and comparisons."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from anomalous_sound.configuration.base import (
    FiniteFloat,
    Fraction,
    PositiveInt,
    Rate,
    Settings,
)
from anomalous_sound.configuration.scoring import ScoreSettings


class EvaluationSettings(Settings):
    """The metrics."""

    max_fpr: Rate = Field(description="false-positive rate up to which pAUC reaches")
    bootstrap_resamples: PositiveInt
    confidence: Fraction = Field(description="of the bootstrap intervals")
    challenge_year: Annotated[int, Field(ge=2020, le=2026)] | None = Field(
        description="of DCASE Task 2, whose official figures are computed; null: none"
    )


class CompareSettings(Settings):
    """Methods side by side."""

    methods: list[str] | None = Field(description="the methods to compare; null: all there are")
    ensemble: Annotated[list[str], Field(min_length=1)] = Field(
        description="methods whose standardised scores are averaged into one more row"
    )
    k: FiniteFloat = Field(description="threshold of the rows without training: mean + k std. dev.")
    score: ScoreSettings = Field(description="of the rows without training; as the networks'")
    promote: bool | str = Field(
        description="makes a detector the champion in MLflow's registry: true: the best method's; "
        "or a method's name; false: none"
    )


class CampaignSettings(Settings):
    """The table of several runs."""

    names: list[str] | None = Field(description="the runs whose results are joined; null: all")
    title: str | None = Field(description="of the table; null: the challenge, or the machine types")


class ExploreSettings(Settings):
    """A look at the raw sound."""

    machine_ids_shown: PositiveInt = Field(description="in a figure, at most")
    welch_segment: Annotated[int, Field(ge=16)] = Field(description="samples of a Welch segment")
    bands_per_octave: PositiveInt = Field(description="of the average spectra")
