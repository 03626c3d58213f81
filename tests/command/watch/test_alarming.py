"""A watch tells a fault, a drift and a bad sensor apart, for a whole day and with little memory."""

import json
import os
import threading
import tracemalloc
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command.fakes import IDENTITY, CheapDetector, segment_of

from anomalous_sound.command.watch.alarming import Terms, arm
from anomalous_sound.command.watch.durations import Duration
from anomalous_sound.command.watch.following import Follower, watch_folder
from anomalous_sound.command.watch.stream import named_pipe, watch_stream
from anomalous_sound.command.watch.watching import Watch
from anomalous_sound.decision.verdict import Rejection, Signal, Verdict
from anomalous_sound.errors import InputError
from anomalous_sound.vocabulary import Decision

RATE, SEGMENT = 10, 100  # 10 s
DAY = 86400.0
TERMS = Terms(
    false_alarm_every_s=30 * DAY,
    false_drift_every_s=None,
    within_s=600.0,
    independent_after_s=60.0,
    recover_after=5,
    segment_s=None,
    rate=None,
)


def watch_of(emit, alarms=None, **changed):
    known = {"as_json": True, "stalled_after_s": 600.0, "heartbeat_s": 1e9, "alarms": alarms}
    return Watch(IDENTITY, emit, **known | changed)


class Source:
    """A stream that is made as it is read."""

    def __init__(self, segments):
        self._segments, self._rest = segments, b""

    def read1(self, size):
        if not self._rest:
            self._rest = next(self._segments, b"")
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def listen(detector, segments, watch, **changed):
    known = {"place": Path("-"), "sample_rate": RATE, "segment": SEGMENT, "machine_id": "00"}
    watch_stream(detector, [Source(iter(segments))], watch, **known | changed)
    watch.end("done")


def test_a_day_is_told_with_little_memory():
    detector, alarms, promise = arm(
        CheapDetector.calibrated({"00": 100}), replace(TERMS, false_drift_every_s=365 * DAY), ["00"]
    )
    assert promise.values["needed"] <= promise.values["window"] == 10
    rng, held = np.random.default_rng(1), []

    def day():
        for number in range(8640):
            if number % 360 == 0:
                held.append(tracemalloc.get_traced_memory()[0])
            hour, score = number / 360, float(rng.standard_normal())
            if 5 <= hour < 5.5 or 20 <= hour < 21:  # a fault
                score += 8
            is_clipped = 15 <= hour < 15.5  # and as loud as a fault
            if 10 <= hour < 10.1:
                yield bytes(2 * SEGMENT)
            else:
                yield segment_of(score + 8 * is_clipped, SEGMENT, full_scale=is_clipped)

    found, kinds = Counter(), Counter()
    told, above = [], 0

    def emit(line):
        nonlocal above
        one = json.loads(line)
        found[one["event"]] += 1
        if one["event"] == "sensor":
            kinds[one["kind"]] += 1
        if one["event"] in ("alarm", "recovered", "end"):
            told.append(one)
        if one["event"] == "verdict":
            above += one["decision"] == "anomalous"

    tracemalloc.start()
    try:
        listen(detector, day(), watch_of(emit, alarms))
    finally:
        tracemalloc.stop()
    silent, clipped = 36, 180
    assert found["verdict"] == 8640 - silent
    assert found["alarm"] == found["recovered"] == 2
    assert found["drift"] == found["promise_broken"] == 0
    assert kinds == {"silence": silent, "clipping": 1}
    assert found["sensor_well"] == 2
    begin, end, again, last, counts = told
    assert 5 * 3600 <= begin["start_s"] < 5 * 3600 + 600  # --alarm-within
    assert 5.5 * 3600 <= end["start_s"] < 5.5 * 3600 + 600
    assert 20 * 3600 <= again["start_s"] < 20 * 3600 + 600
    assert 21 * 3600 <= last["start_s"] < 21 * 3600 + 600
    # each segment above the threshold is told as an alarm, or why it is none
    assert above == found["suppressed"] + found["alarm"]
    assert above > 180 + 360 + clipped - 20
    assert counts["alarms"] == 2
    assert counts["suppressed"] == found["suppressed"]
    assert counts["not_judged"] == silent
    assert counts["normal"] + counts["anomalous"] + counts["doubtful"] == found["verdict"]
    # after the first hours no more is held: 8 bytes for each normal look
    assert held[-1] - held[2] < 200_000


