"""The page of a watch is written while it goes on, whole, and within bounds."""

import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from elements import Elements, content
from support import RATE, noise

from anomalous_sound import Detector
from anomalous_sound.command.app import main
from anomalous_sound.command.watch import report
from anomalous_sound.command.watch.outputs import Outputs
from anomalous_sound.command.watch.report import Report
from anomalous_sound.corpus.decode import Recording
from anomalous_sound.decision.verdict import Signal, Verdict
from anomalous_sound.delivery.event import new_event
from anomalous_sound.errors import InputError
from anomalous_sound.vocabulary import Decision

pytestmark = pytest.mark.slow  # a detector is trained


@pytest.fixture
def detector_folder(simulated_run):
    return simulated_run.data("06_models/slider/lstm/detector")


@pytest.fixture
def detector(detector_folder):
    return Detector.load(detector_folder)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def written(tmp_path, detector, clock):
    return Report(
        *(tmp_path / "watch.html", "/in", detector),
        most_clips=4,
        every_s=60.0,
        is_stream=True,
        kept=tmp_path / "kept",
        clock=clock,
    )


def verdict(score, machine_id="00", decision=Decision.ANOMALOUS):
    return Verdict(
        *(score, 1.0, decision, 0.1, (), ()),
        machine_id=machine_id,
        signal=Signal(duration_s=1.0, full_scale_share=0.0, constant_s=0.0),
    )


def hear(written, number, score, machine_id="00", decision=Decision.ANOMALOUS):
    """Have it hear a segment, and tell of it; return its event."""
    event = new_event("verdict", {"sensor": []}) | {"id": f"id-{number:03}"}
    sound = Recording(noise(number).astype(np.float32), RATE)
    written.judged(event, verdict(score, machine_id, decision), sound)
    written.told(event, "")
    return event


def page(written):
    return Elements(written._path.read_text(encoding="utf-8"))


def shown(written):
    """Return the clips on the page, in their order."""
    written.write()
    text = page(written).text
    return [int(one.split()[0]) for one in text.split("anomalous-sound feedback id-")[1:]]


def test_the_newest_and_the_worst_are_shown_and_no_more(written):
    scores = [5.0, 1.0, 9.0, 2.0, 7.0, 3.0, 4.0, 1.5]
    for number, score in enumerate(scores):
        hear(written, number, score)
    # the newest two, and of the six before them those with 9 and 7
    assert shown(written) == [7, 6, 4, 2]
    text = page(written).text
    assert "4 of 8 segments that were called anomalous, the newest first. They are the" in text
    assert "Heard8 s of sound in 8 segments" in text
    assert "8 of 8 segments anomalous" in text
    assert len(page(written).all("audio")) == 4


def test_all_are_shown_while_there_is_room(written):
    for number in range(4):
        hear(written, number, 2.0)
        hear(written, 10 + number, 0.5, decision=Decision.NORMAL)
    assert shown(written) == [3, 2, 1, 0]
    assert "All segments that were called anomalous, the newest first." in page(written).text
    assert "4 of 8 segments anomalous" in page(written).text


PROMISE = {
    "false_alarm_every_s": 86400.0 * 30,
    "proven": True,
    "said": ["A rule.", "What it rests on."],
}


def test_clips_of_alarms_come_first_and_stay(written):
    written.told(new_event("promise", PROMISE), "")
    for number, score in enumerate([2.0, 2.5, 9.0]):
        hear(written, number, score)
    hear(written, 3, 3.0, machine_id="02")
    alarm = {"machine_id": "00", "votes": 2}  # the last two of machine ID 00
    written.told(new_event("alarm", alarm), "ALARM: here")
    for number in range(4, 8):
        hear(written, number, 8.0)
    # the newest two, and of the older ones those of the alarm, whatever the scores of others
    assert shown(written) == [2, 1, 7, 6]
    text = page(written).text
    assert "1 alarm (on now: machine ID 00)" in text
    assert "those of alarms first, then the newest" in text
    assert "at most one false alarm in 30 days of each machine ID" in text
    assert "A rule. What it rests on." in text
    assert text.count("anomalous alarm") == 2
    written.told(new_event("recovered", {"machine_id": "00"}), "recovered: here")
    assert shown(written) == [2, 1, 7, 6]
    assert "1 alarm; " in page(written).text


