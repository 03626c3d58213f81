"""The options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

detector_option = click.option(
    "--detector",
    "chosen",
    metavar="NAME|FOLDER",
    help="As press_3, press_3/gru or its folder; default: the only one that was trained here.",
)
machine_id_option = click.option("--machine-id", help="Of recordings whose files name none.")
rate_option = click.option(
    "--false-alarm-rate",
    "rate",
    type=float,
    help="Alarms to accept among normal clips, such as 0.02; default: as the detector was trained.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON lines, for programs.")


kept_option = click.option(
    "--kept",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where a watch keeps anomalous clips; default: kept/, beside the detector.",
)
