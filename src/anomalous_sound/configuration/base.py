"""What all groups of settings have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegativeFloat = Annotated[float, Field(ge=0, allow_inf_nan=False)]
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


def only_own_options(*types: type[Settings]) -> BeforeValidator:
    """Make it easy to switch between the members of a union, told apart by their ``type``.

    Kedro merges what is given for one run into what ``conf/`` holds, so ``--params
    lstm.score.pooling.type=mean`` leaves the ``decay`` of ranked pooling behind: the options of
    other members are ignored. A name alone (``lstm.score.pooling=mean``) stands for the type. An
    option that no member has is still a mistake.

    Args:
        types: the members of the union.
    """
    known = {name for one in types for name in one.model_fields}
    own = {
        tag: set(one.model_fields)
        for one in types
        for tag in get_args(one.model_fields["type"].annotation)
    }

    def without_the_others(values: Any) -> Any:
        if isinstance(values, str):
            return {"type": values}
        if not isinstance(values, Mapping) or values.get("type") not in own:
            return values
        foreign = known - own[values["type"]]
        return {name: value for name, value in values.items() if name not in foreign}

    return BeforeValidator(without_the_others)
