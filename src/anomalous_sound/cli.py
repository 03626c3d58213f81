"""The command line: Kedro's own ``run``, which reports a user's mistake in one sentence."""

from __future__ import annotations

import copy
import re
import traceback
from pathlib import Path
from typing import Any

import click
import mlflow
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.utils import find_kedro_project
from kedro_mlflow.framework.cli.cli import KedroClickGroup
from omegaconf.errors import OmegaConfBaseException

from anomalous_sound import interruption
from anomalous_sound.campaign import reproduce as reproducing
from anomalous_sound.campaign.drive import run_campaign
from anomalous_sound.campaign.plan import is_campaign
from anomalous_sound.configuration.mistakes import suggestion
from anomalous_sound.configuration.runs import RunSettings
from anomalous_sound.errors import InputError, input_error_behind
from anomalous_sound.tracking.hooks import mark_as_killed

_ERROR = 2  # of reproduce: 1 means that figures differ


@click.group(name=__package__)
def cli() -> None:
    """Commands of this project."""


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
        if is_campaign(options["params"] or {}):
            _check_pipelines(options["pipelines"])
            return run_campaign(kedro_run.callback, options)
        return kedro_run.callback(**options)
    except KeyboardInterrupt as stopped:
        interruption.ignore_further()
        mark_as_killed()
        raise _ended(interruption.STOPPED, getattr(stopped, "exit_code", 130)) from None
    except OmegaConfBaseException as error:
        if mistake := input_error_behind(error):
            raise click.ClickException(str(mistake)) from error
        problem = str(error).splitlines()[0]
        if profile := _UNKNOWN_PROFILE.match(problem):
            problem = _no_profile(profile[1], options["env"], options["conf_source"])
            raise click.ClickException(problem) from error
        raise click.ClickException(f"the configuration cannot be read: {problem}") from error
    except Exception as error:
        _check_pipelines(options["pipelines"])
        mistake = input_error_behind(error)
        if mistake is None and not str(error).startswith(_UNKNOWN_PART):
            raise
        raise click.ClickException(str(mistake or error)) from error


def _no_profile(name: str, env: str | None, conf_source: str | None) -> str:
    """Say which profiles there are."""
    with KedroSession.create(env=env, conf_source=conf_source) as session:
        loader = session._get_config_loader()
        known = [one for one in loader["globals"]["profiles"] if not one.startswith("_")]
    close = suggestion(name, known)
    hint = f"did you mean '{close}'? There" if close else "there"
    return f"there is no profile '{name}'; {hint} are {', '.join(known)}."


@cli.command()
@click.argument("table", type=click.Path(path_type=Path), metavar="TABLE")
@click.option(
    "--audio-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The recordings, if the table is of recordings of one's own.",
)
@click.option("--again", is_flag=True, help="Run again what this command has finished before.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="The largest difference of a figure that is accepted; 0: all are the same.",
)
def reproduce(table: Path, audio_dir: Path | None, again: bool, tolerance: float) -> None:
    """Make a table of results again, and compare it figure by figure.

    TABLE is results.csv of a campaign, or its folder. What is other here than where it was made is
    told first. Exit code: 0, all figures are within the tolerance; 1, some are not; 2, an error.
    """
    interruption.raise_stopped()
    try:
        defaults = kedro_run.make_context("run", []).params
        is_same = reproducing.reproduce(
            kedro_run.callback,
            defaults,
            table,
            audio_dir=audio_dir,
            again=again,
            tolerance=tolerance,
            say=click.echo,
        )
    except KeyboardInterrupt as stopped:
        interruption.ignore_further()
        mark_as_killed()
        raise _ended(interruption.STOPPED, getattr(stopped, "exit_code", 130)) from None
    except Exception as error:
        mistake = input_error_behind(error)
        if mistake is None:
            traceback.print_exc()
            raise click.exceptions.Exit(_ERROR) from None
        raise _ended(str(mistake), _ERROR) from error
    raise click.exceptions.Exit(0 if is_same else 1)


def _ended(told: str, exit_code: int) -> click.ClickException:
    ended = click.ClickException(told)
    ended.exit_code = exit_code
    return ended


