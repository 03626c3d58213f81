"""What one run was asked for, and what it was made with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from anomalous_sound.configuration.base import Settings
from anomalous_sound.provenance.software import Software, software

Source = Literal["simulated", "published", "folder"]


class Origin(Settings):
    """What makes a run again, beside the settings that its results name."""

    environment: str | None = Field(description="of Kedro, as in --env dcase2023; None: none")
    profile: str
    given: dict[str, Any] = Field(description="--params of the run, without names and places")
    source: Source = Field(description="of the sound")
    folder: str | None = Field(description="name of the folder of recordings, without its place")
    software: Software


def origin(
    project: Path,
    *,
    environment: str | None,
    profile: str,
    given: Mapping[str, Any],
    source: Literal["simulated", "published"],
) -> Origin:
    """Describe a run.

    Args:
        project: its folder.
        environment: of Kedro.
        profile: of the parameters.
        given: the parameters given for this run; ``audio_dir`` among them is the place of the
            recordings, of which only the last name is kept: what is published tells no paths.
        source: of the environment, where no recordings are given.
    """
    kept = {name: value for name, value in given.items() if name not in ("audio_dir", "jobs")}
    if isinstance(detector := kept.get("detector"), Mapping):
        kept["detector"] = {name: value for name, value in detector.items() if name != "name"}
    audio_dir = given.get("audio_dir")
    return Origin(
        environment=environment,
        profile=profile,
        given={name: value for name, value in kept.items() if value != {}},
        source=source if audio_dir is None else "folder",
        folder=None if audio_dir is None else Path(audio_dir).expanduser().resolve().name,
        software=software(project),
    )
