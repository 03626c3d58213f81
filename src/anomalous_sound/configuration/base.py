"""What all groups of settings have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
FiniteFloat = Annotated[float, Field(allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]
Jobs = PositiveInt | Literal[-1]
Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class Settings(BaseModel):
    """A group of settings: checked when it is made, and never changed afterwards.

    The values live in ``conf/``; there are no defaults here. ``model_dump(mode="json")`` and
    ``model_validate`` turn it into JSON values and back.
    """

    # strict: a text is not a number, and 2.5 is not a count
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
