"""Kedro's configuration loader, with parameters as types."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader

from anomalous_sound.errors import InputError
from anomalous_sound.parameters import parse_parameters


class TypedConfigLoader(OmegaConfigLoader):
    """``OmegaConfigLoader`` that checks all parameters and returns them as settings types.

    It does so for every command, kedro-viz and notebooks included, which do not call the project's
    hooks. Kedro can validate parameters by the type hints of nodes too, but it does not know which
    network belongs to which method, and it suggests no names.
    """

    def __init__(self, conf_source: str, env: str | None = None, **named: Any) -> None:
        """Create the loader; see ``OmegaConfigLoader``.

        Raises:
            InputError: there is no such environment.
        """
        _check_environment(Path(conf_source), env)
        super().__init__(conf_source, env, **named)

    def __getitem__(self, key: str) -> Any:
        """Return the configuration of a kind.

        Raises:
            InputError: a parameter is unknown, missing or not accepted.
        """
        values = super().__getitem__(key)
        return dict(parse_parameters(values)) if key == "parameters" else values


def _check_environment(conf: Path, env: str | None) -> None:
    # Kedro would go on with the base configuration, or fail later
    if env is None or not conf.is_dir() or (conf / env).is_dir():
        return
    there = sorted(folder.name for folder in conf.iterdir() if folder.is_dir())
    raise InputError(f"there is no environment '{env}'; there are {', '.join(there)} in {conf}/.")
