"""Settings of events, as they are recommended."""

from __future__ import annotations

from typing import Any

import yaml
from support import REPOSITORY

from anomalous_sound.configuration.scoring import EventSettings

_PARAMETERS = yaml.safe_load((REPOSITORY / "conf/base/parameters.yml").read_text(encoding="utf-8"))
EVENTS = EventSettings.model_validate(_PARAMETERS["localisation"]["events"])


def events_with(**changed: Any) -> EventSettings:
    """Return the same settings but for some."""
    return EVENTS.model_copy(update=changed)
