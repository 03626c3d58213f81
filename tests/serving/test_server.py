"""The command ``serve`` as a process: its address, its token, its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from serving.conftest import Client

from anomalous_sound import Detector
from anomalous_sound.command.app import main
from anomalous_sound.errors import InputError
from anomalous_sound.serving.server import bind, find_token, is_on_this_machine

TOKEN = "0123456789abcdef"


@contextmanager
def command(*arguments, **variables):
    process = subprocess.Popen(
        [sys.executable, "-m", "anomalous_sound.command", "serve", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    try:
        told = process.stdout.readline()
        assert "Listening at http://" in told, told + process.stderr.read()
        yield process, Client(int(re.search(r":(\d+);", told)[1]))
    finally:
        process.kill()
        process.communicate()


def ended(process, by):
    process.send_signal(by)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.slow
def test_the_command_serves_what_the_command_scores_and_ends_in_order(detector_folder, clips):
    place = str(detector_folder)
    call = CliRunner().invoke
    path = clips[0]
    scored = call(main, ["score", str(path), "--detector", place, "--json"])
    expected = json.loads(scored.stdout)
    with command("--detector", place) as (process, client):
        answer = client.judge(path.read_bytes(), params={"machine_id": "00"}).json()
        told = json.loads(call(main, ["info", "--detector", place, "--json"]).stdout)
        assert client.get("/info").json() == told
        assert ended(process, signal.SIGTERM) == (0, "")
    (verdict,) = answer["verdicts"]
    assert {**expected, "source": "-", "event": "verdict"} == {
        **verdict,
        "event": "verdict",
        "detector": answer["detector"],
    }


@pytest.mark.slow
def test_the_command_serves_other_machines_with_a_token(detector_folder, clips, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    options = ["--detector", str(detector_folder), "--host", "0.0.0.0", "--false-alarm-rate", "0.4"]
    with command(*options, "--token-file", str(tmp_path / "token")) as (process, client):
        content = clips[0].read_bytes()
        assert client.judge(content).status_code == 401
        answer = client.judge(content, headers={"Authorization": f"Bearer {TOKEN}"}).json()
        detector = Detector.load(detector_folder).at_rate(0.4)
        assert answer["detector"] == detector.identity.model_dump()
        assert ended(process, signal.SIGINT) == (0, "")


@pytest.mark.slow
def test_the_command_serves_a_registered_detector(simulated_run, detector_folder, clips):
    uri = "models:/slider@lstm"
    store = f"sqlite:///{simulated_run.path}/mlflow.db"
    with command("--model", uri, MLFLOW_TRACKING_URI=store) as (process, client):
        assert client.get("/info").json()["folder"] == uri
        answer = client.judge(clips[0].read_bytes(), params={"machine_id": "00"}).json()
        assert ended(process, signal.SIGTERM)[0] == 0
    verdict = Detector.load(detector_folder).judge_file(clips[0], machine_id="00")
    assert answer["verdicts"] == [{**verdict.to_json(), "source": "-"}]


def refused(*arguments, **variables):
    result = CliRunner().invoke(main, ["serve", *map(str, arguments)], env=variables)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    return result.stderr


@pytest.mark.slow
def test_mistakes_are_told_in_a_sentence(detector_folder, tmp_path):
    here = ("--detector", detector_folder)
    (tmp_path / "short").write_text("secret")
    assert "clients must show a token" in refused(*here, "--host", "0.0.0.0")
    assert "short has 6 characters" in refused(*here, "--token-file", tmp_path / "short")
    assert "gone cannot be read" in refused(*here, "--token-file", tmp_path / "gone")
    assert "give one of them" in refused(*here, "--model", "models:/x@champion")
    assert "holds no detector" in refused("--detector", tmp_path)
    assert "--jobs is 0" in refused(*here, "--jobs", "0")
    assert "cannot listen at 192.0.2.1" in refused(
        *here, "--host", "192.0.2.1", ANOMALOUS_SOUND_TOKEN=TOKEN
    )
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} (" in refused(*here, "--port", port)


def test_the_token_is_that_of_the_file_or_else_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("ANOMALOUS_SOUND_TOKEN", raising=False)
    assert find_token(None) is None
    monkeypatch.setenv("ANOMALOUS_SOUND_TOKEN", TOKEN)
    assert find_token(None) == TOKEN
    (tmp_path / "token").write_text(f" {TOKEN}x\n")
    assert find_token(tmp_path / "token") == TOKEN + "x"
    for short in ("", "secret", "ä" * 20):
        monkeypatch.setenv("ANOMALOUS_SOUND_TOKEN", short)
        with pytest.raises(InputError, match="ANOMALOUS_SOUND_TOKEN has"):
            find_token(None)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_which_addresses_are_of_this_machine_alone(host, expected):
    assert is_on_this_machine(host) == expected
