"""Settings of where work is done: on this machine, or on the workers of a cluster."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from anomalous_sound.configuration.base import (
    Jobs,
    PositiveFloat,
    PositiveInt,
    Settings,
    only_own_options,
)


class LocalEngine(Settings):
    """Threads and processes of the command itself; a training may have other hosts, too."""

    type: Literal["local"]
    devices: PositiveInt = Field(
        description="that train one network together, on each host: processes on a CPU, or GPUs"
    )
    num_nodes: PositiveInt = Field(description="hosts that train one network together")
    address: str | None = Field(description="host:port, by which the other hosts reach this one")
    wait_s: PositiveFloat = Field(description="that one waits for the others, at most")

    @model_validator(mode="after")
    def _the_first_host_is_found_by_the_others(self) -> Self:
        host, _, port = (self.address or "").rpartition(":")
        if self.num_nodes > 1 and not (host and port.isdecimal()):
            raise ValueError(
                f"parameter 'engine.address' is {self.address!r}; accepted with 'engine.num_nodes' "
                f"{self.num_nodes}: HOST:PORT, by which the other hosts reach this one"
            )
        return self

    @property
    def joins(self) -> bool:
        """Whether several processes train one network."""
        return self.devices * self.num_nodes > 1


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

LOCAL = LocalEngine(type="local", devices=1, num_nodes=1, address=None, wait_s=60.0)