def test_without_a_rule_the_thresholds_promise_is_told(written, detector):
    written.write()
    rate = detector.thresholds.false_alarm_rate
    promised = "no false-alarm rate" if rate is None else f"at most {rate:.1%} false alarms"
    assert f"Promised{promised}" in page(written).text
    written.told(new_event("promise", {"false_drift_every_s": 86400.0, "said": ["Drift."]}), "")
    written.write()
    text = page(written).text
    assert f"Promised{promised}" in text
    assert "at most one false drift in 24 h" in text
    assert "no drift" in text


def test_it_is_written_no_more_often_than_asked_and_only_if_there_is_news(written, clock):
    assert written._path.is_file()  # from the start on
    clock.now = 1000.0
    assert not written.is_due()
    hear(written, 0, 0.5, decision=Decision.NORMAL)
    assert not written.is_due()
    hear(written, 1, 2.0)
    assert written.is_due()
    written.write()
    hear(written, 2, 2.0)
    clock.now += 59.0
    assert not written.is_due()
    clock.now += 1.0
    assert written.is_due()
    written.write()
    clock.now += 60.0
    assert not written.is_due()
    written.told(new_event("heartbeat", {}), "")
    assert written.is_due()


def test_what_happened_is_listed_up_to_a_bound(written, monkeypatch):
    for number in range(report._LISTED + 50):
        values = {"kind": "stall", "machine_id": ""}
        written.told(new_event("sensor", values), f"SENSOR stall {number}")
    written.told(new_event("suppressed", {}), "suppressed: never listed")
    written.write()
    text = page(written).text
    assert f"the last {report._LISTED} of {report._LISTED + 50}" in text
    assert f"SENSOR stall {report._LISTED + 49}" in text
    assert "SENSOR stall 49 " not in text
    assert "never listed" not in text
    assert f"{report._LISTED + 50} sensor events (stall {report._LISTED + 50})" in text


def test_a_page_that_cannot_be_written_is_told_once_and_stays_as_it_was(written, monkeypatch):
    outputs = Outputs(report=written)
    before = written._path.read_bytes()

    def full(path):
        raise InputError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(report, "replaced_file", full)
        outputs.refresh(at_end=True)
        outputs.refresh(at_end=True)
    assert list(outputs.troubles()) == [("report", "the page is as it was: the disk is full")]
    assert written._path.read_bytes() == before
    written.told(new_event("end", {"reason": "it was stopped"}), "")
    outputs.refresh(at_end=True)
    assert list(outputs.troubles()) == [("report", "the page is written again")]
    assert "it was stopped" in page(written).text


def test_a_clip_that_has_gone_is_told_and_counted(written, tmp_path):
    outputs = Outputs(report=written)
    event = new_event("verdict", {"sensor": []})
    gone = replace(verdict(2.0), source=tmp_path / "gone.wav")
    outputs.judged(event, gone, None)
    ((about, what),) = outputs.troubles()
    assert about == "report" and f"the clip of {event['id']} is not shown" in what
    assert shown(written) == []
    assert "1 of 1 segments anomalous" in page(written).text


@pytest.mark.parametrize("place", ["", "nowhere/watch.html"])
def test_a_place_that_cannot_be_written_is_said_at_once(detector_folder, tmp_path, place):
    arguments = ["watch", tmp_path, "--detector", detector_folder, "--report", tmp_path / place]
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 2
    assert "cannot be written; give a file in a folder that is there" in done.stderr


