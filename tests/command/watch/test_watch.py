"""A watch judges what is complete, once, and says what is wrong with the sensor."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from support import RATE, noise

from anomalous_sound import Detector
from anomalous_sound.command.app import main
from anomalous_sound.command.watch.following import Follower
from anomalous_sound.command.watch.memory import Judged
from anomalous_sound.command.watch.watching import Watch
from anomalous_sound.errors import InputError


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def follower(tmp_path, clock):
    return Follower(tmp_path, settled_s=2.0, give_up_s=30.0, clock=clock)


def names(follower):
    return [(name, problem) for name, _, problem in follower.complete()]


def test_a_file_that_is_written_slowly_is_left_alone(tmp_path, write_clip, follower, clock):
    whole = write_clip(tmp_path / "elsewhere.bin", noise(1), format="WAV").read_bytes()
    path = tmp_path / "a.wav"
    for length in range(1000, len(whole), 4000):  # 1 s between the writes
        path.write_bytes(whole[:length])
        assert names(follower) == []
        clock.now += 1.0
    path.write_bytes(whole)
    assert names(follower) == []
    assert follower.waiting == 1
    clock.now += 1.9
    assert names(follower) == []
    clock.now += 0.2
    assert names(follower) == [("a.wav", "")]
    clock.now += 100
    assert names(follower) == []
    assert follower.waiting == 0


def test_a_recorder_that_pauses_within_a_file_is_waited_for(tmp_path, write_clip, follower, clock):
    whole = write_clip(tmp_path / "elsewhere.bin", noise(1), format="WAV").read_bytes()
    path = tmp_path / "a.wav"
    path.write_bytes(whole[:5000])
    for _ in range(15):  # up to 28 s, in which the size is stable and the header promises more
        assert names(follower) == []
        clock.now += 2.0
    path.write_bytes(whole)
    assert names(follower) == []
    clock.now += 2.0
    assert names(follower) == [("a.wav", "")]


def test_a_file_that_stays_unreadable_is_given_up_once(tmp_path, follower, clock):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert names(follower) == []
    clock.now += 29.0
    assert names(follower) == []
    clock.now += 1.0
    ((name, problem),) = names(follower)
    assert name == "a.wav"
    assert "cannot be decoded as audio" in problem
    clock.now += 100.0
    assert names(follower) == []


def test_files_that_are_there_can_be_passed_over(tmp_path, write_clip, follower, clock):
    write_clip(tmp_path / "a.wav")
    follower.pass_over()
    write_clip(tmp_path / "b.wav")
    names(follower)
    clock.now += 3.0
    assert names(follower) == [("b.wav", "")]
    (tmp_path / "a.wav").unlink()
    assert names(follower) == []


def test_what_was_judged_is_remembered(tmp_path, write_clip, clock):
    folder, memory = tmp_path / "in", tmp_path / "queue" / "judged.db"
    for name in ("a.wav", "b.wav", "c.wav"):
        write_clip(folder / "clip.wav").rename(folder / name)

    def follow(*judged):
        clock.now += 10.0
        options = {"settled_s": 0.0, "give_up_s": 0.0, "clock": clock}
        return Follower(folder, judged=Judged(memory, folder), **options)

    killed = follow().complete()
    assert [next(killed)[0] for _ in range(2)] == ["a.wav", "b.wav"]
    killed.close()  # while it was busy with the second
    assert names(follow()) == [("b.wav", ""), ("c.wav", "")]
    assert names(follow()) == []
    write_clip(folder / "a.wav", seed=1)
    (folder / "c.wav").unlink()
    assert names(follow()) == [("a.wav", "")]
    write_clip(folder / "c.wav")
    assert names(follow()) == [("c.wav", "")]
    # another folder with the same memory
    write_clip(tmp_path / "other" / "c.wav")
    other = Judged(memory, tmp_path / "other")
    found = Follower(tmp_path / "other", settled_s=0.0, give_up_s=0.0, judged=other)
    assert names(found) == [("c.wav", "")]
    assert names(follow()) == []
    assert memory.stat().st_mode & 0o777 == 0o600


def test_a_memory_that_is_damaged_is_told(tmp_path):
    (tmp_path / "judged.db").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match="--resume: .*judged.db cannot be used .*; move it away"):
        Judged(tmp_path / "judged.db", tmp_path)


def test_a_stall_is_told_again_and_again_and_never_counted(clock, tmp_path):
    lines = []

    class Nobody:
        def model_dump(self, mode):
            return {}

    watch = Watch(
        *(Nobody(), lines.append),
        as_json=True,
        stalled_after_s=10.0,
        heartbeat_s=4.0,
        clock=clock,
    )
    for _ in range(25):
        clock.now += 1.0
        watch.check_stall(tmp_path)
        watch.beat(0)
        if clock.now == 12.0:
            watch.heard()
    found = [json.loads(line) for line in lines]
    kinds = [(one["event"], one.get("kind"), one.get("reason")) for one in found]
    stalls = [kind for kind in kinds if kind[0] == "sensor"]
    assert stalls == [("sensor", "stall", "nothing has come for 10 s")] * 2
    assert kinds.count(("heartbeat", None, None)) == 6
    assert watch.tally.exit_code == 3


@pytest.fixture
def detector_folder(simulated_run):
    return simulated_run.data("06_models/slider/lstm/detector")


def as_loud_as_normal(detector, samples):
    """Return samples of 16 bits, as loud as the normal clips of machine ID 00."""
    level_db = np.median(detector.sound.values_db["level"]["00"])
    gain = 10 ** (level_db / 20) / np.sqrt(np.mean(samples**2))
    return np.round(gain * samples * 2**15).astype("<i2")


def start(folder, *arguments, **options):
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "anomalous_sound.command", "watch", *map(str, arguments)),
            *("--detector", str(folder), "--json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # tests that were started in the background would hand down that it is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **options,
    )


@pytest.mark.slow
@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_a_watch_judges_as_files_come_and_ends_cleanly(
    simulated_run, detector_folder, tmp_path, write_clip, ended_by
):
    path = min(simulated_run.data("01_raw/simulated/slider/test").glob("anomaly_id_00_*.wav"))
    whole, folder = path.read_bytes(), tmp_path / "in"
    write_clip(folder / "silent_id_00_1.wav", np.zeros(RATE))
    quick = ("--settled-after", 0.5, "--interval", 0.1, "--unreadable-after", 4)
    running = start(detector_folder, folder, *quick, "--heartbeat", 0.3, "--stalled-after", 1.5)
    first = json.loads(running.stdout.readline())  # it is up
    assert first["event"] in ("sensor", "heartbeat")
    with (folder / path.name).open("wb") as file:
        for begin in range(0, len(whole), 8000):
            file.write(whole[begin : begin + 8000])
            file.flush()
            time.sleep(0.15)
    (folder / "broken_id_00_1.wav").write_bytes(whole[:9000])
    found = [first]
    expected = {"verdict", "silence", "unreadable", "stall"}
    while not expected <= {one.get("kind", one["event"]) for one in found}:
        found.append(json.loads(running.stdout.readline()))
    running.send_signal(ended_by)
    rest, errors = running.communicate(timeout=60)
    assert running.returncode == 1
    assert errors == b""
    found += [json.loads(line) for line in rest.splitlines()]
    (verdict,) = [one for one in found if one["event"] == "verdict"]
    expected = Detector.load(detector_folder).judge_file(path, machine_id="00")
    assert (verdict["score"], verdict["decision"]) == (expected.score, expected.decision)
    assert verdict["source"] == str(folder / path.name)
    kinds = {one["kind"]: one["source"] for one in found if one["event"] == "sensor"}
    assert kinds["silence"] == str(folder / "silent_id_00_1.wav")
    assert kinds["unreadable"] == str(folder / "broken_id_00_1.wav")
    assert kinds["stall"] == str(folder)
    last = found[-1]
    assert last["event"] == "end"
    assert (last["normal"], last["anomalous"], last["not_judged"]) == (0, 1, 2)


@pytest.mark.slow
def test_once_judges_what_is_there(simulated_run, detector_folder, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(simulated_run.data("01_raw/simulated/slider/test"), folder)
    arguments = ["watch", str(folder), "--once", "--settled-after", "0.1", "--interval", "0.1"]
    done = CliRunner().invoke(main, [*arguments, "--detector", str(detector_folder)])
    assert done.exit_code == 1
    judged = [line for line in done.stdout.splitlines() if "SENSOR" not in line]
    assert sum("  anomalous: " in line or "  normal: " in line for line in judged) == 12
    assert "  anomalous: " in done.stdout and "  end: " in judged[-1]
    (folder / "sub").mkdir()
    arguments[1] = str(folder / "sub")
    done = CliRunner().invoke(main, [*arguments, "--detector", str(detector_folder)])
    assert done.exit_code == 3


@pytest.mark.slow
def test_raw_samples_are_judged_segment_by_segment(detector_folder, tmp_path):
    detector = Detector.load(detector_folder)
    samples = as_loud_as_normal(detector, noise(5, 9.4)[:, 0])
    samples[2 * RATE : 4 * RATE] = 0
    options = ("--rate", RATE, "--machine-id", "00", "--json")  # segments of 2 s, as its clips
    done = CliRunner().invoke(
        main,
        ["watch", "-", *map(str, options), "--detector", str(detector_folder)],
        input=samples.tobytes(),
    )
    assert done.exit_code in (0, 1)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    # noise is not this machine's sound, and says so
    found = [one for one in found if one.get("kind") != "foreign"]
    assert [(one["event"], one.get("start_s")) for one in found] == [
        *(("verdict", 0.0), ("sensor", 2.0), ("sensor_well", None)),
        *(("verdict", 4.0), ("verdict", 6.0), ("verdict", 7.4), ("end", None)),
    ]
    assert found[1]["kind"] == found[2]["kind"] == "silence"
    for one in found[:-1]:
        if one["event"] == "verdict":
            first = round(one["start_s"] * RATE)
            soundfile.write(tmp_path / "a.wav", samples[first : first + 2 * RATE], RATE)
            verdict = detector.judge_file(tmp_path / "a.wav", machine_id="00")
            assert one["score"] == verdict.score


@pytest.mark.slow
def test_a_stream_that_pauses_is_a_stall_and_no_error(detector_folder):
    options = ("--rate", RATE, "--segment", 2, "--machine-id", "00", "--stalled-after", 1)
    running = start(detector_folder, "-", *options, stdin=subprocess.PIPE)
    sound = as_loud_as_normal(Detector.load(detector_folder), noise(5, 2.0)[:, 0])
    os.write(running.stdin.fileno(), sound.tobytes())
    found = [json.loads(running.stdout.readline()) for _ in range(3)]
    assert [(one["event"], one.get("kind")) for one in found] == [
        *(("verdict", None), ("sensor", "foreign")),  # noise is not this machine's sound
        ("sensor", "stall"),
    ]
    rest, errors = running.communicate(timeout=60)
    assert errors == b""
    assert json.loads(rest.splitlines()[-1])["event"] == "end"


@pytest.mark.slow
def test_what_a_watch_needs_is_said(detector_folder, tmp_path):
    for arguments, message in [
        (["-"], "needs the sample rate of the samples: --rate HZ"),
        ([str(tmp_path / "gone")], "gone is no folder"),
    ]:
        done = CliRunner().invoke(main, ["watch", *arguments, "--detector", str(detector_folder)])
        assert done.exit_code == 2
        assert message in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        # the detector's normal clips last 2 s, and its margin is 1.25
        (("--segment", 30, "--machine-id", "00"), "no segment of 30 s at 16000 Hz can be judged"),
        (("--segment", 1, "--machine-id", "00"), "segments must last 1.6 to 2.5 s"),
        (("--segment", 0.1, "--machine-id", "00"), "no segment of 0.1 s at 16000 Hz can be judged"),
        (("--rate", 8, "--machine-id", "00"), "its sample rate is 8 Hz"),
        ((), "the machine ID is not known; give it: --machine-id ID, one of 00"),
        (("--once", "--machine-id", "00"), "--once is for a folder"),
    ],
)
def test_a_stream_of_which_nothing_could_be_decided_is_refused(detector_folder, options, message):
    arguments = ["watch", "-", "--rate", str(RATE), *map(str, options)]
    done = CliRunner().invoke(main, [*arguments, "--detector", str(detector_folder)], input=b"")
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_options_of_a_stream_are_no_options_of_a_folder(tmp_path):
    for option in ("--rate", "--segment"):
        done = CliRunner().invoke(main, ["watch", str(tmp_path), option, "5"])
        assert done.exit_code == 2
        assert f"{option} is for a stream or a microphone" in done.stderr


@pytest.mark.slow
def test_a_promise_is_told_first_or_refused(simulated_run, detector_folder, tmp_path):
    folder = simulated_run.data("01_raw/simulated/slider/test")
    quick = ("--once", "--settled-after", "0", "--interval", "0.1", "--json")
    arguments = ["watch", str(folder), "--detector", str(detector_folder), *quick]
    refused = CliRunner().invoke(main, [*arguments, "--false-alarm-every", "30d"])
    assert refused.exit_code == 2
    assert "one false alarm in 30 days cannot be promised" in refused.stderr
    promised = ("--false-alarm-every", "10min", "--independent-after", "10s")
    drift = ("--false-drift-every", "1d", "--recover-after", "2")
    done = CliRunner().invoke(main, [*arguments, *promised, *drift])
    first, *rest = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["event"] == "promise"
    assert first["needed"] <= first["window"] == 60
    assert first["false_alarm_every_s"] == 600
    assert first["false_drift_every_s"] == 86400
    assert [one["event"] for one in rest].count("verdict") == 12
    assert done.exit_code == (1 if rest[-1]["alarms"] else 0)
    wrong = CliRunner().invoke(main, [*arguments, "--false-alarm-every", "30"])
    assert wrong.exit_code == 2
    assert "such as 90s, 10min, 12h or 30d" in wrong.stderr
