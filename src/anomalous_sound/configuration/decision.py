"""Settings of the thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from anomalous_sound.configuration.base import (
    FiniteFloat,
    Fraction,
    NotNegativeFloat,
    Percentile,
    PositiveFloat,
    Rate,
    Settings,
)

# which clips share a threshold
Per = Literal["machine_type", "machine_id"]

# each is a threshold from held-out normal clips; see anomalous_sound.decision.strategies
StrategyName = Literal[
    "conformal",
    "student_t",
    "gamma",
    "validation_mean",
    "validation_mean_plus_variance",
    "validation_mean_plus_k_std",
    "validation_percentile",
]


class EvidenceSettings(Settings):
    """What is said of a clip beside its score."""

    level_margin_db: PositiveFloat = Field(
        description="outside of the levels of normal clips: another gain or microphone"
    )
    crest_margin_db: PositiveFloat = Field(
        description="below the crest factors of normal clips: foreign sound"
    )
    spectrum_margin: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        description="times as far from the usual spectrum as the farthest normal clip: foreign"
    )
    flux_margin: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="times as far from the usual spectral flux as the farthest normal clip: "
        "foreign; null: it is not compared",
    )
    spectrum_least_db: NotNegativeFloat = Field(
        description="nothing nearer than that to the usual spectrum is foreign"
    )
    duration_margin: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = Field(
        default=None,
        description="times as long as the longest normal clip, or the shortest as long as it: not "
        "decided; null: whatever its length",
    )


class ThresholdSettings(Settings):
    """The thresholds, and which one decides."""

    per: Per = Field(description="machine_type: one for all machine IDs; machine_id: one each")
    false_alarm_rate: Fraction = Field(description="for the strategies that promise a rate")
    k: FiniteFloat = Field(description="standard deviations above the validation mean")
    percentile: Percentile = Field(description="of the validation scores")
    tpr: Rate = Field(description="oracle: the true-positive rate to reach")
    deployed: StrategyName
    fallback: StrategyName = Field(description="deployed where the other cannot be given")

    @model_validator(mode="before")
    @classmethod
    def _folds_have_moved(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "folds" in values:
            raise ValueError(
                "parameter 'thresholds.folds' is now 'detector.folds': give "
                "detector.folds=2, or 1 for one network with validation clips held out"
            )
        return values
