"""Settings of what happens around a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field

from anomalous_sound.configuration.base import PositiveInt, Settings


class RunSettings(Settings):
    """How runs keep out of each other's way, and what they ask of MLflow."""

    locks: str = Field(description="folder of lock files, in the project")
    unrecorded: str = Field(description="folder of what MLflow could not record, in the project")
    wait_s: PositiveInt = Field(description="longest wait for a run that writes the same data")
    mlflow_timeout_s: PositiveInt = Field(description="longest silence of MLflow's server or store")
    mlflow_patience_s: PositiveInt = Field(description="longest wait for MLflow's server in all")
    mlflow_retries: Annotated[int, Field(ge=0)] = Field(description="of a request to the server")
    register_detectors: bool = Field(description="in MLflow's registry")

    @classmethod
    def of(cls, of_globals: Mapping[str, Any]) -> Self:
        """Take them from the configuration's globals."""
        return cls.model_validate(dict(of_globals["runs"]))
