"""Events, what they are called by, and which of them are sent."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from anomalous_sound.errors import InputError

Event = Mapping[str, Any]

ANOMALOUS = "anomalous"  # of the verdicts, those that are
DEFAULT = ("alarm", "recovered", "drift", "sensor", "sensor_well", ANOMALOUS)
SELECTABLE = (*DEFAULT, "verdict", "suppressed", "promise", "promise_broken", "heartbeat", "end")


def now() -> str:
    """Return the local time with its offset (ISO 8601), as events have it."""
    return _written(datetime.now().astimezone())


def new_event(event: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event with an ID of its own and the local time with its offset (ISO 8601)."""
    at = datetime.now().astimezone()
    # sorts by time, and can be a file's name
    event_id = (
        f"{at.astimezone(UTC):%Y%m%dT%H%M%S}{at.microsecond // 1000:03d}-{secrets.token_hex(5)}"
    )
    return {"event": event, "id": event_id, "at": _written(at), **values}


def to_line(event: Event) -> str:
    """Return an event as a line of JSON; no text in it can break the line."""
    return json.dumps(event, allow_nan=False)


def selection(text: str) -> frozenset[str]:
    """Read which events are sent: names with commas between.

    Raises:
        InputError: one is not known.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in SELECTABLE]:
        raise InputError(
            f"--send names {', '.join(map(repr, unknown))}; accepted: {', '.join(SELECTABLE)}."
        )
    if not names:
        raise InputError(f"--send names no event; accepted: {', '.join(SELECTABLE)}.")
    return frozenset(names)


def is_selected(event: Event, names: Iterable[str]) -> bool:
    """Say whether an event is among those that are sent."""
    if event["event"] in names:
        return True
    return ANOMALOUS in names and event["event"] == "verdict" and event.get("decision") == ANOMALOUS


def _written(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
