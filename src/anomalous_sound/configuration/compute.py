"""Settings of where work is done: on this machine, or on the workers of a cluster."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from anomalous_sound.configuration.base import (
    Jobs,
    PositiveFloat,
    PositiveInt,
    Settings,
    only_own_options,
)


class LocalEngine(Settings):
    """Threads and processes of the command itself."""

    type: Literal["local"]


class DaskEngine(Settings):
    """Workers of a Dask scheduler."""

    type: Literal["dask"]
    address: str | None = Field(
        description="of the scheduler; null: processes of this machine, started for the run"
    )
    workers: Jobs = Field(description="such processes; -1: as many as there are cores")
    batch: PositiveInt = Field(description="clips of a task")
    ahead: PositiveInt = Field(description="tasks known to the scheduler, for each core it has")
    retries: Annotated[int, Field(ge=0)] = Field(
        description="of a task in which storage or network have failed"
    )
    wait_s: PositiveFloat = Field(description="for the scheduler, and for its first worker")


EngineSettings = Annotated[
    LocalEngine | DaskEngine,
    Field(discriminator="type"),
    only_own_options(LocalEngine, DaskEngine),
]

LOCAL = LocalEngine(type="local")
