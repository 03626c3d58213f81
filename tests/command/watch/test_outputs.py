"""What a watch hears reaches a receiver: all of it, in order, though either of them is killed."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner
from event_receiver import EventReceiver
from mosquitto import MOSQUITTO, Mosquitto

from anomalous_sound import Detector
from anomalous_sound.command.app import main
from anomalous_sound.command.lines import printable
from anomalous_sound.command.watch.output_options import _SENT
from anomalous_sound.command.watch.outputs import Outputs
from anomalous_sound.command.watch.watching import Sensor, Watch
from anomalous_sound.delivery.event import DEFAULT
from anomalous_sound.delivery.log_file import EventFile

SECRET = "s3cret-t0ken"


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = EventReceiver()
    yield server
    server.stop()


@pytest.fixture
def detector_folder(simulated_run, tmp_path):
    folder = tmp_path / "models" / "detector"
    shutil.copytree(simulated_run.data("06_models/slider/lstm/detector"), folder)
    return folder


@pytest.fixture
def recordings_folder(simulated_run, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(simulated_run.data("01_raw/simulated/slider/test"), folder)
    return folder


QUICK = ("--json", "--settled-after", 0, "--interval", 0.1)


def watch(detector_folder, folder, *options):
    arguments = ["watch", folder, "--detector", detector_folder, *QUICK, *options]
    return CliRunner().invoke(main, list(map(str, arguments)))


def start(detector_folder, folder, *options):
    arguments = ["watch", folder, "--detector", detector_folder, *QUICK, *options]
    return subprocess.Popen(
        [sys.executable, "-m", "anomalous_sound.command", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def events(lines, *names):
    found = [json.loads(line) for line in lines]
    return [one for one in found if not names or one["event"] in names]


def empty(tmp_path):
    folder = tmp_path / "nothing"
    folder.mkdir(exist_ok=True)
    return folder


def everything_in(folder):
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_watch_that_is_killed_loses_nothing(
    detector_folder, recordings_folder, receiver, tmp_path, monkeypatch
):
    monkeypatch.setenv("ANOMALOUS_SOUND_TOKEN", SECRET)
    receiver.always = 503
    output = tmp_path / "events.jsonl"
    options = ("--webhook", receiver.url, "--send", "verdict", "--output", output)
    options += ("--queue", tmp_path / "queue", "--kept", tmp_path / "kept")
    running = start(detector_folder, recordings_folder, *options)
    told = []
    while len(events(told, "verdict")) < 12:
        told.append(running.stdout.readline())
    os.kill(running.pid, signal.SIGKILL)
    rest, errors = running.communicate()
    told += rest.splitlines()
    assert errors == b""
    assert receiver.taken == []
    receiver.plan = [204, 204, 500, "drop"]
    receiver.always = 204
    again = watch(detector_folder, empty(tmp_path), *options, "--once", "--flush-for", 60)
    assert again.exit_code == 3  # nothing was judged
    sent = events(told, "verdict")
    assert receiver.taken == sent  # the same, in order
    tried = [headers["Idempotency-Key"] for headers, _, _ in receiver.requests]
    assert set(tried) == {event["id"] for event in sent}  # tried again by the same ID
    assert tried[-12:] == [sent[2]["id"]] * 2 + [event["id"] for event in sent[2:]]
    assert "events of an earlier run: 12; they are delivered first" in again.stdout
    assert events(output.read_text().splitlines()) == events([*told, *again.stdout.splitlines()])
    assert all(
        headers["Authorization"] == f"Bearer {SECRET}" for headers, _, _ in receiver.requests
    )
    shown = b"".join(told) + again.output.encode() + everything_in(tmp_path)
    assert SECRET.encode() not in shown


@pytest.mark.slow
def test_judging_does_not_wait_for_a_server_that_hangs(
    detector_folder, recordings_folder, receiver, tmp_path
):
    receiver.always = "hang"
    options = ("--webhook", receiver.url, "--send", "verdict,end")
    done = watch(detector_folder, recordings_folder, *options, "--once", "--flush-for", 0)
    assert done.exit_code == 1
    found = events(done.stdout.splitlines())
    told = [one for one in found if one["event"] in ("verdict", "end")]
    assert [one["event"] for one in told] == ["verdict"] * 12 + ["end"]
    assert len(receiver.requests) == 1  # all this while the first was on its way
    assert receiver.taken == []
    (stays,) = [one for one in found if "that stay in the queue" in one.get("reason", "")]
    assert (
        stays["reason"].startswith("events that stay in the queue: 13;")
        and stays["about"] == "webhook"
    )
    assert (detector_folder.parent / "queue" / "webhook.db").stat().st_mode & 0o777 == 0o600
    receiver.always = 200
    receiver.released.set()
    receiver.wait_for(lambda one: len(one.requests) == 1)
    done = watch(
        detector_folder, empty(tmp_path), *options[:2], "--once", "--flush-for", 60, "--queue-mb", 1
    )
    assert receiver.taken == told


@pytest.mark.slow
def test_a_watch_that_begins_again_goes_on(detector_folder, recordings_folder, receiver):
    options = ("--webhook", receiver.url, "--send", "verdict", "--resume", "--once")
    options += ("--flush-for", 60)
    watch(detector_folder, recordings_folder, *options)
    assert len(receiver.taken) == 12
    path = min(recordings_folder.glob("*.wav"))
    shutil.copy(path, recordings_folder / f"new_{path.name}")
    watch(detector_folder, recordings_folder, *options)
    assert [event["source"] for event in receiver.taken[12:]] == [
        str(recordings_folder / f"new_{path.name}")
    ]


@pytest.mark.slow
@pytest.mark.skipif(MOSQUITTO is None, reason="no mosquitto is installed")
def test_events_reach_a_real_broker(detector_folder, recordings_folder, tmp_path):
    pytest.importorskip("paho.mqtt.client", reason="anomalous-sound[mqtt] is not installed")
    server = Mosquitto(tmp_path)
    server.listen(topic="press")
    options = ("--mqtt", f"mqtt://127.0.0.1:{server.port}/press", "--send", "verdict")
    done = watch(detector_folder, recordings_folder, *options, "--once", "--flush-for", 60)
    told = [line for line in done.stdout.splitlines() if '"event": "verdict"' in line]
    assert len(told) == 12
    assert [server.next() for _ in told] == [("press", line, 1) for line in told]
    server.stop()


@pytest.mark.slow
def test_a_broker_that_is_away_is_told(detector_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("ANOMALOUS_SOUND_MQTT_USER", "press")
    monkeypatch.setenv("ANOMALOUS_SOUND_MQTT_PASSWORD", SECRET)
    options = ("--mqtt", "mqtt://127.0.0.1:1/press", "--send", "end", "--flush-for", 0, "--once")
    done = watch(detector_folder, tmp_path, *options)
    assert done.exit_code == 3
    assert "events that stay in the queue: 1;" in done.stdout
    assert SECRET.encode() not in done.output.encode() + everything_in(tmp_path)
    monkeypatch.delenv("ANOMALOUS_SOUND_MQTT_USER")
    done = watch(detector_folder, tmp_path, *options)
    assert "there is a password and no user; give ANOMALOUS_SOUND_MQTT_USER" in done.stderr


@pytest.mark.slow
def test_only_what_is_selected_is_sent(detector_folder, recordings_folder, receiver):
    (recordings_folder / "broken_id_00_1.wav").write_bytes(b"RIFF")
    options = ("--webhook", receiver.url, "--once", "--flush-for", 60, "--unreadable-after", 0)
    done = watch(detector_folder, recordings_folder, *options)
    expected = [
        one
        for one in events(done.stdout.splitlines(), "verdict", "sensor", "sensor_well")
        if one.get("decision") != "normal"
    ]
    assert {"verdict", "sensor"} <= {one["event"] for one in expected}
    assert receiver.taken == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--webhook", "ftp://host/a"), "it must begin with http:// or https://"),
        (("--webhook", f"http://user:{SECRET}@host/"), "holds a user name or a password"),
        (("--mqtt", "mqtt://host"), "names no topic"),
        (("--send", "alarms"), "--send names 'alarms'; accepted: alarm, "),
        (("--output", "/nowhere/events.jsonl"), "cannot be written: No such file"),
        (("--webhook", "http://host/", "--token-file", "/nowhere/token"), "cannot be read"),
    ],
)
def test_what_cannot_be_used_is_said_at_once(detector_folder, tmp_path, options, message):
    done = watch(detector_folder, tmp_path, *options, "--once")
    assert done.exit_code == 2
    assert message in done.stderr
    assert SECRET not in done.output


@pytest.mark.slow
def test_a_token_that_can_be_overheard_is_told(detector_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("ANOMALOUS_SOUND_TOKEN", SECRET)
    options = ("--webhook", "http://nowhere.invalid/", "--once", "--flush-for", 0)
    done = watch(detector_folder, tmp_path, *options)
    assert "the token goes to http://nowhere.invalid:80 unencrypted" in done.stdout
    assert SECRET not in done.output


def test_the_default_selection_is_one(tmp_path):
    assert tuple(_SENT.split(",")) == DEFAULT


class Nobody:
    def model_dump(self, mode):
        return {}


def told_by(outputs, *, as_json=True):
    lines = []
    options = {"as_json": as_json, "stalled_after_s": 10.0, "heartbeat_s": 1e9}
    return Watch(Nobody(), lines.append, outputs, **options), lines


def test_a_file_that_cannot_be_written_is_told_once_and_then_that_it_can(tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    watched, lines = told_by(Outputs(file=EventFile(folder / "events.jsonl")))
    watched.sensor(Sensor.STALL, tmp_path, "a")
    folder.rename(tmp_path / "gone")
    for text in "bc":
        watched.sensor(Sensor.STALL, tmp_path, text)
    (tmp_path / "gone").rename(folder)
    watched.sensor(Sensor.STALL, tmp_path, "d")
    found = [(one["event"], one["reason"]) for one in events(lines)]
    assert found == [
        *(("sensor", "a"), ("sensor", "b")),
        ("notice", "events cannot be written to the file: No such file or directory"),
        *(("sensor", "c"), ("sensor", "d")),
        ("notice", "events are written to the file again"),
    ]
    written = (folder / "events.jsonl").read_text().splitlines()
    assert written == [
        line for line in lines if json.loads(line)["reason"] not in ("b", "c", found[2][1])
    ]


def test_no_name_breaks_a_line(tmp_path):
    for as_json in (True, False):
        watched, lines = told_by(Outputs(), as_json=as_json)
        watched.sensor(
            Sensor.UNREADABLE, tmp_path / "a\nverdict: normal\x1b[2J\udcff.wav", "b\r\nc"
        )
        (line,) = lines
        assert line.isprintable()
    assert printable("0.5–1 s, µ") == "0.5–1 s, µ"


@pytest.mark.slow
def test_a_verdict_names_its_id_to_people(detector_folder, recordings_folder):
    arguments = ["watch", recordings_folder, "--detector", detector_folder, *QUICK[1:], "--once"]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    lines = [line for line in done.stdout.splitlines() if "anomalous: " in line]
    kept = {path.name for path in (detector_folder.parent / "kept" / "new").iterdir()}
    ids = {line.rpartition("; id ")[2] for line in lines if "score" in line}
    assert ids == kept
    for path in (detector_folder.parent / "kept" / "new").iterdir():
        event = json.loads((path / "event.json").read_text())
        again = Detector.load(detector_folder).judge_file(
            path / f"{path.name}.wav", machine_id=event["machine_id"]
        )
        assert (again.score, again.decision) == (event["score"], "anomalous")