def test_without_a_promise_each_verdict_stands_alone():
    lines = []
    watch = watch_of(lines.append)
    listen(
        CheapDetector.calibrated({"00": 100}),
        [segment_of(score, SEGMENT) for score in (0, 9, 0)],
        watch,
    )
    events = [json.loads(line)["event"] for line in lines]
    assert events == ["verdict"] * 3 + ["end"]
    assert watch.exit_code == 1


def test_a_changed_sound_is_a_drift_and_no_fault():
    terms = replace(TERMS, false_alarm_every_s=365 * DAY, false_drift_every_s=365 * DAY)
    detector, alarms, _ = arm(CheapDetector.calibrated({"00": 200}), terms, ["00"])
    rng, lines = np.random.default_rng(2), []
    before, after = rng.standard_normal(6 * 200), 0.7 * rng.standard_normal(6 * 400) - 0.7
    watch = watch_of(lines.append, alarms)
    scores = np.concatenate([before, after])
    listen(detector, (segment_of(float(one), SEGMENT) for one in scores), watch)
    found = [json.loads(line) for line in lines]
    (drift,) = [one for one in found if one["event"] == "drift"]
    assert drift["start_s"] > 10 * len(before)
    assert (drift["direction"], drift["advice"]) == ("lower", "recalibrate")
    assert alarms.counts["alarms"] == 0
    assert watch.exit_code == 0


def test_looks_that_hang_together_break_the_promise():
    scores = np.repeat(np.random.default_rng(3).standard_normal(200), 24)  # 4 min each
    for independent, told in ((60.0, 1), (300.0, 0)):
        terms = replace(TERMS, independent_after_s=independent, within_s=3600.0)
        detector, alarms, _ = arm(CheapDetector.calibrated({"00": 300}), terms, ["00"])
        lines = []
        watch = watch_of(lines.append, alarms)
        listen(detector, (segment_of(float(one), SEGMENT) for one in scores), watch)
        found = [json.loads(line) for line in lines]
        broken = [one for one in found if one["event"] == "promise_broken"]
        assert len(broken) == found[-1]["broken_promises"] == told


def verdict(machine_id, score, source, start_s=0.0, threshold=5.0, duration_s=10.0):
    decision = Decision.ANOMALOUS if score >= threshold else Decision.NORMAL
    return Verdict(
        *(score, threshold, decision, None, (), ()),
        machine_id=machine_id,
        source=Path(source),
        start_s=start_s,
        signal=Signal(duration_s, 0.0, 0.0),
    )


def events_of(alarms, verdicts, written_at=lambda number: None):
    names = []
    for number, one in enumerate(verdicts):
        names.append([event.name for event in alarms.hear(one, [], written_at(number))])
    return names


@pytest.fixture
def alarms():
    """2 votes or more of machine IDs 00 and 02, 10 looks, 60 s apart."""
    _, found, promise = arm(CheapDetector.calibrated({"00": 100, "02": 100}), TERMS)
    assert 2 <= promise.values["needed"] <= 10
    return found


