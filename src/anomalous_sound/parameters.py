"""Every parameter with its type and accepted values, checked before anything runs.

The values themselves live in conf/; there are no defaults here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anomalous_sound.errors import InputError
from anomalous_sound.models.scoring import POOLINGS
from anomalous_sound.thresholds import NORMAL_ONLY_STRATEGIES

PositiveInt = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Accelerator = Literal["auto", "cpu", "cuda", "mps"]


class _Group(BaseModel):
    # strict: a text is not a number, and 2.5 is not a count
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Corpus(_Group):
    """Which clips are used and how they are split."""

    machine_type: str | None
    machine_ids: list[str] | None
    validation_fraction: Fraction
    normal_test_fraction: Fraction


class Audio(_Group):
    """The form in which clips are read."""

    sample_rate: PositiveInt
    channel: Annotated[int, Field(ge=0)] | Literal["mean"]


class LogMel(_Group):
    """The log-mel spectrogram."""

    n_fft: PositiveInt
    hop_length: PositiveInt
    n_mels: PositiveInt
    top_db: PositiveFloat


class Scaling(_Group):
    """How decibels are scaled for the networks."""

    method: Literal["clip", "corpus", "band"]


class Windows(_Group):
    """The windows."""

    length: PositiveInt


class Evaluation(_Group):
    """The metrics."""

    max_fpr: Rate
    bootstrap_resamples: PositiveInt
    confidence: Fraction


class Training(_Group):
    """The training of one method."""

    epochs: PositiveInt
    batch_size: PositiveInt
    learning_rate: PositiveFloat
    accelerator: Accelerator
    precision: Literal["32-true", "bf16-mixed", "16-mixed"]


class Score(_Group):
    """The anomaly score of a clip."""

    pooling: Literal[POOLINGS]  # type: ignore[valid-type]
    percentile: Percentile
    batch_size: PositiveInt
    accelerator: Accelerator


class Thresholds(_Group):
    """The thresholds, and which one decides."""

    deployed: Literal[NORMAL_ONLY_STRATEGIES]  # type: ignore[valid-type]
    k: Annotated[float, Field(allow_inf_nan=False)]
    percentile: Percentile
    tpr: Rate


class LstmNetwork(_Group):
    """The LSTM frame predictor."""

    architecture: Literal["lstm_predictor"]
    hidden_size: PositiveInt
    num_layers: PositiveInt


class _Method(_Group):
    training: Training
    score: Score
    thresholds: Thresholds


class Lstm(_Method):
    """Everything that belongs to the LSTM method alone."""

    network: LstmNetwork


class Parameters(_Group):
    """All parameters of the project."""

    audio_dir: str | None
    seed: Seed
    corpus: Corpus
    audio: Audio
    log_mel: LogMel
    scaling: Scaling
    windows: Windows
    evaluation: Evaluation
    lstm: Lstm


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check all parameters at once.

    Raises:
        InputError: one or more are unknown, missing or not accepted; each is named with what is.
    """
    try:
        Parameters.model_validate(dict(parameters))
    except ValidationError as error:
        problems = dict.fromkeys(_describe(problem) for problem in error.errors())
        raise InputError("; ".join(problems) + ".") from None


def _describe(problem: Mapping[str, Any]) -> str:
    location = _named_part(problem["loc"])
    name = ".".join(location)
    if problem["type"] == "extra_forbidden":
        accepted = sorted(_group_at(location[:-1]).model_fields)
        close = difflib.get_close_matches(location[-1], accepted, n=1)
        hint = f"did you mean '{'.'.join([*location[:-1], close[0]])}'? " if close else ""
        return f"unknown parameter '{name}'; {hint}accepted here: {', '.join(accepted)}"
    if problem["type"] == "missing":
        return f"parameter '{name}' is missing"
    if problem["type"] in ("model_type", "dict_type"):
        accepted = ", ".join(sorted(_group_at(location).model_fields))
        return f"parameter '{name}' is {problem['input']!r}; it is a group: give {accepted}"
    return f"parameter '{name}' is {problem['input']!r}; accepted: {_accepted(location)}"


def _named_part(location: tuple[Any, ...]) -> list[str]:
    """Keep the parameter's name; what follows is pydantic's own (a place in a list or union)."""
    group: type[BaseModel] | None = Parameters
    names: list[str] = []
    for part in location:
        names.append(str(part))
        field = group.model_fields.get(str(part)) if group else None
        if field is None or not _is_group(field.annotation):
            break
        group = field.annotation
    return names


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _group_at(location: list[str]) -> type[BaseModel]:
    group: Any = Parameters
    for part in location:
        group = group.model_fields[part].annotation
    return group


def _accepted(location: list[str]) -> str:
    field = _group_at(location[:-1]).model_fields[location[-1]]
    return _accepted_by(field.annotation, field.metadata)


def _accepted_by(annotation: Any, metadata: list[Any] | tuple[Any, ...]) -> str:
    """Say in words what a type accepts."""
    if annotation is type(None):
        return "null"
    origin = getattr(annotation, "__origin__", None)
    if origin is Literal:
        return ", ".join(map(str, get_args(annotation)))
    if origin is list:
        return f"a list of {_accepted_by(get_args(annotation)[0], [])}s in quotes"
    if hasattr(annotation, "__metadata__"):
        return _accepted_by(annotation.__origin__, annotation.__metadata__)
    if options := get_args(annotation):
        return " or ".join(_accepted_by(option, []) for option in options)
    word = {int: "a whole number", float: "a number", str: "text"}[annotation]
    return " ".join([word, *_bounds(metadata)])


def _bounds(metadata: list[Any] | tuple[Any, ...]) -> list[str]:
    words = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
    found = []
    for item in metadata:
        for constraint in getattr(item, "metadata", [item]):  # a Field holds its constraints
            for attribute, word in words.items():
                bound = getattr(constraint, attribute, None)
                if bound is not None:
                    found.append(f"{word} {bound}")
    return [" and ".join(found)] if found else []
