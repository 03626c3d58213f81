"""A microphone is judged segment by segment; if it is lost, that is told, and it is found again.

The sound card is a pretended one: this was never tried with a real one.
"""

import json
import queue
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from anomalous_sound.command.app import main
from anomalous_sound.command.watch.microphone import Microphone, watch_device
from anomalous_sound.command.watch.watching import Watch
from anomalous_sound.decision.verdict import Verdict
from anomalous_sound.errors import InputError
from anomalous_sound.vocabulary import Decision

RATE = 100
WELL, LOST = SimpleNamespace(input_overflow=False), SimpleNamespace(input_overflow=True)


class Card:
    """Stands for the module ``sounddevice``; each opening plays the next of its sessions."""

    class PortAudioError(Exception):
        pass

    def __init__(self):
        self.sessions, self.opened, self.looked = [], [], 0
        self.rates = {RATE}
        self.devices = [
            {"index": 0, "name": "HDMI", "max_input_channels": 0, "default_samplerate": 44100.0},
            {"index": 1, "name": "USB mic", "max_input_channels": 2, "default_samplerate": 48000.0},
        ]

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return self.devices
        for one in self.devices:
            if one["max_input_channels"] and (
                device in (None, one["index"]) or device in one["name"]
            ):
                return one
        raise ValueError(f"No input device matching {device!r}")

    def check_input_settings(self, *, device, channels, dtype, samplerate):
        if samplerate not in self.rates:
            raise self.PortAudioError("Invalid sample rate")

    def _terminate(self):
        self.looked += 1

    def _initialize(self):
        pass

    def RawInputStream(self, *, callback, **options):  # noqa: N802
        self.opened.append(options)
        if not self.sessions:
            raise KeyboardInterrupt
        session = self.sessions.pop(0)
        if isinstance(session, str):
            raise self.PortAudioError(session)
        return Stream(session, callback)


class Stream:
    def __init__(self, session, callback):
        self._session, self._callback = session, callback

    def __enter__(self):
        for samples, status in self._session:
            self._callback(memoryview(samples.astype("<i2").tobytes()), len(samples), None, status)
        self.active = self._session.silent if hasattr(self._session, "silent") else False
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def card(monkeypatch):
    made = Card()
    monkeypatch.setitem(sys.modules, "sounddevice", made)
    return made


class Hearing:
    """A detector that finds everything normal, and remembers it."""

    def __init__(self):
        self.heard = []

    def judge(self, samples, sample_rate, machine_id):
        self.heard.append((np.rint(samples * 2**15).astype(int).tolist(), sample_rate, machine_id))
        return Verdict(0.1, 0.2, Decision.NORMAL, 1.0, (), ())

    def model_dump(self, mode):
        return {}


def run(card, *, clock=lambda: 0.0, segment=4):
    lines, slept, detector = [], [], Hearing()
    options = {"as_json": True, "stalled_after_s": 1e9, "heartbeat_s": 1e9}
    watch = Watch(detector, lines.append, **options)
    with pytest.raises(KeyboardInterrupt):
        watch_device(
            *(detector, Microphone("USB"), watch),
            **{"sample_rate": RATE, "segment": segment, "machine_id": "00"},
            **{"sleep": slept.append, "clock": clock},
        )
    return detector.heard, [json.loads(line) for line in lines], slept


def session(*blocks):
    return [(np.array(values), status) for values, status in blocks]


def test_segments_are_put_together_from_blocks(card):
    card.sessions = [session(([1, 2, 3], WELL), ([4, 5, 6, 7, 8, 9], WELL), ([10], WELL))]
    heard, told, _ = run(card)
    assert heard == [([1, 2, 3, 4], RATE, "00"), ([5, 6, 7, 8], RATE, "00")]
    verdicts = [one for one in told if one["event"] == "verdict"]
    assert [one["start_s"] for one in verdicts] == [0.0, 0.04]
    assert {one["source"] for one in verdicts} == {"device USB"}
    assert card.opened[0] == {
        **{"device": "USB", "channels": 1, "dtype": "int16", "samplerate": RATE, "blocksize": 10}
    }


