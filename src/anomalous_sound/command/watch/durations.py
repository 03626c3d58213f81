"""Lengths of time as a user writes them."""

from __future__ import annotations

import re

import click

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_WRITTEN = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+) *(s|min|h|d)")


class Duration(click.ParamType[float]):
    """A length of time with its unit, such as 90s, 10min, 12h or 30d; its value is in seconds."""

    name = "time"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the seconds."""
        if isinstance(value, float):
            return value
        found = _WRITTEN.fullmatch(str(value).strip())
        seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
        if not seconds:
            self.fail(f"{value!r} is no length of time; give one such as 90s, 10min, 12h or 30d.")
        return seconds
