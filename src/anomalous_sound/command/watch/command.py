"""The command ``anomalous-sound watch``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import click

from anomalous_sound.command.options import (
    detector_option,
    json_option,
    machine_id_option,
    rate_option,
)
from anomalous_sound.command.watch.durations import Duration
from anomalous_sound.command.watch.output_options import OutputOptions, output_options
from anomalous_sound.corpus.names import shown
from anomalous_sound.errors import InputError

# a recorder drops files when it likes, a stream never pauses
_FOLDER_STALLED_S, _STREAM_STALLED_S = 600.0, 5.0


def _list_devices(context: click.Context, option: click.Parameter, is_given: bool) -> None:
    if is_given:
        from anomalous_sound.command.watch.microphone import list_devices

        click.echo("\n".join(list_devices()))
        context.exit()


def _named(place: Path | None, device: str | None) -> str:
    if place is None:
        return f"microphone {device}" if device else "the microphone"
    return "standard input" if str(place) == "-" else shown(place.absolute())


def _refuse(options: Mapping[str, object], what: str) -> None:
    """Make sure that no option is given that would have no effect.

    Raises:
        InputError: one is.
    """
    if given := [name for name, value in options.items() if value]:
        one = len(given) == 1
        raise InputError(
            f"watch: {' and '.join(given)} {'is' if one else 'are'} for {what}; leave "
            f"{'it' if one else 'them'} out."
        )


@click.command()
@click.argument("place", metavar="[DIR|PIPE|-]", required=False, type=click.Path(path_type=Path))
@detector_option
@machine_id_option
@rate_option
@json_option
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
    is_sound = is_stream or device is not None
    if is_sound:
        _refuse({"--once": once, "--from-now": from_now, "--resume": resume}, "a folder")
    else:
        _refuse({"--rate": sample_rate, "--segment": segment_s}, "a stream or a microphone")
    there = detector_folder(chosen)
    detector = open_detector(str(there), rate=rate, machine_id=machine_id)
    from anomalous_sound.command.watch.alarming import Terms, arm
    from anomalous_sound.command.watch.following import Follower, watch_folder
    from anomalous_sound.command.watch.memory import Judged
    from anomalous_sound.command.watch.microphone import Microphone, watch_device
    from anomalous_sound.command.watch.outputs import open_outputs
    from anomalous_sound.command.watch.stream import named_pipe, segment_samples, watch_stream
    from anomalous_sound.command.watch.watching import Watch

    terms = Terms(
        false_alarm_every_s=false_alarm_every_s,
        false_drift_every_s=false_drift_every_s,
        within_s=alarm_within_s,
        independent_after_s=independent_after_s,
        recover_after=recover_after,
        segment_s=segment_s,
        rate=rate,
    )
    microphone, segment = None, 0
    if device is not None:
        microphone = Microphone(device)
        sample_rate = microphone.sample_rate(
            sample_rate or detector.description.features.audio.sample_rate
        )
    if is_sound and sample_rate is not None:
        segment = segment_samples(detector, sample_rate, segment_s, machine_id)
        segment_s = segment / sample_rate
    alarms = promise = None
    if terms.is_asked_for:
        heard = [detector.known_as(machine_id)] if is_sound else None
        detector, alarms, promise = arm(detector, terms, heard)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as a service manager ends it
    opening = open_outputs(
        outputs, detector, there, place=_named(place, device), is_stream=is_sound
    )
    with closing(opening) as opened:
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
                    segment=segment,
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
                    segment=segment,
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
