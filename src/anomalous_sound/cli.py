"""The command line: Kedro's own ``run``, with a user's mistake told in a sentence."""

from __future__ import annotations

import copy
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run

from anomalous_sound.errors import InputError


@click.group(name=__package__)
def cli() -> None:
    """Commands of this project."""


def _input_error(error: BaseException | None) -> InputError | None:
    """Find the InputError behind an error: Kedro wraps what a dataset raises."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


def _run(**options: Any) -> Any:
    try:
        return kedro_run.callback(**options)
    except KeyboardInterrupt:
        raise click.ClickException(
            "stopped. The same command goes on: a training continues after its last whole epoch."
        ) from None
    except Exception as error:
        mistake = _input_error(error)
        if mistake is None:
            raise
        raise click.ClickException(str(mistake)) from error


run = copy.copy(kedro_run)
run.callback = _run
cli.add_command(run)
