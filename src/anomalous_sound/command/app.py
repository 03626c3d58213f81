"""The commands, their options and their exit codes."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anomalous_sound.command.durations import Duration
from anomalous_sound.command.options import OutputOptions, output_options
from anomalous_sound.command.serve import serve
from anomalous_sound.corpus.names import shown
from anomalous_sound.errors import InputError, UnreadableClipError, missing_package

if TYPE_CHECKING:
    from anomalous_sound.decision.detector import Detector
    from anomalous_sound.decision.verdict import Rejection, Verdict

EXIT_ERROR, EXIT_STOPPED = 2, 130
# a recorder drops files when it likes, a stream never pauses
_FOLDER_STALLED_S, _STREAM_STALLED_S = 600.0, 5.0


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
        sources = [shown(getattr(one, "path", None) or one.source) for one in wanted]  # type: ignore[union-attr]
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


_kept = click.option(
    "--kept",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where a watch keeps anomalous clips; default: kept/, beside the detector.",
)


@main.command()
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@_detector
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
@_detector
@_machine_id
@_rate
@click.option(
    "--feedback",
    "with_feedback",
    is_flag=True,
    help="Check by the clips that were marked; without DIR, join those that were marked normal.",
)
@_kept
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
    from anomalous_sound.command.kept import KeptClips

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
@_kept
@_detector
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
    from anomalous_sound.command.kept import Feedback, KeptClips

    for clip in KeptClips(place).label(event_id, Feedback(label), note):
        click.echo(f"{clip.folder.name} is marked {label}: {clip.audio}")


def _list_devices(context: click.Context, option: click.Parameter, is_given: bool) -> None:
    if is_given:
        from anomalous_sound.command.microphone import list_devices

        click.echo("\n".join(list_devices()))
        context.exit()


@main.command()
@click.argument("place", metavar="[DIR|PIPE|-]", required=False, type=click.Path(path_type=Path))
@_detector
@_machine_id
@_rate
@_json
@click.option(
    *("--false-alarm-every", "false_alarm_every_s"),
    type=Duration(),
    help="Tell alarms, at most one false one in so long, such as 30d; default: verdicts alone.",
)
@click.option(
    *("--alarm-within", "alarm_within_s"),
    type=Duration(),
    default=600.0,
    show_default="10min",
    help="How long a lasting fault may sound before its alarm.",
)
@click.option(
    *("--independent-after", "independent_after_s"),
    type=Duration(),
    help="From which distance on segments have nothing to do with each other; default: from none.",
)
@click.option(
    "--recover-after",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Normal segments in a row that end an alarm.",
)
@click.option(
    *("--false-drift-every", "false_drift_every_s"),
    type=Duration(),
    help="Tell when normal sound changes, falsely at most once in so long, such as 90d.",
)
@click.option("--exit-on-sensor", is_flag=True, help="End with 4 if the sensor has a problem.")
@click.option(
    "--device",
    is_flag=False,
    flag_value="",
    metavar="[NAME]",
    help="Listen to a microphone: its number or a part of its name; without, the system's.",
)
@click.option(
    "--list-devices",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_devices,
    help="Say which microphones there are.",
)
@output_options
@click.option("--once", is_flag=True, help="End when every file that is there has been judged.")
@click.option("--from-now", is_flag=True, help="Leave out the files that are there already.")
@click.option(
    "--resume",
    is_flag=True,
    help="Leave out the files that an earlier watch with --resume has judged (see --queue).",
)
@click.option(
    *("--stalled-after", "stalled_after_s"),
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds without anything new after which the sensor counts as stalled; default: 600 for "
    "a folder, 5 for a stream.",
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
    help="Of the samples in a stream (16 bits, little-endian, mono), or of the device, Hz.",
)
@click.option(
    *("--segment", "segment_s"),
    type=click.FloatRange(min=0, min_open=True),
    help="Seconds of a segment of a stream; default: as the detector was trained.",
)
def watch(
    place: Path | None,
    chosen: str | None,
    machine_id: str | None,
    rate: float | None,
    as_json: bool,
    false_alarm_every_s: float | None,
    alarm_within_s: float,
    independent_after_s: float | None,
    recover_after: int,
    false_drift_every_s: float | None,
    exit_on_sensor: bool,
    device: str | None,
    once: bool,
    from_now: bool,
    resume: bool,
    stalled_after_s: float | None,
    settled_s: float,
    give_up_s: float,
    heartbeat_s: float,
    interval_s: float,
    sample_rate: int | None,
    segment_s: float | None,
    outputs: OutputOptions,
) -> None:
    """Judge what a recorder drops into a folder, raw samples from a pipe or -, or a device.

    It ends with Ctrl-C. What cannot be judged (silence, damaged files, nothing new) is a line of
    its own, and never counts as normal. Exit code: as of score; with --false-alarm-every, 1 means
    that there was an alarm.
    """
    from anomalous_sound.command.choice import detector_folder, open_detector, queue_folder

    if (place is None) == (device is None):
        raise InputError("watch: say what to watch, one of a folder, a pipe, - and --device.")
    is_stream = place is not None and (str(place) == "-" or place.is_fifo())
    if is_stream and sample_rate is None:
        raise InputError(f"watch {place} needs the sample rate of the samples: --rate HZ.")
    if place is not None and not is_stream and not place.is_dir():
        raise InputError(f"watch: {place} is no folder; give the one that the recorder writes to.")
    there = detector_folder(chosen)
    detector = open_detector(str(there), rate=rate, machine_id=machine_id)
    from anomalous_sound.command.alarming import Terms, arm
    from anomalous_sound.command.following import Follower, watch_folder
    from anomalous_sound.command.memory import Judged
    from anomalous_sound.command.microphone import Microphone, watch_device
    from anomalous_sound.command.outputs import open_outputs
    from anomalous_sound.command.stream import named_pipe, segment_samples, watch_stream
    from anomalous_sound.command.watching import Watch

    terms = Terms(
        false_alarm_every_s=false_alarm_every_s,
        false_drift_every_s=false_drift_every_s,
        within_s=alarm_within_s,
        independent_after_s=independent_after_s,
        recover_after=recover_after,
        segment_s=segment_s,
        rate=rate,
    )
    is_sound = is_stream or device is not None
    alarms = promise = None
    if terms.is_asked_for:
        heard = [detector.known_as(machine_id)] if is_sound else None
        detector, alarms, promise = arm(detector, terms, heard)
    microphone = None
    if device is not None:
        microphone = Microphone(device)
        sample_rate = microphone.sample_rate(
            sample_rate or detector.description.features.audio.sample_rate
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a service manager ends it
    with closing(open_outputs(outputs, detector, there)) as opened:
        told = Watch(
            detector.identity,
            click.echo,
            opened,
            as_json=as_json,
            stalled_after_s=stalled_after_s
            or (_STREAM_STALLED_S if is_sound else _FOLDER_STALLED_S),
            heartbeat_s=heartbeat_s,
            alarms=alarms,
            ends_on_sensor=exit_on_sensor,
        )
        if promise is not None:
            told.event(promise)
        try:
            if microphone is not None and sample_rate is not None:
                watch_device(
                    *(detector, microphone, told),
                    sample_rate=sample_rate,
                    segment=segment_samples(detector, sample_rate, segment_s),
                    machine_id=machine_id,
                )
            elif place is not None and sample_rate is not None and is_stream:
                is_pipe = str(place) != "-"
                watch_stream(
                    detector,
                    named_pipe(place) if is_pipe else [sys.stdin.buffer],
                    told,
                    place=place,
                    sample_rate=sample_rate,
                    segment=segment_samples(detector, sample_rate, segment_s),
                    machine_id=machine_id,
                    goes_on=is_pipe,
                )
            elif place is not None:
                judged = None
                if resume:
                    memory = queue_folder(outputs.queue, there) / "judged.db"
                    judged = Judged(memory, place)
                follower = Follower(place, settled_s=settled_s, give_up_s=give_up_s, judged=judged)
                if from_now:
                    follower.pass_over()
                watch_folder(
                    *(detector, place, told, follower),
                    machine_id=machine_id,
                    interval_s=interval_s,
                    once=once,
                )
            reason = "the sensor has failed" if told.is_over else "there is nothing more to judge"
        except KeyboardInterrupt:
            reason = "it was stopped"
        told.end(reason)
    raise click.exceptions.Exit(told.exit_code)