def stream_of(simulated_run, *patterns):
    """Return test clips one after the other, as samples of 16 bits."""
    folder = simulated_run.data("01_raw/simulated/slider/test")
    paths = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    sounds = [soundfile.read(path, dtype="int16")[0] for path in paths]
    return np.concatenate(sounds).astype("<i2"), len(paths)


def test_a_simulated_stream_becomes_a_page(simulated_run, detector, detector_folder, tmp_path):
    samples, count = stream_of(simulated_run, "normal_id_00_*.wav", "anomaly_id_00_*.wav")
    options = {
        **{"--rate": RATE, "--segment": 2, "--machine-id": "00", "--kept": tmp_path / "kept"},
        **{"--false-alarm-every": "2min", "--independent-after": "2s", "--rate": RATE},
        **{"--detector": detector_folder, "--report": tmp_path / "watch.html"},
    }
    arguments = ["watch", "-", *(part for pair in options.items() for part in pair)]
    done = CliRunner().invoke(main, list(map(str, arguments)), input=samples.tobytes())
    assert done.exit_code in (0, 1), done.output
    page = Elements((tmp_path / "watch.html").read_text(encoding="utf-8"))
    anomalous = done.stdout.count("  anomalous: ")
    assert anomalous
    assert f"Heard{2 * count} s of sound in {count} segments" in page.text
    alarms = done.stdout.count("ALARM: ")
    assert f"Alarms{alarms or 'no'} alarm" in page.text
    assert f"{anomalous} of {count} segments anomalous by themselves" in page.text
    assert "at most one false alarm in 2 min of each machine ID" in page.text
    assert "The watch ended at" in page.text and "there is nothing more to judge" in page.text
    assert "trained on simulated data" in page.text
    players = page.all("audio")
    assert len(players) == anomalous
    # what is heard is what was kept
    kept = sorted((tmp_path / "kept" / "new").iterdir())
    ids = [one.split()[0] for one in page.text.split("anomalous-sound feedback ")[1:]]
    assert sorted(ids) == [folder.name for folder in kept]
    sound, rate = soundfile.read(content(players[0]["src"]))
    wanted, _ = soundfile.read(tmp_path / "kept" / "new" / ids[0] / f"{ids[0]}.wav")
    assert rate == RATE
    gain = np.abs(sound).max() / np.abs(wanted).max()
    np.testing.assert_allclose(sound, gain * wanted, atol=2 / 2**15)


def test_the_page_is_there_while_the_watch_goes_on(simulated_run, detector_folder, tmp_path):
    folder, target = tmp_path / "in", tmp_path / "watch.html"
    shutil.copytree(simulated_run.data("01_raw/simulated/slider/test"), folder)
    quick = ("--settled-after", 0, "--interval", 0.1, "--report-every", 0, "--heartbeat", 0.5)
    arguments = ["watch", folder, "--detector", detector_folder, *quick]
    arguments += ["--kept", tmp_path / "kept", "--report", target, "--report-clips", 2]
    running = subprocess.Popen(
        [sys.executable, "-m", "anomalous_sound.command", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    for _ in range(600):
        if target.exists() and "in 12 segments" in target.read_text(encoding="utf-8"):
            break
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.1)
    going_on = Elements(target.read_text(encoding="utf-8"))
    assert "the watch goes on" in going_on.text
    assert len(going_on.all("audio")) <= 2
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert "the watch goes on" in Elements(target.read_text(encoding="utf-8")).text


def test_what_the_page_needs_is_named(monkeypatch, tmp_path, detector):
    def absent(name):
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(report, "import_module", absent)
    with pytest.raises(InputError, match=r"--report needs jinja2, .*'anomalous-sound\[report\]'"):
        Report(
            *(tmp_path / "watch.html", "/in", SimpleNamespace()),
            most_clips=4,
            every_s=60.0,
            is_stream=True,
            kept=None,
        )
