"""Kedro's configuration loader, with parameters as types."""

from __future__ import annotations

from typing import Any

from kedro.config import OmegaConfigLoader

from anomalous_sound.parameters import parse_parameters


class TypedConfigLoader(OmegaConfigLoader):
    """``OmegaConfigLoader`` that checks all parameters and returns them as settings types.

    It does so for every command, kedro-viz and notebooks included, which do not call the project's
    hooks. Kedro can validate parameters by the type hints of nodes too, but it does not know which
    network belongs to which method, and it suggests no names.
    """

    def __getitem__(self, key: str) -> Any:
        """Return the configuration of a kind.

        Raises:
            InputError: a parameter is unknown, missing or not accepted.
        """
        values = super().__getitem__(key)
        return dict(parse_parameters(values)) if key == "parameters" else values
