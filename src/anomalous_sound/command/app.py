"""The commands, their options and their exit codes."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anomalous_sound.errors import InputError, UnreadableClipError

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


_detector = click.option(
    "--detector",
    "chosen",
    metavar="NAME|FOLDER",
    help="As press_3, press_3/gru or its folder; default: the only one that was trained here.",
)
_machine_id = click.option("--machine-id", help="Of recordings whose files name none.")
_rate = click.option(
    "--false-alarm-rate",
    "rate",
    type=float,
    help="Alarms to accept among normal clips, such as 0.02; default: as the detector was trained.",
)
_json = click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")


@main.command()
@click.argument("places", nargs=-1, required=True, metavar="FILE...|DIR|-", type=click.Path())
@_detector
@_machine_id
@_rate
@_json
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
        sources = [str(getattr(one, "path", None) or one.source) for one in wanted]  # type: ignore[union-attr]
    raise click.exceptions.Exit(_print_results(results, sources, detector, as_json))


def _print_results(
    results: Iterable[Verdict | Rejection], sources: list[str], detector: Detector, as_json: bool
) -> int:
    from anomalous_sound.command.lines import Table, Tally, result_line

    tally, table = Tally(), Table(sources)
    if not as_json:
        click.echo(table.headings())
    for result in results:
        tally.add(result)
        click.echo(result_line(result, detector.identity) if as_json else table.row(result))
    if not as_json:
        click.echo("\n" + tally.summary())
    return tally.exit_code


@main.command()
@_detector
@_json
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
@click.argument("place", metavar="DIR", type=click.Path(path_type=Path))
@_detector
@_machine_id
@_rate
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where to write the new detector; default: in place of the old one, which is kept beside.",
)
@click.option("--yes", is_flag=True, help="Do not ask before writing.")
def recalibrate(
    place: Path,
    chosen: str | None,
    machine_id: str | None,
    rate: float | None,
    out: Path | None,
    yes: bool,
) -> None:
    """Compute new thresholds from normal recordings, without training.

    For a machine that has changed a little, or to promise another rate. The recordings must be
    normal, and must not be those that the detector was trained on.
    """
    from anomalous_sound.command.choice import detector_folder, open_detector

    if out is not None and out.exists():
        raise InputError(f"--out: {out} exists already; give a folder that does not.")
    old = detector_folder(chosen)
    # a machine ID that is new to it is what it may be recalibrated for
    detector = open_detector(str(old))
    from anomalous_sound.command import recalibration

    change = recalibration.recalibrate(detector, place, rate=rate, machine_id=machine_id)
    click.echo("\n".join([f"Detector       {old}", *change.in_lines()]))
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
@click.argument("place", metavar="DIR|-", type=click.Path(path_type=Path))
@_detector
@_machine_id
@_rate
@_json
@click.option("--once", is_flag=True, help="End when every file that is there has been judged.")
@click.option("--from-now", is_flag=True, help="Leave out the files that are there already.")
@click.option(
    *("--stalled-after", "stalled_after_s"),
    type=click.FloatRange(min=0, min_open=True),
    default=600.0,
    show_default=True,
    help="Seconds without anything new after which the sensor counts as stalled.",
)
@click.option(
    *("--settled-after", "settled_s"),
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="Seconds for which a file must not change before it is read.",
)
@click.option(
    *("--unreadable-after", "give_up_s"),
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds after which a file that does not change and cannot be read is given up.",
)
@click.option(
    *("--heartbeat", "heartbeat_s"),
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds from one heartbeat to the next.",
)
@click.option(
    *("--interval", "interval_s"),
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Seconds from one look at the folder to the next.",
)
@click.option(
    "--rate",
    "sample_rate",
    type=click.IntRange(min=1),
    help="Of the raw samples on standard input (16 bits, little-endian, mono), Hz.",
)
@click.option(
    *("--segment", "segment_s"),
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds of a segment of standard input; default: as the detector was trained.",
)
def watch(
    place: Path,
    chosen: str | None,
    machine_id: str | None,
    rate: float | None,
    as_json: bool,
    once: bool,
    from_now: bool,
    stalled_after_s: float,
    settled_s: float,
    give_up_s: float,
    heartbeat_s: float,
    interval_s: float,
    sample_rate: int | None,
    segment_s: float | None,
) -> None:
    """Judge what a recorder drops into a folder, or raw samples from standard input (-).

    It ends with Ctrl-C. What cannot be judged (silence, damaged files, nothing new) is a line of
    its own, and never counts as normal. Exit code: as of score.
    """
    from anomalous_sound.command.choice import open_detector

    is_stream = str(place) == "-"
    if is_stream and sample_rate is None:
        raise InputError("watch - needs the sample rate of the samples: --rate HZ.")
    if not is_stream and not place.is_dir():
        raise InputError(f"watch: {place} is no folder; give the one that the recorder writes to.")
    detector = open_detector(chosen, rate=rate, machine_id=machine_id)
    from anomalous_sound.command.following import Follower, watch_folder
    from anomalous_sound.command.stream import segment_samples, watch_stream
    from anomalous_sound.command.watching import Watch

    told = Watch(
        detector.identity,
        click.echo,
        as_json=as_json,
        stalled_after_s=stalled_after_s,
        heartbeat_s=heartbeat_s,
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a service manager ends it
    try:
        if sample_rate is not None and is_stream:
            watch_stream(
                detector,
                sys.stdin.buffer,
                told,
                sample_rate=sample_rate,
                segment=segment_samples(detector, sample_rate, segment_s),
                machine_id=machine_id,
            )
        else:
            follower = Follower(place, settled_s=settled_s, give_up_s=give_up_s)
            if from_now:
                follower.pass_over()
            watch_folder(
                *(detector, place, told, follower),
                machine_id=machine_id,
                interval_s=interval_s,
                once=once,
            )
    except KeyboardInterrupt:
        pass
    told.end()
    raise click.exceptions.Exit(told.tally.exit_code)
