"""The options of ``watch`` that say where its events go, beside standard output."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

TOKEN, MQTT_USER, MQTT_PASSWORD = (
    "ANOMALOUS_SOUND_TOKEN",
    "ANOMALOUS_SOUND_MQTT_USER",
    "ANOMALOUS_SOUND_MQTT_PASSWORD",
)
WEBHOOK, MQTT = "ANOMALOUS_SOUND_WEBHOOK", "ANOMALOUS_SOUND_MQTT"
_SENT = "alarm,recovered,drift,sensor,sensor_well,anomalous"


@dataclass(frozen=True)
class OutputOptions:
    """What was asked for; see the help of each option."""

    output: Path | None = None
    webhook: str | None = None
    token_file: Path | None = None
    mqtt: str | None = None
    mqtt_password_file: Path | None = None
    send: str = _SENT
    queue: Path | None = None
    queue_mb: float = 50.0
    flush_s: float = 5.0
    kept: Path | None = None
    kept_clips: int = 200
    kept_mb: float = 500.0
    report: Path | None = None
    report_clips: int = 20
    report_every_s: float = 60.0


_path = click.Path(path_type=Path)
_positive = click.FloatRange(min=0, min_open=True)
_OPTIONS = (
    click.option(
        "--output", type=_path, metavar="FILE", help="Add every event to a file, as JSON lines."
    ),
    click.option(
        *("--webhook",),
        envvar=WEBHOOK,
        metavar="URL",
        help=f"POST events to a web server; also as {WEBHOOK}.",
    ),
    click.option(
        *("--token-file", "token_file"),
        type=_path,
        metavar="FILE",
        help=f"Holds the token that the web server asks for; also as {TOKEN}.",
    ),
    click.option(
        *("--mqtt",),
        envvar=MQTT,
        metavar="URL",
        help="Publish events on a broker, mqtt://HOST:PORT/TOPIC or mqtts://…; user: "
        f"{MQTT_USER}; also as {MQTT}.",
    ),
    click.option(
        *("--mqtt-password-file", "mqtt_password_file"),
        type=_path,
        metavar="FILE",
        help=f"Holds the broker's password; also as {MQTT_PASSWORD}.",
    ),
    click.option(
        *("--send",),
        default=_SENT,
        show_default=True,
        metavar="NAMES",
        help="Which events are sent; also verdict, heartbeat, end.",
    ),
    click.option(
        "--queue",
        type=_path,
        metavar="DIR",
        help="Where events wait until they are delivered; default: queue/, beside the detector.",
    ),
    click.option(
        *("--queue-mb", "queue_mb"),
        type=_positive,
        default=50.0,
        show_default=True,
        help="MB that may wait for each receiver; beyond, the oldest events are dropped.",
    ),
    click.option(
        *("--flush-for", "flush_s"),
        type=click.FloatRange(min=0),
        default=5.0,
        show_default=True,
        help="Seconds for which events are still delivered at the end.",
    ),
    click.option(
        "--kept",
        type=_path,
        metavar="DIR",
        help="Where anomalous clips are kept for feedback; default: kept/, beside the detector.",
    ),
    click.option(
        *("--kept-clips", "kept_clips"),
        type=click.IntRange(min=0),
        default=200,
        show_default=True,
        help="Clips without feedback to keep; 0: keep none.",
    ),
    click.option(
        *("--kept-mb", "kept_mb"),
        type=_positive,
        default=500.0,
        show_default=True,
        help="MB of clips without feedback to keep.",
    ),
    click.option(
        "--report",
        type=_path,
        metavar="PAGE.html",
        help="Write a page of what was heard, with players and marked spectrograms.",
    ),
    click.option(
        *("--report-clips", "report_clips"),
        type=click.IntRange(min=1),
        default=20,
        show_default=True,
        help="Anomalous clips on the page: half of them the newest, half the highest scores.",
    ),
    click.option(
        *("--report-every", "report_every_s"),
        type=click.FloatRange(min=0),
        default=60.0,
        show_default=True,
        help="Seconds from one writing of the page to the next, at least.",
    ),
)


def output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; it gets them as one, ``outputs``."""

    @functools.wraps(command)
    def called(**values: Any) -> Any:
        own = {field.name: values.pop(field.name) for field in fields(OutputOptions)}
        return command(outputs=OutputOptions(**own), **values)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_OPTIONS), called)
