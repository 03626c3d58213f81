"""A server says of every clip what the library says, and of wrong input what is wrong with it."""

from __future__ import annotations

import base64
import json
import re
import socket
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from robustness.mutants import mutants
from serving.conftest import serving
from support import RATE, noise

from anomalous_sound.command.description import facts
from anomalous_sound.serving import app as serving_app

pytestmark = pytest.mark.slow


def without_source(verdict):
    return {**verdict.to_json(), "source": None}


def machine_id_of(path):
    return re.search(r"id_(\d+)_", path.name)[1]


def only_verdict(answer):
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["rejections"] == []
    (verdict,) = body["verdicts"]
    return {**verdict, "source": None}


def test_every_clip_has_the_verdict_of_the_library(client, detector, clips):
    for path in clips:
        machine_id = machine_id_of(path)
        expected = without_source(detector.judge_file(path, machine_id=machine_id))
        answer = client.judge(path.read_bytes(), params={"machine_id": machine_id})
        assert only_verdict(answer) == expected
        assert answer.json()["detector"] == detector.identity.model_dump()


def test_a_clip_may_come_in_any_form(client, detector, clips, tmp_path):
    path = clips[0]
    expected = without_source(detector.judge_file(path, machine_id="00"))
    samples, rate = soundfile.read(path, dtype="float32")
    soundfile.write(tmp_path / "same.flac", samples, rate)
    flac = (tmp_path / "same.flac").read_bytes()
    text = base64.b64encode(path.read_bytes()).decode()
    asked = {"machine_id": "00"}
    values = {"samples": samples.tolist(), "sample_rate": rate, **asked}
    for answer in (
        client.judge(flac, kind="audio/flac", params=asked),
        client.judge(flac, kind=None, params=asked),
        client.judge(json.dumps({"audio": text, **asked}), kind="application/json"),
        client.judge(json.dumps({"audio": text}), kind="application/json", params=asked),
        client.judge(json.dumps(values), kind="application/json"),
        client.judge(kind=None, files={"file": path.read_bytes()}, params=asked),
        client.judge(kind=None, files={"file": ("../../x.wav", flac), "machine_id": (None, "00")}),
    ):
        assert only_verdict(answer) == expected
    assert answer.json()["verdicts"][0]["source"] == "x.wav"
    direct = detector.judge(samples, rate, machine_id="00")
    assert without_source(direct) == expected


def test_a_clip_of_no_known_machine_is_undecided_as_in_the_library(client, detector, clips):
    verdict = only_verdict(client.judge(clips[0].read_bytes()))
    assert verdict == without_source(detector.judge_file(clips[0]))
    assert verdict["decision"] == "undecided"


def test_another_false_alarm_rate(client, detector, clips):
    expected = detector.at_rate(0.4).judge_file(clips[0], machine_id="00")
    asked = {"machine_id": "00", "false_alarm_rate": "0.4"}
    answer = client.judge(clips[0].read_bytes(), params=asked)
    assert only_verdict(answer) == without_source(expected)
    assert answer.json()["detector"] == detector.at_rate(0.4).identity.model_dump()
    refused = client.judge(clips[0].read_bytes(), params={**asked, "false_alarm_rate": "0.02"})
    assert refused.status_code == 422
    assert "49 are needed for 1 in 50" in refused.json()["detail"]


def test_a_long_recording_is_judged_clip_by_clip(client, detector, tmp_path):
    samples = np.concatenate([noise(1, 10.0), np.zeros((10 * RATE, 1)), noise(2, 10.0)])
    soundfile.write(tmp_path / "long.wav", samples, RATE)
    answer = client.judge((tmp_path / "long.wav").read_bytes(), params={"machine_id": "00"}).json()
    first, silent, last = detector.judge_recording(tmp_path / "long.wav", machine_id="00")
    assert [{**one, "source": None} for one in answer["verdicts"]] == [
        without_source(first),
        without_source(last),
    ]
    assert answer["rejections"] == [{**silent.to_json(), "source": "-"}]
    assert answer["rejections"][0]["reason"] == "all samples are zero"
    assert [one["start_s"] for one in answer["verdicts"]] == [0.0, 20.0]


def as_json(**values):
    return {"content": json.dumps(values), "kind": "application/json"}


