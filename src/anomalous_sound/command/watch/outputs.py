"""Where the events of a watch go, beside standard output."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from anomalous_sound.command.choice import kept_folder, queue_folder
from anomalous_sound.command.watch.kept import Keeper, KeptClips
from anomalous_sound.command.watch.output_options import (
    MQTT_PASSWORD,
    MQTT_USER,
    TOKEN,
    OutputOptions,
)
from anomalous_sound.corpus.decode import Recording
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.verdict import Verdict
from anomalous_sound.delivery.address import broker_address, secret, web_address
from anomalous_sound.delivery.courier import Courier, Receiver
from anomalous_sound.delivery.event import Event, is_selected, selection, to_line
from anomalous_sound.delivery.log_file import EventFile
from anomalous_sound.delivery.queue import EventQueue
from anomalous_sound.errors import InputError

if TYPE_CHECKING:
    from anomalous_sound.command.watch.report import Report

_MB = 1_000_000


@dataclass
class Outputs:
    """Takes events and hands them on; nobody waits for a receiver.

    Attributes:
        file: gets every event.
        couriers: get those that are selected.
        selected: which these are.
        keeper: keeps the audio of anomalous clips.
        report: the page.
        flush_s: for how long events are still delivered at the end, s.
    """

    file: EventFile | None = None
    couriers: list[Courier] = field(default_factory=list)
    selected: frozenset[str] = frozenset()
    keeper: Keeper | None = None
    report: Report | None = None
    flush_s: float = 0.0
    _troubles: queue.SimpleQueue[tuple[str, str]] = field(default_factory=queue.SimpleQueue)
    _told_of_file: str = ""
    _told_of_page: str = ""

    def put(self, event: Event, text: str = "") -> None:
        """Hand on an event.

        Args:
            event: the event.
            text: the same for people.
        """
        if self.report is not None:
            self.report.told(event, text)
        if self.keeper is not None and event["event"] == "alarm":
            try:
                self.keeper.raised(event)
            except (OSError, ValueError) as error:
                self.trouble("kept", f"which clips {event['id']} is about is not kept: {error}")
        if is_selected(event, self.selected):
            for courier in self.couriers:
                courier.put(event)
        if self.file is not None:
            self._write(self.file, to_line(event))

    def judged(self, event: Event, verdict: Verdict, recording: Recording | None) -> None:
        """Take a verdict before it is told; the audio of an anomalous clip is kept.

        Args:
            event: the verdict's event.
            verdict: what was said of the clip.
            recording: the clip as it was recorded; None: it is read from the verdict's source.
        """
        if self.keeper is not None and verdict.is_anomalous:
            try:
                self.keeper.keep(event, verdict, recording, self.trouble)
            except (OSError, RuntimeError, ValueError) as error:  # judging goes on
                self.trouble("kept", f"the clip of {event['id']} is not kept: {error}")
        if self.report is not None:
            try:
                self.report.judged(event, verdict, recording)
            except (OSError, RuntimeError, ValueError) as error:
                self.trouble("report", f"the clip of {event['id']} is not shown: {error}")

    def refresh(self, *, at_end: bool = False) -> None:
        """Write the page, if it is time; nothing waits for it that is to be told.

        Args:
            at_end: whether it is the last time.
        """
        if self.report is None or not (at_end or self.report.is_due()):
            return
        try:
            self.report.write()
        except (OSError, ValueError) as error:  # the next time, perhaps
            if str(error) != self._told_of_page:
                self.trouble("report", f"the page is as it was: {error}")
            self._told_of_page = str(error)
        else:
            if self._told_of_page:
                self.trouble("report", "the page is written again")
            self._told_of_page = ""

    def trouble(self, about: str, what: str) -> None:
        """Remember, from any thread, something that has to be told."""
        self._troubles.put((about, what))

    def troubles(self) -> Iterator[tuple[str, str]]:
        """Return what there is to tell, each thing once: what it is about, and what happened."""
        with suppress(queue.Empty):
            while True:
                yield self._troubles.get_nowait()

    def flush(self) -> None:
        """Deliver what is soon delivered; what stays in the queue is told."""
        while self.couriers:
            self.couriers.pop().close(self.flush_s)

    def close(self) -> None:
        """End; what waits stays in the queues."""
        self.flush()
        if self.file is not None:
            self.file.close()

    def _write(self, file: EventFile, line: str) -> None:
        try:
            file.write(line)
        except OSError as error:
            reason = f"events cannot be written to the file: {error.strerror}"
            if reason != self._told_of_file:
                self.trouble("output", reason)
            self._told_of_file = reason
        else:
            if self._told_of_file:
                self.trouble("output", "events are written to the file again")
            self._told_of_file = ""


def open_outputs(
    options: OutputOptions,
    detector: Detector,
    folder: Path,
    *,
    place: str = "",
    is_stream: bool = False,
) -> Outputs:
    """Open what was asked for.

    Args:
        options: what was asked for.
        detector: what judges.
        folder: where it is.
        place: what is watched, in words.
        is_stream: whether that is sound without files.

    Raises:
        InputError: an option cannot be used, or a file not be written.
    """
    outputs = Outputs(selected=selection(options.send), flush_s=options.flush_s)
    try:
        for name, receiver in _receivers(options, outputs):
            waits_in = queue_folder(options.queue, folder)
            waiting = EventQueue(waits_in / f"{name}.db", limit_bytes=int(options.queue_mb * _MB))
            outputs.couriers.append(Courier(name, waiting, receiver, outputs.trouble))
        if options.output is not None:
            outputs.file = _opened(options.output)
        kept = kept_folder(options.kept, folder) if options.kept_clips else None
        if kept is not None:
            outputs.keeper = Keeper(
                KeptClips(kept),
                detector.description,
                most_clips=options.kept_clips,
                most_bytes=int(options.kept_mb * _MB),
            )
        if options.report is not None:
            from anomalous_sound.command.watch.report import Report

            outputs.report = Report(
                *(options.report, place, detector),
                most_clips=options.report_clips,
                every_s=options.report_every_s,
                is_stream=is_stream,
                kept=kept,
            )
    except BaseException:
        outputs.flush_s = 0.0
        outputs.close()
        raise
    return outputs


def _receivers(options: OutputOptions, outputs: Outputs) -> Iterator[tuple[str, Receiver]]:
    if options.webhook is not None:
        from anomalous_sound.delivery.webhook import Webhook

        address = web_address(options.webhook, "--webhook")
        token = secret(TOKEN, options.token_file, "--token-file")
        if token is not None and address.is_overheard:
            outputs.trouble("webhook", f"the token goes to {address.shown} unencrypted")
        yield "webhook", Webhook(address, token)
    if options.mqtt is not None:
        from anomalous_sound.delivery.broker import Broker

        address = broker_address(options.mqtt, "--mqtt")
        user = os.environ.get(MQTT_USER)
        password = secret(MQTT_PASSWORD, options.mqtt_password_file, "--mqtt-password-file")
        if password is not None and user is None:
            raise InputError(f"--mqtt: there is a password and no user; give {MQTT_USER}.")
        if password is not None and address.is_overheard:
            outputs.trouble("mqtt", f"the password goes to {address.shown} unencrypted")
        yield "mqtt", Broker(address, user, password)


def _opened(path: Path) -> EventFile:
    try:
        return EventFile(path)
    except OSError as error:
        raise InputError(
            f"--output {path} cannot be written: {error.strerror}; give a file in a folder that "
            "is there."
        ) from None
