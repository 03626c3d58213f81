"""The command line: Kedro's own ``run``, with a user's mistake told in a sentence."""

from __future__ import annotations

import copy
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines
from omegaconf.errors import OmegaConfBaseException

from anomalous_sound import interruption
from anomalous_sound.errors import InputError
from anomalous_sound.hooks import mark_as_killed


@click.group(name=__package__)
def cli() -> None:
    """Commands of this project."""


def _input_error(error: BaseException | None) -> InputError | None:
    """Find the InputError behind an error: Kedro wraps what a dataset raises."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


def _check_pipelines(names: list[str]) -> None:
    for name in names:
        if name not in pipelines:
            known = ", ".join(sorted(pipelines))
            raise click.ClickException(f"there is no pipeline '{name}'; there are {known}.")


def _run(**options: Any) -> Any:
    if "audio_dir" in options["params"] and not options["params"]["audio_dir"]:
        raise click.ClickException("audio_dir is empty; give a folder of recordings.")
    if options["pipeline"] and not options["pipelines"]:
        # Kedro warns of the singular, which is a public name of this project
        options |= {"pipelines": [options["pipeline"]], "pipeline": ""}
    interruption.raise_stopped()
    try:
        return kedro_run.callback(**options)
    except KeyboardInterrupt as stopped:
        interruption.ignore_further()
        mark_as_killed()
        told = click.ClickException(interruption.STOPPED)
        told.exit_code = getattr(stopped, "exit_code", 130)
        raise told from None
    except OmegaConfBaseException as error:
        raise click.ClickException(
            f"the configuration cannot be read: {str(error).splitlines()[0]} (profiles are listed "
            "in conf/base/globals.yml)."
        ) from error
    except Exception as error:
        _check_pipelines(options["pipelines"])
        mistake = _input_error(error)
        if mistake is None:
            raise
        raise click.ClickException(str(mistake)) from error


run = copy.copy(kedro_run)
run.callback = _run
cli.add_command(run)