def test_machines_in_one_folder_have_alarms_of_their_own(alarms):
    needed = alarms.rule.needed
    wait = [f"{machine_id}/{n}.wav" for n in range(2 * needed) for machine_id in ("00", "02")]
    mixed = [verdict(name[:2], 9.0 if name[:2] == "00" else 0.0, name) for name in wait]
    names = events_of(alarms, mixed, written_at=lambda number: 60.0 * (number // 2))
    of_first, of_second = names[::2], names[1::2]
    assert of_first == [["suppressed"]] * (needed - 1) + [["alarm"]] + [["suppressed"]] * needed
    assert not any(of_second)
    assert alarms.on == ["00"]


def test_what_could_not_be_judged_does_not_help_to_recover(alarms):
    files = [verdict("00", 9.0, f"{n}.wav") for n in range(alarms.rule.needed)]
    events_of(alarms, files, lambda number: 60.0 * number)
    assert alarms.on == ["00"]
    assert not any(events_of(alarms, [verdict("00", 0.0, f"a{n}.wav") for n in range(4)]))
    alarms.miss("00")
    alarms.miss("never heard of")
    names = events_of(alarms, [verdict("00", 0.0, f"b{n}.wav") for n in range(5)])
    assert names == [[]] * 4 + [["recovered"]]


def test_copies_of_one_time_are_as_long_as_they_sound(alarms):
    files = [verdict("00", 9.0, f"{n}.wav", duration_s=10.0) for n in range(13)]
    reasons = [
        event.values.get("reason", "") for one in files for event in alarms.hear(one, [], 1000.0)
    ]
    between = [reason.startswith("between two looks") for reason in reasons]
    assert [n for n, one in enumerate(between) if not one] == [0, 6, 12]


def test_a_file_that_is_judged_again_is_more_sound(alarms):
    pieces = [verdict("00", 0.0, "a.wav", start_s) for start_s in (0.0, 10.0, 0.0, 10.0)]
    machine = alarms._machine("00")
    assert [machine.begins_s(one, None) for one in pieces] == [0.0, 10.0, 20.0, 30.0]


def test_an_undecided_clip_has_no_say(alarms):
    undecided = replace(verdict("07", 9.0, "a.wav"), threshold=None, decision=Decision.UNDECIDED)
    assert events_of(alarms, [undecided] * 20) == [[]] * 20
    assert alarms.on == []


def test_the_promise_is_told_in_two_sentences_and_numbers():
    cheap = CheapDetector.calibrated({"00": 100, "02": 80})
    _, _, event = arm(cheap, TERMS)
    rule, promise = event.values["said"]
    assert f"{event.values['needed']} of the last 10 looks (one segment every 1 min)" in rule
    assert "at most one false alarm in 30 days" in promise
    assert "proven, if segments 1 min apart, and the normal clips, are independent" in promise
    assert "100 normal clips of machine ID 00, 80 normal clips of machine ID 02" in promise
    assert event.values["per_look"] * 43200 <= 1
    assert event.values["recordings"] == 180
    cut = tuple(f"{n // 60}.wav@{10 * (n % 60):010.3f}" for n in range(180))
    pieces = replace(cheap, calibration=replace(cheap.calibration, clip_ids=cut))
    assert "were cut from 3 recordings" in arm(pieces, TERMS)[2].values["said"][2]
    folds = replace(cheap, calibration=replace(cheap.calibration, in_folds=True))
    assert "not proven" in arm(folds, TERMS)[2].text
    assert not arm(folds, TERMS)[2].values["proven"]


def test_nothing_is_proven_of_segments_of_another_length():
    cheap = CheapDetector.calibrated({"00": 100}, durations_s=(10.0, 10.0))
    alike, longer = (arm(cheap, replace(TERMS, segment_s=seconds))[2] for seconds in (10.0, 12.0))
    assert alike.values["proven"] and "This is proven, if" in alike.text
    assert not longer.values["proven"]
    assert "not proven, as segments last 12.0 s and normal clips 10.0 s; once" in longer.text


def test_what_cannot_be_promised_is_refused():
    cheap = CheapDetector.calibrated({"00": 100, "02": 5})
    arm(cheap, TERMS, ["00"])
    for detector, terms, heard, message in [
        (cheap, TERMS, None, "5 normal clips of machine ID 02"),
        (cheap, replace(TERMS, independent_after_s=None), ["00"], "4,319 normal clips"),
        (cheap, TERMS, ["07"], "no normal clip of machine ID 07"),
        (replace(cheap, segment_s=None), TERMS, ["00"], "--segment S"),
    ]:
        with pytest.raises(InputError, match=message):
            arm(detector, terms, heard)


def test_a_level_that_is_off_is_told_once_and_is_well_again(alarms):
    from anomalous_sound.decision.evidence import LEVEL, Evidence

    def at(level, strange):
        one = Evidence(LEVEL, level, -22.0, -18.0, 9, 0.2, strange)
        return replace(verdict("00", 0.0, f"{level}.wav"), evidence=(one,))

    lines = []
    watch = watch_of(lines.append, alarms)
    for level, strange in [(-20.0, False), (-40.0, True), (-41.0, True), (-20.0, False)]:
        watch.result(at(level, strange))
    found = [json.loads(line) for line in lines]
    assert [one["event"] for one in found] == [
        *("verdict", "verdict", "sensor", "verdict", "sensor_well", "verdict"),
    ]
    assert found[1]["sensor"] == found[3]["sensor"] == ["level"]
    assert "20 dB softer than just before" in found[2]["reason"]
    assert (watch.tally.normal, watch.tally.doubtful) == (2, 2)


def test_a_pause_within_a_segment_is_told_and_not_normal():
    reading, writing = os.pipe()
    whole = segment_of(0.0, SEGMENT)
    os.write(writing, whole + whole[:70])
    lines = []

    def emit(line):
        lines.append(json.loads(line))
        if lines[-1].get("kind") == "stall" and lines[-1]["event"] == "sensor":
            os.write(writing, whole[70:] + whole)
            os.close(writing)

    watch = watch_of(emit, stalled_after_s=0.5)
    with os.fdopen(reading, "rb") as source:
        watch_stream(
            *(CheapDetector.calibrated({"00": 100}), [source], watch),
            **{"place": Path("-"), "sample_rate": RATE, "segment": SEGMENT, "machine_id": "00"},
        )
    events = [(one["event"], one.get("kind")) for one in lines]
    assert events == [
        *(("verdict", None), ("sensor", "stall"), ("sensor_well", "stall"), ("verdict", None)),
        *(("sensor", "gap"), ("sensor_well", "gap"), ("verdict", None)),
    ]
    assert lines[3]["sensor"] == ["gap"]
    assert (watch.tally.normal, watch.tally.doubtful) == (2, 1)


def test_a_pipe_whose_writer_goes_away_waits_for_the_next(tmp_path):
    pipe, lines = tmp_path / "pipe", []
    os.mkfifo(pipe)

    def write():
        with pipe.open("wb") as file:
            file.write(segment_of(0.0, SEGMENT))

    def emit(line):
        lines.append(json.loads(line))
        if [one["event"] for one in lines].count("verdict") == 2:
            raise KeyboardInterrupt
        if lines[-1].get("kind") == "gone" and lines[-1]["event"] == "sensor":
            threading.Thread(target=write).start()

    threading.Thread(target=write).start()
    with pytest.raises(KeyboardInterrupt):
        watch_stream(
            *(CheapDetector.calibrated({"00": 100}), named_pipe(pipe), watch_of(emit)),
            **{"place": pipe, "sample_rate": RATE, "segment": SEGMENT, "machine_id": "00"},
            goes_on=True,
        )
    assert [(one["event"], one.get("kind")) for one in lines] == [
        *(("verdict", None), ("sensor", "gone"), ("sensor_well", "gone"), ("verdict", None)),
    ]
    threading.Thread(target=write).start()  # the reader waits for it, and for no more


def test_a_device_that_is_pulled_out_is_no_normal_end():
    class Pulled(Source):
        def read1(self, size):
            if part := super().read1(size):
                return part
            raise OSError(5, "Input/output error")

    lines = []
    watch = watch_of(lines.append)
    watch_stream(
        *(CheapDetector.calibrated({"00": 9}), [Pulled(iter([segment_of(0.0, SEGMENT)]))], watch),
        **{"place": Path("-"), "sample_rate": RATE, "segment": SEGMENT, "machine_id": "00"},
    )
    found = [json.loads(line) for line in lines]
    assert [(one["event"], one.get("kind")) for one in found] == [
        ("verdict", None),
        ("sensor", "gone"),
    ]


def test_a_folder_that_goes_and_comes_back_is_not_judged_again(tmp_path):
    folder, elsewhere, lines = tmp_path / "in", tmp_path / "elsewhere", []
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"RIFF")  # given up at once

    def emit(line):
        lines.append(json.loads(line))
        kinds = [(one["event"], one.get("kind")) for one in lines]
        if kinds[-1] == ("sensor", "unreadable"):
            folder.rename(elsewhere)
        elif kinds[-1] == ("sensor", "gone"):
            elsewhere.rename(folder)
        elif kinds[-1] == ("sensor_well", "gone"):
            (folder / "b.wav").write_bytes(b"RIFF")
            folder.rename(elsewhere)
        if len(kinds) == 4:
            raise KeyboardInterrupt

    follower = Follower(folder, settled_s=0.0, give_up_s=0.0)
    with pytest.raises(KeyboardInterrupt):
        watch_folder(
            *(CheapDetector.calibrated({"00": 9}), folder, watch_of(emit), follower),
            **{"machine_id": "00", "interval_s": 0.01, "once": False},
        )
    assert [one["kind"] for one in lines] == ["unreadable", "gone", "gone", "gone"]


def test_an_empty_folder_on_another_drive_is_what_an_unmounted_one_leaves(tmp_path):
    follower = Follower(tmp_path, settled_s=0.0, give_up_s=0.0)
    assert follower.is_there()
    follower._device += 1  # as if it was mounted when the watch began
    assert not follower.is_there()
    soundfile.write(tmp_path / "a.wav", np.zeros(10), RATE)  # another drive is in its place
    assert follower.is_there()
    assert follower.is_there()


def test_the_watch_ends_if_the_sensor_fails_and_that_is_asked_for():
    watch = watch_of(lambda line: None, ends_on_sensor=True)
    listen(CheapDetector.calibrated({"00": 9}), [bytes(2 * SEGMENT)] * 5, watch)
    assert watch.tally.not_judged == 1
    assert watch.exit_code == 4


def test_text_says_the_same(alarms):
    lines = []
    watch = watch_of(lines.append, alarms, as_json=False)
    for number in range(alarms.rule.needed):
        watch.result(verdict("00", 9.0, f"{number}.wav"), written_at=60.0 * number)
    for number in range(5):
        watch.result(verdict("00", 0.0, f"n{number}.wav"))
    watch.result(Rejection(Path("s.wav"), "all samples are zero", is_silent=True))
    watch.result(verdict("00", 0.0, "n5.wav"))
    watch.result(Rejection(Path("s.wav"), "all samples are zero", is_silent=True))
    watch.end("done")
    text = "\n".join(lines)
    for part in ("suppressed: machine ID 00, 0.wav", "ALARM: machine ID 00", "recovered: machine"):
        assert part in text
    assert "sensor well again: 'silence' is over, after " in text
    assert "2 not judged" in lines[-1] and "1 alarms" in lines[-1]
    assert lines[-1].endswith("reason: done; sensor: silence")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5min", 90), ("12h", 43200), ("30 d", 30 * DAY)]
)
def test_times_have_a_unit(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["30", "0s", "-1d", "d", "1 week"])
def test_a_time_without_a_unit_is_a_mistake(text):
    from click import BadParameter

    with pytest.raises(BadParameter, match="30d"):
        Duration().convert(text, None, None)
