"""Every event has an ID of its own; which are sent can be chosen."""

import json
import re
from datetime import datetime

import pytest

from anomalous_sound.delivery.event import DEFAULT, is_selected, new_event, selection, to_line
from anomalous_sound.errors import InputError


def test_ids_are_unique_and_sort_by_time():
    events = [new_event("sensor", {"kind": "stall"}) for _ in range(200)]
    assert len({event["id"] for event in events}) == 200
    assert all(re.fullmatch(r"\d{8}T\d{9}-[0-9a-f]{10}", event["id"]) for event in events)
    at = datetime.fromisoformat(events[0]["at"])
    assert at.tzinfo is not None
    assert list(events[0]) == ["event", "id", "at", "kind"]


def test_no_text_breaks_a_line():
    line = to_line({"event": "sensor", "source": "a\nb\r\u2028\udcff"})
    assert line.isascii() and line.isprintable()
    assert json.loads(line)["source"] == "a\nb\r\u2028\udcff"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        *(
            ({"event": name}, True)
            for name in ("alarm", "recovered", "drift", "sensor", "sensor_well")
        ),
        *(({"event": name}, False) for name in ("heartbeat", "end", "notice")),
        ({"event": "verdict", "decision": "anomalous"}, True),
        ({"event": "verdict", "decision": "normal"}, False),
    ],
)
def test_what_is_sent_unless_asked_otherwise(event, expected):
    assert is_selected(event, DEFAULT) is expected


def test_what_is_sent_can_be_chosen():
    chosen = selection("verdict, heartbeat")
    assert is_selected({"event": "verdict", "decision": "normal"}, chosen)
    assert is_selected({"event": "heartbeat"}, chosen)
    assert not is_selected({"event": "sensor"}, chosen)
    for text in ("alarms", "alarm,", "", ","):
        if text == "alarm,":
            assert selection(text) == {"alarm"}
            continue
        with pytest.raises(InputError, match="--send names .*accepted: alarm, recovered, drift"):
            selection(text)
