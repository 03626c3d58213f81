"""All parameters of the project, parsed once before anything runs.

The values live in ``conf/``; there are no defaults here. The types of the shared groups are in
:mod:`anomalous_sound.configuration`; each method brings the type of its own group.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from pydantic import ValidationError, create_model, model_validator

from anomalous_sound.configuration.base import Jobs, PositiveInt, Seed, Settings
from anomalous_sound.configuration.compute import EngineSettings
from anomalous_sound.configuration.corpus import CorpusSettings
from anomalous_sound.configuration.decision import EvidenceSettings, ThresholdSettings
from anomalous_sound.configuration.evaluation import (
    CampaignSettings,
    CompareSettings,
    EvaluationSettings,
    ExploreSettings,
)
from anomalous_sound.configuration.features import (
    AudioSettings,
    LogMelSettings,
    ScalingSettings,
    WindowSettings,
)
from anomalous_sound.configuration.inference import InferenceSettings
from anomalous_sound.configuration.mistakes import describe_mistakes, suggestion
from anomalous_sound.configuration.reporting import PageSettings
from anomalous_sound.configuration.scoring import LocalisationSettings
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.errors import InputError
from anomalous_sound.methods import Method, methods
from anomalous_sound.storage.remote import without_secrets

PROFILE_VALUES = "_profile"  # what the parameters of a profile are copied from


class SharedParameters(Settings):
    """What all methods share."""

    audio_dir: str | None
    jobs: Jobs
    engine: EngineSettings
    storage: str
    profile: str
    seed: Seed
    seeds: PositiveInt | None
    campaign: CampaignSettings
    corpus: CorpusSettings
    audio: AudioSettings
    log_mel: LogMelSettings
    scaling: ScalingSettings
    windows: WindowSettings
    detector: DetectorSettings
    inference: InferenceSettings
    evidence: EvidenceSettings
    thresholds: ThresholdSettings
    localisation: LocalisationSettings
    evaluation: EvaluationSettings
    compare: CompareSettings
    explore: ExploreSettings
    page: PageSettings

    @model_validator(mode="after")
    def _every_method_gets_the_windows_it_reads(self) -> Self:
        for name, method in methods().items():
            group = f"{name}.windows" if method.own_windows else "windows"
            windows = getattr(self, name).windows if method.own_windows else self.windows
            if windows.next_frame != method.next_frame:
                raise ValueError(
                    f"parameter '{group}.next_frame' is {windows.next_frame}; accepted: "
                    f"{method.next_frame}"
                )
            if self.corpus.min_frames < windows.frames:
                raise ValueError(
                    f"parameter 'corpus.min_frames' is {self.corpus.min_frames}; accepted: at "
                    f"least {windows.frames}, the frames that a window of '{group}' reads"
                )
        return self

    @model_validator(mode="after")
    def _no_password_is_written_down(self) -> Self:
        for name in ("audio_dir", "storage"):
            given = getattr(self, name) or ""
            if (shown := without_secrets(given)) != given:
                raise ValueError(
                    f"parameter '{name}' is {shown}; accepted: a URL without a password, which "
                    "logs and MLflow would show, and without a query, which may hold a token. Give "
                    "them to fsspec in a file of ~/.config/fsspec, or in the environment"
                )
        return self

    @model_validator(mode="after")
    def _machine_ids_left_out_share_a_threshold(self) -> Self:
        if self.detector.left_out == "machine_id" and self.thresholds.per == "machine_id":
            raise ValueError(
                "parameter 'thresholds.per' is machine_id, but with 'detector.left_out' machine_id "
                "one threshold speaks for machine IDs not trained on; accepted: machine_type"
            )
        return self

    @model_validator(mode="after")
    def _every_named_method_is_there(self) -> Self:
        known = list(methods())
        named = {
            "compare.methods": self.compare.methods or [],
            "compare.ensemble": self.compare.ensemble,
            "compare.promote": [one for one in [self.compare.promote] if isinstance(one, str)],
            "inference.method": [self.inference.method],
        }
        for parameter, names in named.items():
            for name in names:
                if name not in known:
                    close = suggestion(name, known)
                    raise ValueError(
                        f"parameter '{parameter}' names '{name}'; "
                        + (f"did you mean '{close}'? " if close else "")
                        + f"accepted: {', '.join(known)}"
                    )
        return self


def parameters_type() -> type[SharedParameters]:
    """Return the type of all parameters: the shared ones and a group for each method."""
    return _parameters_type(tuple(methods().values()))


@cache
def _parameters_type(of_methods: tuple[Method, ...]) -> type[SharedParameters]:
    groups: dict[str, Any] = {method.name: (method.settings, ...) for method in of_methods}
    return create_model("Parameters", __base__=SharedParameters, **groups)


def parse_parameters(values: Mapping[str, Any]) -> SharedParameters:
    """Check all parameters at once.

    Args:
        values: as Kedro reads them from ``conf/`` and ``--params``.

    Raises:
        InputError: one or more are unknown, missing or not accepted; each is named with what is.
    """
    given = {name: value for name, value in values.items() if name != PROFILE_VALUES}
    try:
        return parameters_type().model_validate(given)
    except ValidationError as error:
        raise InputError(describe_mistakes(error, parameters_type())) from None
