"""The commands, their options and their exit codes."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anomalous_sound.command.options import (
    detector_option,
    json_option,
    kept_option,
    machine_id_option,
    rate_option,
)
from anomalous_sound.command.serve import serve
from anomalous_sound.command.watch.command import watch
from anomalous_sound.corpus.names import shown
from anomalous_sound.errors import InputError, UnreadableClipError, missing_package

if TYPE_CHECKING:
    from anomalous_sound.decision.detector import Detector
    from anomalous_sound.decision.verdict import Rejection, Verdict

EXIT_ERROR, EXIT_STOPPED = 2, 130


class _MistakeError(click.ClickException):
    """A user's mistake."""

    exit_code = EXIT_ERROR


class _Commands(click.Group):
    """Commands that end with 2 whatever goes wrong: 1 means that something sounds anomalous."""

    def invoke(self, context: click.Context) -> Any:
        """Run a command; a user's mistake is told in one sentence."""
        try:
            return super().invoke(context)
        except (click.exceptions.Exit, click.ClickException):
            raise
        except (KeyboardInterrupt, click.Abort):
            raise click.exceptions.Exit(EXIT_STOPPED) from None
        except (InputError, UnreadableClipError) as error:
            raise _MistakeError(str(error)) from error
        except ModuleNotFoundError as error:  # of the light installation
            raise _MistakeError(f"{missing_package(error)}.") from error
        except BrokenPipeError:  # whoever read the lines has ended
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(EXIT_ERROR) from None
        except Exception:
            traceback.print_exc()
            raise click.exceptions.Exit(EXIT_ERROR) from None


def run() -> None:
    """Run a command of ``anomalous-sound``."""
    logging.disable(logging.INFO)  # what libraries tell of themselves
    main(prog_name="anomalous-sound")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="anomalous-sound")
def main() -> None:
    """Judge recordings with a trained detector."""


main.add_command(serve)
main.add_command(watch)


@main.command()
@click.argument("places", nargs=-1, required=True, metavar="FILE|DIR...|-", type=click.Path())
@detector_option
@machine_id_option
@rate_option
@json_option
@click.option(
    "--jobs",
    type=int,
    default=1,
    show_default=True,
    help="Recordings judged at once, or clips of the only one; -1: as many as there are cores.",
)
def score(
    places: tuple[str, ...],
    chosen: str | None,
    machine_id: str | None,
    rate: float | None,
    as_json: bool,
    jobs: int,
) -> None:
    """Judge audio files, folders of them, or one from standard input (-).

    A long recording is judged clip by clip. Exit code: 0, nothing sounds anomalous; 1, something
    does; 2, an error; 3, nothing could be judged.
    """
    from anomalous_sound.command.choice import open_detector

    if jobs < 1 and jobs != -1:
        raise InputError(f"--jobs is {jobs}; give a number above 0, or -1 for all cores.")
    if "-" in places and len(places) > 1:
        raise InputError("- is standard input, and must be alone; give files without it.")
    detector = open_detector(chosen, rate=rate, machine_id=machine_id)
    from anomalous_sound.command.recordings import find_recordings, judge, judge_standard_input

    if places == ("-",):
        results, sources = judge_standard_input(detector, machine_id), ["-"]
    else:
        wanted = find_recordings([Path(place) for place in places], detector, machine_id)
        results = judge(detector, wanted, jobs=jobs)
        sources = [shown(getattr(one, "path", None) or one.source) for one in wanted]  # type: ignore[union-attr]
    raise click.exceptions.Exit(_print_results(results, sources, detector, as_json))


def _print_results(
    results: Iterable[Verdict | Rejection], sources: list[str], detector: Detector, as_json: bool
) -> int:
    from anomalous_sound.command.lines import Table, Tally, result_line

    tally = Tally(machine_ids=detector.description.machine_ids)
    table = Table(sources)
    if not as_json:
        click.echo(table.headings())
    for result in results:
        tally.add(result)
        click.echo(result_line(result, detector.identity) if as_json else table.row(result))
    if not as_json:
        click.echo("\n" + tally.summary())
    return tally.exit_code


