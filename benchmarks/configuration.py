"""The settings of the project, as a run would get them from ``conf/``."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader

from anomalous_sound.methods.base import MethodSettings
from anomalous_sound.parameters import SharedParameters, parse_parameters
from anomalous_sound.settings import CONFIG_LOADER_ARGS

REPOSITORY = Path(__file__).parents[1]


@cache
def parameters(profile: str = "report") -> SharedParameters:
    """Return all parameters with the numbers of a profile."""
    return parse_parameters(_loaded("parameters", profile))


def method_settings(method: str, profile: str = "report") -> MethodSettings:
    """Return the parameters of one method with the numbers of a profile."""
    return getattr(parameters(profile), method)


def simulation() -> dict[str, Any]:
    """Return the settings of the simulated corpus."""
    return _loaded("globals", "standard")["simulation"]


def _loaded(name: str, profile: str) -> dict[str, Any]:
    loader = OmegaConfigLoader(
        str(REPOSITORY / "conf"),
        env="base",
        runtime_params={"profile": profile},
        **CONFIG_LOADER_ARGS,
    )
    return loader[name]