WAV = base64.b64encode(b"RIFF").decode()
WRONG = {
    "empty": (400, "is empty", {"content": b""}),
    "form, empty": (400, "is empty", {"kind": None, "files": {"file": b""}}),
    "no JSON": (400, "JSON", {"content": "{", "kind": "application/json"}),
    "deep JSON": (400, "JSON", {"content": "[" * 100_000, "kind": "application/json"}),
    "no object": (422, "object", {"content": "[]", "kind": "application/json"}),
    "no text": (400, "JSON", {"content": b"\xff\xfe{", "kind": "application/json"}),
    "path": (400, "not base64", as_json(audio="/etc/passwd")),
    "path that is base64": (422, "cannot be decoded", as_json(audio="/etc/pas")),
    "file of base64": (400, "not base64", as_json(audio="data:audio/wav;base64,UklGRg==")),
    "half a wav": (422, "cannot be judged", as_json(audio=WAV)),
    "path field": (422, "the JSON, path", as_json(path="/etc/passwd")),
    "file URL": (400, "not base64", as_json(audio="file:///etc/passwd")),
    "no audio": (422, "give either audio", as_json()),
    "both": (422, "give either audio", as_json(audio="", samples=[0.1], sample_rate=16000)),
    "no rate": (422, "go together", as_json(samples=[0.1, 0.2])),
    "no samples": (422, "samples", as_json(samples=[], sample_rate=16000)),
    "text": (422, "samples.1", as_json(samples=[0.1, "0.2"], sample_rate=16000)),
    "NaN": (422, "samples.0", as_json(samples=[float("nan"), 0.2], sample_rate=16000)),
    "nested": (422, "samples.0", as_json(samples=[[0.1]], sample_rate=16000)),
    "huge rate": (422, "sample_rate", as_json(samples=[0.1], sample_rate=10**12)),
    "low rate": (422, "1000 to 1000000 Hz", as_json(samples=[0.1, 0.2], sample_rate=1)),
    "huge number": (
        422,
        "samples.0",
        {"content": '{"samples": [1e999]}', "kind": "application/json"},
    ),
    "machine ID": (
        422,
        "machine_id is '07'",
        as_json(samples=[0.1], sample_rate=16000, machine_id="07"),
    ),
    "number as ID": (422, "machine_id", as_json(samples=[0.1], sample_rate=16000, machine_id=0)),
    "rate": (422, "false_alarm_rate", {"content": b"x", "params": {"false_alarm_rate": "often"}}),
    "rate of 1": (422, "false_alarm_rate", {"content": b"x", "params": {"false_alarm_rate": "1"}}),
    "misspelt": (422, "machineid", {"content": b"x", "params": {"machineid": "00"}}),
    "twice": (
        422,
        "given twice",
        as_json(audio=WAV, machine_id="00") | {"params": {"machine_id": "02"}},
    ),
    "unknown field": (422, "name", {"kind": None, "files": {"file": b"x", "name": (None, "y")}}),
    "no file": (400, "no file", {"kind": None, "files": {"machine_id": (None, "00")}}),
    "two files": (400, "form", {"kind": None, "files": {"a": b"x", "b": b"y"}}),
    "broken form": (400, "form", {"content": b"x", "kind": "multipart/form-data"}),
    "form of curl": (
        415,
        "send an audio file as",
        {"content": b"x", "kind": "application/x-www-form-urlencoded"},
    ),
    "page": (415, "text/html", {"content": b"<html>", "kind": "text/html"}),
    "no sound": (422, "cannot be judged", {"content": b"<html>" * 100}),
    "path as body": (422, "cannot be judged", {"content": b"/etc/passwd"}),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_told_in_a_sentence(client, what):
    status, said, request = WRONG[what]
    answer = client.judge(**request)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"detail"}
    detail = answer.json()["detail"]
    assert said in detail
    assert detail.endswith(".")
    assert "Traceback" not in detail
    assert "\n" not in detail
    assert "root:" not in detail  # of /etc/passwd


def test_damaged_recordings_are_judged_or_refused(client):
    statuses = set()
    for _, content in mutants(seed=3, count=60):
        answer = client.judge(content, params={"machine_id": "00"})
        statuses.add(answer.status_code)
        assert answer.status_code in (200, 400, 413, 422), answer.text
    assert {200, 422} <= statuses


