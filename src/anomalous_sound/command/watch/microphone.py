"""Judge what a microphone of this machine hears, segment by segment."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from anomalous_sound.command.watch.stream import judged, recorded
from anomalous_sound.command.watch.watching import Watch
from anomalous_sound.decision.detector import Detector
from anomalous_sound.decision.sensor import Sensor
from anomalous_sound.errors import InputError

_BYTES = 2  # of a sample
_BLOCKS = 10  # a second
_WAITING_S = 60.0  # of sound that may wait to be judged
_PATIENCE_S = 1.0  # from one look at the clock to the next
_LOST_AFTER_S = 5.0  # without a sample
_RETRY_S = 5.0


class DeviceLostError(Exception):
    """Nothing more comes from a device."""


def sound_library() -> Any:
    """Return the module ``sounddevice``.

    Raises:
        InputError: it, or the library that it stands on, is not installed.
    """
    try:
        import sounddevice
    except ImportError:
        raise InputError(
            "a microphone needs a library that is not installed: pip install "
            "'anomalous-sound[device]'."
        ) from None
    except OSError as error:
        raise InputError(
            f"a microphone needs PortAudio ({error}); install it, such as with apt-get install "
            "libportaudio2."
        ) from None
    return sounddevice


def list_devices() -> list[str]:
    """Return a line for each device that can record.

    Raises:
        InputError: the library is not installed.
    """
    rows = [
        f"{device['index']:>3}  {device['name']}  ({device['max_input_channels']} channels, "
        f"{device['default_samplerate']:.0f} Hz)"
        for device in sound_library().query_devices()
        if device["max_input_channels"] > 0
    ]
    return rows or ["no device here can record"]


class Microphone:
    """A device that records, one channel of 16 bits."""

    def __init__(self, name: str) -> None:
        """Look for the device.

        Args:
            name: its number or a part of its name; empty: the system's.

        Raises:
            InputError: the library is not installed, or there is no such device.
        """
        self._library = sound_library()
        self._device = int(name) if name.isdecimal() else name or None
        self.place = Path(f"device {name or 'default'}")
        try:
            self._default_rate = int(self._about()["default_samplerate"])
        except (ValueError, self._library.PortAudioError) as error:
            raise InputError(
                f"--device {name}: {error}; see which there are: anomalous-sound watch "
                "--list-devices."
            ) from None

    def sample_rate(self, wanted: int) -> int:
        """Return a rate that it can record at, Hz: the one that is wanted, or else its own."""
        try:
            self._library.check_input_settings(
                device=self._device, channels=1, dtype="int16", samplerate=wanted
            )
        except (ValueError, self._library.PortAudioError):
            return self._default_rate
        return wanted

    @contextmanager
    def blocks(self, sample_rate: int) -> Iterator[Callable[[], tuple[bytes, bool]]]:
        """Record; give a function that returns the next samples.

        It returns the samples, and whether some before them were lost. It raises ``queue.Empty`` if
        none come for a moment, and :class:`DeviceLostError` if no more can come.
        """
        waiting: queue.Queue[tuple[bytes, bool]] = queue.Queue(int(_WAITING_S * _BLOCKS))
        gaps = [False]

        def called(samples: Any, _: int, __: object, status: Any) -> None:
            gaps[0] |= bool(status.input_overflow)
            try:
                waiting.put_nowait((bytes(samples), gaps[0]))
            except queue.Full:
                gaps[0] = True
            else:
                gaps[0] = False

        try:
            with self._library.RawInputStream(
                device=self._device,
                channels=1,
                dtype="int16",
                samplerate=sample_rate,
                blocksize=sample_rate // _BLOCKS,
                callback=called,
            ) as stream:

                def following() -> tuple[bytes, bool]:
                    try:
                        return waiting.get(timeout=_PATIENCE_S if stream.active else 0)
                    except queue.Empty:
                        if not stream.active:
                            raise DeviceLostError("it has stopped") from None
                        raise

                yield following
        except (ValueError, self._library.PortAudioError) as error:
            raise DeviceLostError(str(error)) from None

    def look_again(self) -> None:
        """Let the library find out which devices there are now: it looks only when it begins."""
        with suppress(self._library.PortAudioError):
            self._library._terminate()
        with suppress(self._library.PortAudioError):
            self._library._initialize()

    def _about(self) -> Any:
        return self._library.query_devices(self._device, "input")


def watch_device(
    detector: Detector,
    microphone: Microphone,
    watch: Watch,
    *,
    sample_rate: int,
    segment: int,
    machine_id: str | None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Judge what a microphone hears, until it is interrupted; memory does not grow.

    If the device is lost, that is told, and it is looked for until it is back.

    Args:
        detector: what judges.
        microphone: the device.
        watch: what is told of verdicts and sensors.
        sample_rate: to record at, Hz.
        segment: length of a segment, samples.
        machine_id: of the machine.
        sleep: waits, s.
        clock: tells the time, s.
    """
    listener = _Listener(detector, microphone.place, watch, sample_rate, segment, machine_id)
    is_lost = False
    while not watch.is_over:
        try:
            with microphone.blocks(sample_rate) as following:
                last = clock()
                while not watch.is_over:
                    try:
                        block, is_gap = following()
                    except queue.Empty:
                        if clock() - last >= _LOST_AFTER_S:
                            raise DeviceLostError("no samples come from it") from None
                    else:
                        last = clock()
                        watch.back(Sensor.GONE)
                        is_lost = False
                        listener.hear(block, is_gap)
                    watch.beat(0)
                    watch.check_stall(microphone.place)
        except DeviceLostError as error:
            listener.forget()
            if not is_lost:
                listener.tell(Sensor.GONE, f"{error}; it is looked for")
                is_lost = True
        watch.beat(0)
        watch.check_stall(microphone.place)
        sleep(_RETRY_S)
        microphone.look_again()


class _Listener:
    """Puts blocks of samples together to segments."""

    def __init__(
        self,
        detector: Detector,
        place: Path,
        watch: Watch,
        sample_rate: int,
        segment: int,
        machine_id: str | None,
    ) -> None:
        self._detector, self._place, self._watch = detector, place, watch
        self._sample_rate, self._segment, self._machine_id = sample_rate, segment, machine_id
        self._samples, self._heard = b"", 0

    def hear(self, block: bytes, is_gap: bool) -> None:
        """Take a block; judge the segments that are complete with it."""
        self._watch.heard()
        if is_gap:
            self.forget()  # it does not belong to what follows
            self.tell(Sensor.GAP, "samples were lost: they come faster than they are judged")
        self._samples += block
        self._heard += len(block) // _BYTES
        size = self._segment * _BYTES
        while len(self._samples) >= size:
            segment = np.frombuffer(self._samples[:size], dtype="<i2")
            start = self._heard - len(self._samples) // _BYTES
            self._samples = self._samples[size:]
            result = judged(
                *(self._detector, segment, self._sample_rate, start / self._sample_rate),
                *(self._machine_id, self._place),
            )
            self._watch.result(result, recording=recorded(segment, self._sample_rate))

    def forget(self) -> None:
        """Leave out the segment that was begun."""
        self._samples = b""

    def tell(self, kind: Sensor, what: str) -> None:
        """Tell what is wrong with the device."""
        self._watch.sensor(kind, self._place, what, self._heard / self._sample_rate)