def test_a_device_that_is_lost_is_told_once_and_comes_back(card):
    card.sessions = [session(([1, 2, 3, 4, 5], WELL)), "unplugged", "unplugged"]
    card.sessions += [session(([6, 7, 8, 9], WELL))]
    heard, told, slept = run(card)
    # what was begun before is not joined with what comes after
    assert [samples for samples, _, _ in heard] == [[1, 2, 3, 4], [6, 7, 8, 9]]
    assert [(one["event"], one.get("kind"), one.get("reason")) for one in told] == [
        ("verdict", None, None),
        ("sensor", "gone", "it has stopped; it is looked for"),
        ("sensor_well", "gone", None),
        ("verdict", None, None),
        ("sensor", "gone", "it has stopped; it is looked for"),
    ]
    assert len(slept) == card.looked == 4


def test_a_device_that_goes_silent_without_a_word_is_lost(card, monkeypatch):
    monkeypatch.setattr(queue.Queue, "get", _at_once(queue.Queue.get))
    quiet = type("Quiet", (list,), {"silent": True})(session(([1, 2, 3, 4], WELL)))
    card.sessions = [quiet]
    times = iter(range(1000))
    heard, told, _ = run(card, clock=lambda: float(next(times)))
    assert len(heard) == 1
    assert told[-1]["reason"] == "no samples come from it; it is looked for"


def _at_once(get):
    return lambda self, timeout: get(self, timeout=0)


def test_samples_that_are_lost_are_told(card):
    card.sessions = [session(([1, 2, 3], WELL), ([7, 8, 9, 10], LOST))]
    heard, told, _ = run(card)
    assert [samples for samples, _, _ in heard] == [[7, 8, 9, 10]]
    assert (told[0]["event"], told[0]["kind"]) == ("sensor", "gap")
    assert "samples were lost" in told[0]["reason"]


def test_what_waits_to_be_judged_is_bounded(card):
    # more blocks than may wait come before the first is judged
    card.sessions = [session(*(([number, number], WELL) for number in range(700)))]
    heard, _, _ = run(card, segment=2)
    assert len(heard) == 600


def test_the_rate_is_one_that_the_device_has(card):
    assert Microphone("").sample_rate(RATE) == RATE
    assert Microphone("1").sample_rate(16000) == 48000


def test_what_is_missing_is_said(card, monkeypatch):
    with pytest.raises(InputError, match="--device gone: No input device .*--list-devices"):
        Microphone("gone")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InputError, match=r"pip install 'anomalous-sound\[device\]'"):
        Microphone("")


def test_devices_are_listed(card):
    done = CliRunner().invoke(main, ["watch", "--list-devices"])
    assert done.exit_code == 0, done.output
    assert done.stdout == "  1  USB mic  (2 channels, 48000 Hz)\n"
    card.devices = []
    assert (
        "no device here can record" in CliRunner().invoke(main, ["watch", "--list-devices"]).stdout
    )


def test_one_thing_is_watched(tmp_path):
    for arguments in ([], [str(tmp_path), "--device"], ["-", "--device", "USB"]):
        done = CliRunner().invoke(main, ["watch", *arguments])
        assert done.exit_code == 2
        assert "say what to watch, one of a folder, a pipe, - and --device" in done.stderr


@pytest.mark.slow
def test_the_command_judges_a_device(card, simulated_run, tmp_path):
    rng = np.random.default_rng(0)
    sound = (1000 * rng.standard_normal(64000)).astype(int)
    card.rates = {16000}
    card.sessions = [session((sound, WELL))]
    detector = simulated_run.data("06_models/slider/lstm/detector")
    arguments = ["watch", "--device", "--json", "--segment", "2", "--machine-id", "00"]
    arguments += ["--detector", str(detector), "--kept", str(tmp_path / "kept")]
    import anomalous_sound.command.watch.microphone as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_RETRY_S", 0.0)
        done = CliRunner().invoke(main, arguments)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    # noise is not this machine's sound, and says so
    kinds = [one["event"] for one in found if one.get("kind") not in ("foreign", "level")]
    assert kinds == ["verdict", "verdict", "sensor", "end"], done.output