def test_what_is_wrong_with_a_clip_is_a_rejection(client, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    answer = client.judge((tmp_path / "silent.wav").read_bytes())
    assert answer.status_code == 200
    assert answer.json()["verdicts"] == []
    assert answer.json()["rejections"] == [
        {"source": "-", "start_s": 0.0, "reason": "all samples are zero"}
    ]


def test_no_file_that_a_request_names_is_opened(client, clips):
    path, content = str(clips[0]), clips[0].read_bytes()
    opened, is_on = [], [True]

    def note(event, arguments):
        if event == "open" and is_on:
            opened.append(str(arguments[0]))

    sys.addaudithook(note)  # which stays; so it is switched off
    client.judge(json.dumps({"audio": path}), kind="application/json")
    client.judge(kind=None, files={"file": (path, content)})
    client.judge(path.encode(), params={"machine_id": path[:50]})
    client.judge(content, params={"machine_id": "00"})
    is_on.clear()
    assert opened
    assert not [name for name in opened if Path(name).name == clips[0].name]


def test_sizes_are_limited(detector, clips, tmp_path):
    samples = noise(1, 3.0)
    soundfile.write(tmp_path / "long.flac", samples, RATE)
    soundfile.write(tmp_path / "wide.flac", np.tile(noise(1, 1.9) * 0, 8), RATE)
    with serving(detector, max_bytes=100_000, max_seconds=2.0) as client:
        for request in (
            {"content": bytes(100_001)},
            {"content": iter([bytes(60_000), bytes(60_000)])},  # in chunks, without a length
            {"kind": None, "files": {"file": bytes(100_001)}},
            {"content": " " * 100_001, "kind": "application/json"},
        ):
            answer = client.judge(**request)
            assert answer.status_code == 413
            assert "at most 100000 bytes" in answer.json()["detail"]
        answer = client.judge((tmp_path / "long.flac").read_bytes())
        assert answer.status_code == 413
        assert "3.0 s long, and at most 2 s" in answer.json()["detail"]
        answer = client.judge((tmp_path / "wide.flac").read_bytes())
        assert answer.status_code == 413
        assert "samples in all channels" in answer.json()["detail"]
        assert client.judge(clips[0].read_bytes()).status_code == 200


def test_only_those_with_the_token_are_answered(detector, clips):
    token = "0123456789abcdef"
    content = clips[0].read_bytes()
    with serving(detector, token=token) as client:
        assert client.get("/health").status_code == 200
        for path in ("/info", "/metrics", "/openapi.json"):
            assert client.get(path).status_code == 401
            right = {"Authorization": f"Bearer {token}"}
            assert client.get(path, headers=right).status_code == 200
        for shown in (None, token, f"Basic {token}", f"Bearer {token}0", "Bearer ", "Bearer ä"):
            headers = {} if shown is None else {"Authorization": shown.encode("latin-1")}
            answer = client.judge(content, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "a token is needed" in answer.json()["detail"]
        assert client.judge(content, headers=right).status_code == 200


def test_the_other_addresses(client, detector, clips):
    assert client.get("/health").json() == {"ready": True, "detector": detector.identity.digest}
    assert client.get("/info").json() == json.loads(json.dumps(facts(detector)))
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/judge", "/health", "/info", "/metrics"}
    kinds = described["paths"]["/judge"]["post"]["requestBody"]["content"]
    assert set(kinds) == {
        "application/octet-stream",
        "audio/*",
        "multipart/form-data",
        "application/json",
    }
    for path in ("/docs", "/redoc", "/../etc/passwd", "/judge/x"):
        assert client.get(path).status_code == 404
    assert client.get("/judge").status_code == 405
    client.judge(clips[0].read_bytes())
    client.judge(b"x")
    counted = client.get("/metrics").text
    assert 'anomalous_sound_requests_total{path="/judge",status="200"} 1.0' in counted
    assert 'anomalous_sound_requests_total{path="/judge",status="422"} 1.0' in counted
    assert 'anomalous_sound_requests_total{path="other",status="404"} 4.0' in counted
    assert 'anomalous_sound_verdicts_total{decision="undecided"} 1.0' in counted
    assert "anomalous_sound_judge_seconds_count 1.0" in counted
    assert "anomalous_sound_in_hand 0.0" in counted


@pytest.fixture
def held(monkeypatch):
    """Keep everything that is judged waiting until it is let go."""
    go, real = threading.Event(), serving_app.judge_upload

    def judged(*arguments, **options):
        go.wait(60)
        yield from real(*arguments, **options)

    monkeypatch.setattr(serving_app, "judge_upload", judged)
    yield go
    go.set()


def in_thread(call):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(call()))
    thread.start()
    return thread, answers


def wait_for(client, count):
    for _ in range(600):
        if f"anomalous_sound_in_hand {count}.0" in client.get("/metrics").text:
            return
        threading.Event().wait(0.05)
    raise AssertionError("nobody came")


def test_those_for_whom_there_is_no_place_are_told_to_come_back(detector, clips, held):
    content = clips[0].read_bytes()
    with serving(detector, workers=1, waiting=1) as client:
        waiting = [in_thread(lambda: client.judge(content)) for _ in range(2)]
        wait_for(client, 2)
        refused = client.judge(content)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert "too many requests" in refused.json()["detail"]
        assert client.get("/health").status_code == 200
        held.set()
        for thread, answers in waiting:
            thread.join()
            assert answers[0].status_code == 200
        assert client.judge(content).status_code == 200


def test_nobody_waits_for_ever_and_a_place_is_free_when_its_work_has_ended(detector, clips, held):
    content = clips[0].read_bytes()
    with serving(detector, workers=1, waiting=0, timeout_s=0.3) as client:
        late = client.judge(content)
        assert late.status_code == 503
        assert "no verdict within 0.3 s" in late.json()["detail"]
        assert "too many requests" in client.judge(content).json()["detail"]
        held.set()
        wait_for(client, 0)


def test_a_body_that_never_comes_is_given_up(detector):
    with (
        serving(detector, timeout_s=0.3) as client,
        socket.create_connection(("127.0.0.1", client.port)) as connection,
    ):
        connection.sendall(b"POST /judge HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_leaves_is_forgotten(client, clips):
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        connection.sendall(b"POST /judge HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        wait_for(client, 1)
    wait_for(client, 0)
    assert client.judge(clips[0].read_bytes()).status_code == 200


def test_nothing_is_left_on_disk(detector, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(serving_app.tempfile, "tempdir", str(tmp_path))
    with serving(detector) as client:
        (folder,) = tmp_path.iterdir()
        client.judge(clips[0].read_bytes())
        client.judge(b"x")
        client.judge(kind=None, files={"file": b"x", "unknown": (None, "x")})
        client.judge(b"x" * 4_000_001)
        assert list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == []
