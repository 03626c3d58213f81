"""Every parameter with its type and accepted values, checked before anything runs.

The values themselves live in conf/; there are no defaults here.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from anomalous_sound.decision.thresholds import DEPLOYABLE, NORMAL_ONLY_STRATEGIES
from anomalous_sound.errors import InputError
from anomalous_sound.scoring.clip_score import (
    BACKENDS,
    BAND_POOLINGS,
    REFERENCES,
    SCALES,
    TIME_POOLINGS,
    WHITENINGS,
)

PositiveInt = Annotated[int, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=1)]
Percentile = Annotated[float, Field(ge=0, le=100)]
Jobs = PositiveInt | Literal[-1]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]
PROFILE_VALUES = "_profile"  # what the parameters of a profile are copied from
METHODS = ("lstm", "lstm_dense", "gru", "autoencoder")
Accelerator = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class _Group(BaseModel):
    # strict: a text is not a number, and 2.5 is not a count
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Corpus(_Group):
    """Which clips are used and how they are split."""

    parts: list[str] | None
    machine_type: str | None
    machine_ids: list[str] | None
    validation_fraction: Fraction
    normal_test_fraction: Fraction
    min_frames: PositiveInt


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
    next_frame: bool


class Detector(_Group):
    """For what there is a network of its own."""

    per: Literal["machine_type", "machine_id"]


class Localisation(_Group):
    """When and where a clip deviates."""

    stretch_s: PositiveFloat
    stretches: PositiveInt
    bands: PositiveInt
    peak_percentile: Percentile
    clip_ids: list[str] | None


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
    precision: Precision
    stride: PositiveInt


class Score(_Group):
    """The anomaly score of a clip."""

    pooling: Literal[TIME_POOLINGS]  # type: ignore[valid-type]
    percentile: Percentile
    decay: Annotated[float, Field(ge=0, le=1)]
    whitening: Literal[WHITENINGS]  # type: ignore[valid-type]
    scale: Literal[SCALES]  # type: ignore[valid-type]
    reference: Literal[REFERENCES]  # type: ignore[valid-type]
    band_pooling: Literal[BAND_POOLINGS]  # type: ignore[valid-type]
    backend: Literal[BACKENDS]  # type: ignore[valid-type]
    components: PositiveInt
    added_variance: PositiveFloat
    neighbours: PositiveInt


class StretchTraining(Training):
    """The training on stretches that are longer than a window."""

    stretch: PositiveInt


class Scoring(_Group):
    """How windows are scored."""

    batch_size: PositiveInt
    accelerator: Accelerator
    precision: Precision


class Thresholds(_Group):
    """The thresholds, and which one decides."""

    per: Literal["machine_type", "machine_id"]
    folds: Annotated[int, Field(ge=2)] | Literal[0]
    false_alarm_rate: Fraction
    k: Annotated[float, Field(allow_inf_nan=False)]
    percentile: Percentile
    tpr: Rate
    deployed: Literal[DEPLOYABLE]  # type: ignore[valid-type]
    fallback: Literal[NORMAL_ONLY_STRATEGIES]  # type: ignore[valid-type]


class LstmPredictor(_Group):
    """The LSTM frame predictor."""

    architecture: Literal["lstm_predictor"]
    hidden_size: PositiveInt
    num_layers: PositiveInt


class LstmDensePredictor(_Group):
    """The dense LSTM frame predictor."""

    architecture: Literal["lstm_dense_predictor"]
    hidden_size: PositiveInt
    num_layers: PositiveInt


class GruAutoencoder(_Group):
    """The GRU autoencoder."""

    architecture: Literal["gru_autoencoder"]
    hidden_size: PositiveInt
    num_layers: PositiveInt
    decoder_input: Literal["states", "latent"]
    masked_frames: Literal["none", "centre"]


class DenseAutoencoder(_Group):
    """The DCASE 2020 baseline."""

    architecture: Literal["dense_autoencoder"]
    hidden_size: PositiveInt
    depth: PositiveInt
    bottleneck: PositiveInt


class Method(_Group):
    """Everything that belongs to one method."""

    network: Annotated[
        LstmPredictor | LstmDensePredictor | GruAutoencoder | DenseAutoencoder,
        Field(discriminator="architecture"),
    ]
    training: Training
    score: Score


class MethodOnStretches(Method):
    """A method that is trained on stretches longer than a window."""

    training: StretchTraining


class MethodWithWindows(Method):
    """A method that does not share the others' windows."""

    windows: Windows


class Compare(_Group):
    """Methods side by side."""

    methods: list[Literal[METHODS]]  # type: ignore[valid-type]
    ensemble: Annotated[list[Literal[METHODS]], Field(min_length=1)]  # type: ignore[valid-type]
    k: Annotated[float, Field(allow_inf_nan=False)]


class Explore(_Group):
    """A look at the raw sound."""

    machine_ids_shown: PositiveInt
    welch_segment: Annotated[int, Field(ge=16)]
    bands_per_octave: PositiveInt


class Judging(_Group):
    """Judging new recordings."""

    method: Literal[METHODS]  # type: ignore[valid-type]


class Parameters(_Group):
    """All parameters of the project."""

    audio_dir: str | None
    jobs: Jobs
    profile: str
    seed: Seed
    corpus: Corpus
    audio: Audio
    log_mel: LogMel
    scaling: Scaling
    windows: Windows
    detector: Detector
    scoring: Scoring
    thresholds: Thresholds
    localisation: Localisation
    evaluation: Evaluation
    compare: Compare
    explore: Explore
    score: Judging
    lstm: Method
    lstm_dense: MethodOnStretches
    gru: Method
    autoencoder: MethodWithWindows

    @model_validator(mode="after")
    def _every_clip_has_a_window(self) -> Self:
        groups = {"windows": self.windows, "autoencoder.windows": self.autoencoder.windows}
        for name, windows in groups.items():
            needed = windows.length + windows.next_frame
            if self.corpus.min_frames < needed:
                raise ValueError(
                    f"parameter 'corpus.min_frames' is {self.corpus.min_frames}; accepted: at "
                    f"least {needed}, the frames that a window of '{name}' reads"
                )
        return self

    @model_validator(mode="after")
    def _every_method_gets_what_it_reads(self) -> Self:
        accepted = {
            "lstm.network.architecture": (self.lstm.network.architecture, "lstm_predictor"),
            "lstm_dense.network.architecture": (
                self.lstm_dense.network.architecture,
                "lstm_dense_predictor",
            ),
            "gru.network.architecture": (self.gru.network.architecture, "gru_autoencoder"),
            "autoencoder.network.architecture": (
                self.autoencoder.network.architecture,
                "dense_autoencoder",
            ),
            # LSTM and GRU leave the next frame out of the window; the autoencoder knows none
            "windows.next_frame": (self.windows.next_frame, True),
            "autoencoder.windows.next_frame": (self.autoencoder.windows.next_frame, False),
        }
        for name, (value, only) in accepted.items():
            if value != only:
                raise ValueError(f"parameter '{name}' is {value!r}; accepted: {only!r}")
        return self


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check all parameters at once.

    Raises:
        InputError: one or more are unknown, missing or not accepted; each is named with what is.
    """
    given = {name: value for name, value in parameters.items() if name != PROFILE_VALUES}
    try:
        Parameters.model_validate(given)
    except ValidationError as error:
        problems = dict.fromkeys(_describe(problem) for problem in error.errors())
        raise InputError("; ".join(problems) + ".") from None


def _describe(problem: Mapping[str, Any]) -> str:
    names, group, accepted = _find(problem["loc"]) if problem["loc"] else ([], Parameters, "")
    name, value = ".".join(names), problem["input"]
    match problem["type"]:
        case "value_error":  # a rule of our own, in words already
            return str(problem["ctx"]["error"])
        case "extra_forbidden":
            known = sorted(group.model_fields)
            close = difflib.get_close_matches(names[-1], known, n=1)
            hint = f"did you mean '{'.'.join([*names[:-1], *close])}'? " if close else ""
            return f"unknown parameter '{name}'; {hint}accepted here: {', '.join(known)}"
        case "missing":
            return f"parameter '{name}' is missing"
        case "union_tag_invalid":
            wrong, tags = problem["ctx"]["tag"], problem["ctx"]["expected_tags"]
            return f"parameter '{name}.architecture' is '{wrong}'; accepted: {tags}"
        case "union_tag_not_found":
            return f"parameter '{name}' is {value!r}; it is a group with an architecture"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"parameter '{name}' is {value!r}; it is a group: give {accepted}"
        case _:
            return f"parameter '{name}' is {value!r}; accepted: {accepted}"


def _find(location: tuple[Any, ...]) -> tuple[list[str], type[BaseModel], str]:
    """Find a parameter from pydantic's location, which also counts list items and unions.

    Returns:
        The parts of its name, the group it is in, and what is accepted for it.
    """
    group: type[BaseModel] = Parameters
    names: list[str] = []
    parts = list(map(str, location))
    while parts:
        names.append(parts.pop(0))
        field = group.model_fields.get(names[-1])
        if field is None:
            return names, group, ""
        accepted = _accepted(field.annotation, field.metadata)
        inner = field.annotation
        if field.discriminator and parts:  # the tag comes next: which group of the union it is
            tag = parts.pop(0)
            inner = next(
                option
                for option in get_args(inner)
                if tag in get_args(option.model_fields[field.discriminator].annotation)
            )
        if not parts or not _is_group(inner):
            break
        group = inner
    return names, group, accepted


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _accepted(annotation: Any, metadata: list[Any] | tuple[Any, ...] = ()) -> str:
    """Say in words what a type accepts."""
    if annotation is type(None):
        return "null"
    if _is_group(annotation):
        return ", ".join(annotation.model_fields)
    if get_origin(annotation) is Literal:
        return ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) is list:
        return f"a list of: {_accepted(get_args(annotation)[0])}"
    if get_origin(annotation) is Annotated:
        return _accepted(annotation.__origin__, annotation.__metadata__)
    if options := get_args(annotation):
        return " or ".join(_accepted(option) for option in options)
    words = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true, false"}
    return " ".join([words[annotation], *_bounds(metadata)])


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