def _parameters(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Read ``--params`` as Kedro does, but lists whole, and names as text: 00 is not 0.

    ``detector=press_3`` is short for ``detector.name=press_3``.
    """
    if not isinstance(value, str):
        return _KEDRO_PARAMS.callback(context, option, value)
    names = _DETECTOR.findall(value)
    value = _DETECTOR.sub("", value).strip(",")
    lists = {key.strip(): words for key, words in _LIST.findall(value)}
    given = _KEDRO_PARAMS.callback(context, option, _LIST.sub("", value).strip(","))
    for key, words in lists.items():
        *groups, name = key.split(".")
        group = given
        for part in groups:
            group = group.setdefault(part, {})
        listed = [word.strip().strip("'\"") for word in words.split(",") if word.strip()]
        counted = key == _COUNTED
        group[name] = [int(one) if counted and one.isdecimal() else one for one in listed]
    if isinstance(given.get("audio_dir"), int | float | bool):
        given["audio_dir"] = _AUDIO_DIR.findall(value)[-1].strip()
    machine_id = _MACHINE_ID.search(value)
    if machine_id:
        given["inference"]["machine_id"] = machine_id[1].strip()
    if names:
        given.setdefault("detector", {})["name"] = names[-1].strip()
    return given


# Kedro splits at the commas within; all lists among the parameters are of text, but one
_COUNTED = "audio.channel"
_LIST = re.compile(r"(?:(?<=,)|^)\s*([^=,\[\]]+)=\s*\[([^\[\]{}]*)\]\s*(?:,|$)")
_UNKNOWN_PROFILE = re.compile(r"Globals key 'profiles\.([^']*)' not found")
_UNKNOWN_PART = "Pipeline does not contain "  # Kedro's: nodes or datasets that --from-nodes, … name
_DETECTOR = re.compile(r"(?:(?<=,)|^)\s*detector(?:\.name)?\s*=([^,]*)(?:,|$)")
_AUDIO_DIR = re.compile(r"(?:^|,)\s*audio_dir\s*=([^,]*)")
_MACHINE_ID = re.compile(r"(?:^|,)\s*inference\.machine_id=([^,]*)")


class _MlflowCommands(KedroClickGroup):
    """Those of kedro-mlflow, ``catch-up``, and a ``ui`` that finds MLflow and opens the runs."""

    def reset_commands(self) -> None:
        """Collect the commands."""
        super().reset_commands()
        self.add_command(ui)
        self.add_command(catch_up)


@cli.command(name="mlflow", cls=_MlflowCommands)
def mlflow_commands() -> None:
    """Use MLflow in this project."""


@click.command()
@click.option("--env", "-e", help="The environment that says where the runs are.")
@click.option("--port", "-p", type=int, help="Default: as in mlflow.yml.")
@click.option("--host", "-h", help="Default: as in mlflow.yml.")
@click.option("--no-browser", is_flag=True, help="Say where the page is, and do not open it.")
def ui(env: str | None, port: int | None, host: str | None, no_browser: bool) -> None:
    """Serve the page of the runs, and open it: tick two, and press Compare."""
    from anomalous_sound.tracking import page

    project = find_kedro_project(Path.cwd()) or Path.cwd()
    with KedroSession.create(project_path=project, env=env) as session:
        context = session.load_context()
    settings, runs = context.mlflow, RunSettings.of(context.config_loader["globals"])
    store = settings.server.mlflow_tracking_uri
    try:
        experiment = page.find_experiment(
            *(store, settings.tracking.experiment.name, runs.mlflow_timeout_s),
            patience_s=runs.mlflow_patience_s,
        )
        if store.startswith("http"):
            click.echo(f"Runs: {page.runs_address(store, experiment)}")
            return
        host, port = host or settings.ui.host, port or int(settings.ui.port)
        address = page.runs_address(f"http://{host}:{port}", experiment)
        opens = page.has_browser() and not no_browser
        ended = page.serve(store, project, host, port, address, opens=opens)
    except InputError as mistake:
        raise click.ClickException(str(mistake)) from mistake
    raise click.exceptions.Exit(ended)


@click.command()
@click.option("--env", "-e", help="The environment that says where the runs are.")
def catch_up(env: str | None) -> None:
    """Record the runs that MLflow could not record when they were made."""
    from anomalous_sound.tracking import afterwards, patience, store

    project = find_kedro_project(Path.cwd()) or Path.cwd()
    with KedroSession.create(project_path=project, env=env) as session:
        context = session.load_context()
    runs = RunSettings.of(context.config_loader["globals"])
    notes = afterwards.Notes(project / runs.unrecorded)
    try:
        if missed := len(notes):
            uri = mlflow.get_tracking_uri()

            def log() -> list[str]:
                store.prepare_store(uri, runs.mlflow_timeout_s)
                context.mlflow.setup(context)
                return notes.log(context.mlflow.tracking.experiment._experiment.experiment_id)

            try:
                logged = patience.at_most(runs.mlflow_patience_s * missed, uri, log)
            except InputError:
                raise
            except Exception as error:  # of MLflow, its store, or what connects them
                raise InputError(afterwards.not_yet(error)) from error
            for name in logged:
                click.echo(f"Recorded: {name}")
        else:
            click.echo("MLflow has a record of every run: there is nothing to catch up on.")
    except InputError as mistake:
        raise click.ClickException(str(mistake)) from mistake


run = copy.copy(kedro_run)
run.callback = _run
_KEDRO_PARAMS = next(option for option in kedro_run.params if option.name == "params")
run.params = [copy.copy(option) for option in kedro_run.params]
next(option for option in run.params if option.name == "params").callback = _parameters
cli.add_command(run)
