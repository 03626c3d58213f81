"""The example of a service is one that systemd and the command understand."""

import configparser
import shlex
import shutil
import subprocess

import pytest
from support import REPOSITORY

from anomalous_sound.command.app import main

UNIT = REPOSITORY / "deploy" / "anomalous-sound-watch.service"


@pytest.fixture
def service():
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str
    text = UNIT.read_text().replace("\\\n", " ")
    parser.read_string(text)
    return parser["Service"]


def test_the_command_has_the_options(service):
    _, command, *arguments = shlex.split(service["ExecStart"])
    context = main.commands[command].make_context("watch", arguments)
    assert str(context.params["place"]) == "/srv/recordings"
    assert context.params["webhook"] == "https://alarms.example/press_3"
    assert str(context.params["token_file"]) == "%d/token"
    assert context.params["as_json"] is True


def test_what_was_heard_is_no_failure(service):
    # 2 is an error; see the page on use
    assert service["SuccessExitStatus"].split() == ["1", "3"]
    assert service["Restart"] == "on-failure"
    assert service["KillSignal"] == "SIGTERM"


def test_systemd_understands_it(tmp_path):
    analyse = shutil.which("systemd-analyze")
    if analyse is None:
        pytest.skip("no systemd is installed")
    copy = tmp_path / UNIT.name
    # it asks for a program that is there
    copy.write_text(UNIT.read_text().replace("/opt/anomalous-sound/bin/anomalous-sound", "/bin/sh"))
    done = subprocess.run([analyse, "verify", str(copy)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert UNIT.name not in done.stderr, done.stderr