@main.command()
@detector_option
@json_option
def info(chosen: str | None, as_json: bool) -> None:
    """Say what a detector was trained on, and what it promises."""
    from anomalous_sound.command.choice import detector_folder, open_detector

    place = detector_folder(chosen)
    detector = open_detector(str(place))
    from anomalous_sound.command.description import facts, in_lines

    if as_json:
        click.echo(json.dumps({"folder": str(place), **facts(detector)}))
    else:
        click.echo("\n".join([f"Detector      {place}", *in_lines(detector)]))


@main.command()
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@detector_option
@click.option(
    "--check",
    "recordings",
    type=click.Path(path_type=Path),
    help="Recordings that the detector and its export must judge alike.",
)
def export(out: Path, chosen: str | None, recordings: Path | None) -> None:
    """Write a detector for a machine without PyTorch.

    OUT is a folder for score, watch and info, as the detector's own; they need
    'anomalous-sound[runtime]' alone. It is written only if it judges synthetic clips, and the
    recordings of --check, as the detector does.
    """
    from anomalous_sound.command.choice import open_detector

    if out.exists():
        raise InputError(f"export: {out} exists already; give a folder that does not.")
    detector = open_detector(chosen)
    from anomalous_sound.command.exporting import write_export

    told = write_export(detector, out, recordings)
    click.echo("\n".join([*told, f"Written to    {out}"]))


@main.command()
@click.argument("place", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@detector_option
@machine_id_option
@rate_option
@click.option(
    "--feedback",
    "with_feedback",
    is_flag=True,
    help="Check by the clips that were marked; without DIR, join those that were marked normal.",
)
@kept_option
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where to write the new detector; default: in place of the old one, which is kept beside.",
)
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
def recalibrate(
    place: Path | None,
    chosen: str | None,
    machine_id: str | None,
    rate: float | None,
    with_feedback: bool,
    kept: Path | None,
    out: Path | None,
    yes: bool,
) -> None:
    """Compute new thresholds from normal recordings, without training.

    For a machine that has changed a little, or to promise another rate. The recordings must be
    normal, and must not be those that the detector was trained on.
    """
    from anomalous_sound.command.choice import detector_folder, kept_folder, open_detector

    if place is None and not with_feedback:
        raise InputError("recalibrate needs a folder of normal recordings, or --feedback.")
    if out is not None and out.exists():
        raise InputError(f"--out: {out} exists already; give a folder that does not.")
    old = detector_folder(chosen)
    # a machine ID that is new to it is what it may be recalibrated for
    detector = open_detector(str(old))
    from anomalous_sound.command import feedback as feedbacks
    from anomalous_sound.command import recalibration
    from anomalous_sound.command.watch.kept import KeptClips

    clips = KeptClips(kept_folder(kept, old))
    if place is None:
        change: recalibration.Recalibration = feedbacks.join(detector, clips, rate=rate)
        lines = change.in_lines()
    else:
        change = recalibration.recalibrate(detector, place, rate=rate, machine_id=machine_id)
        lines = change.in_lines()
        if with_feedback:
            lines += feedbacks.check(detector, change.after, clips).in_lines()
    click.echo("\n".join([f"Detector       {old}", *lines]))
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("nothing was written; to go on, add --yes.")
        click.confirm("Write it?", abort=True)
    if out is not None:
        change.after.save(out)
        click.echo(f"Written to {out}; {old} is as it was.")
    else:
        backup = recalibration.replace_detector(change.after, old)
        click.echo(f"Written to {old}; the old one is kept in {backup}.")


@main.command()
@click.argument("event_id", metavar="ID")
@click.option("--normal", "label", flag_value="normal", help="It was a false alarm.")
@click.option("--fault", "label", flag_value="fault", help="Something was wrong.")
@click.option("--note", default="", help="What else there is to say.")
@kept_option
@detector_option
def feedback(
    event_id: str, label: str | None, note: str, kept: Path | None, chosen: str | None
) -> None:
    """Say what an anomalous clip was; ID is that of its verdict, or of an alarm.

    What was said can be said anew.
    """
    from anomalous_sound.command.choice import detector_folder, kept_folder

    if label is None:
        raise InputError("feedback: say what it was: --normal or --fault.")
    place = kept or kept_folder(kept, detector_folder(chosen))
    from anomalous_sound.command.watch.kept import Feedback, KeptClips

    for clip in KeptClips(place).label(event_id, Feedback(label), note):
        click.echo(f"{clip.folder.name} is marked {label}: {clip.audio}")
