"""The command gives the scores and verdicts of the library and of the pipeline ``score``."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from kedro.io import DatasetError
from support import Project, noise

from anomalous_sound import Detector
from anomalous_sound.command.app import main
from anomalous_sound.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture
def clips(simulated_run):
    return simulated_run.data("01_raw/simulated/slider")


@pytest.fixture
def folder(simulated_run):
    return simulated_run.data("06_models/slider/lstm/detector")


@pytest.fixture
def command(folder):
    def call(*arguments, detector=folder, **options):
        chosen = [] if detector is None else ["--detector", str(detector)]
        return CliRunner().invoke(main, [*map(str, arguments), *chosen], **options)

    return call


def events(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_library_pipeline_and_command_agree(simulated_run, clips, folder, command, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    project = Project(tmp_path / "elsewhere")
    shutil.copytree(folder, project.data("06_models/slider/lstm/detector"))
    project.run("score", audio_dir=str(clips), thresholds={"false_alarm_rate": 0.4})
    expected = project.load("score.decisions").set_index("clip_id")
    found = events(command("score", clips, "--false-alarm-rate", 0.4, "--json"))
    assert len(found) == len(expected) == 20
    detector = Detector.load(folder).at_rate(0.4)
    for line in found:
        clip_id = Path(line["source"]).relative_to(clips).as_posix()
        verdict = detector.judge_file(line["source"], machine_id=line["machine_id"])
        row = expected.loc[clip_id]
        for name in ("score", "threshold", "p_value", "decision"):
            assert line[name] == getattr(verdict, name), name
        assert (line["score"], line["decision"]) == (row.score, row.decision)
        # the table is read back without the last bit
        assert line["threshold"] == pytest.approx(row.threshold)
        assert line["p_value"] == pytest.approx(row.p_value)
        assert line["detector"] == detector.identity.model_dump()
    report = project.data("08_reporting/slider/score/report.md").read_text()
    assert "- Threshold: conformal;" in report


def test_a_clip_of_another_length_has_a_score_and_no_decision(command, clips, tmp_path):
    normal = min(clips.glob("test/normal_id_00_*.wav"))
    samples, rate = soundfile.read(normal)
    longer = tmp_path / "id_00_longer.wav"
    soundfile.write(longer, np.tile(samples, 2), rate)
    (line,) = events(command("score", longer, "--json"))
    assert (line["decision"], line["threshold"], line["p_value"]) == ("undecided", None, None)
    assert "not decided: it lasts " in line["notes"][0]
    assert np.isfinite(line["score"])
    said = command("score", longer)
    assert said.exit_code == 3
    assert "Undecided: 1; it lasts much longer or shorter than normal clips" in said.stdout
    length_s = len(samples) / rate
    decides = f"decides clips of {length_s / 1.25:.1f} to {length_s * 1.25:.1f} s"
    assert decides in command("info").stdout


def test_recordings_are_judged_side_by_side_as_one_after_the_other(clips, command):
    alone = command("score", clips, "--json").stdout
    assert command("score", clips, "--json", "--jobs", 2).stdout == alone
    first = min(clips.glob("test/*.wav"))
    assert command("score", first, "--jobs", -1).stdout == command("score", first).stdout
    assert "--jobs is 0; give" in command("score", first, "--jobs", 0).stderr


def test_a_line_of_json_holds_the_whole_verdict(clips, command):
    path = min(clips.glob("test/anomaly_id_00_*.wav"))
    (line,) = events(command("score", path, "--json"))
    assert set(line) == {
        *("event", "source", "start_s", "machine_id", "decision", "score", "threshold"),
        *("p_value", "segments", "bands", "foreign", "notes", "evidence", "detector"),
    }
    assert line["event"] == "verdict"
    assert line["machine_id"] == "00"
    assert set(line["segments"][0]) == {"start_s", "end_s", "share"}
    assert set(line["bands"][0]) == {"low_hz", "high_hz", "share"}
    assert set(line["detector"]) == {
        *("method", "trained_at", "recalibrated_at", "version", "digest", "exported_from"),
    }


def test_exit_codes(clips, folder, command, tmp_path, write_clip):
    silent = write_clip(tmp_path / "silent.wav", np.zeros(16000))
    quiet = write_clip(tmp_path / "id_00_1.wav", noise(1, 2.0) * 1e-3)  # as long as normal clips
    alarms = command("score", clips)
    assert alarms.exit_code == 1
    assert "clips sound anomalous; the worst: " in alarms.stdout
    assert command("score", silent).exit_code == 3
    assert "all samples are zero" in command("score", silent).stdout
    nameless = shutil.copy(quiet, tmp_path / "monday.wav")
    undecided = command("score", nameless)
    assert undecided.exit_code == 3
    assert "No clip could be decided.\nUndecided: 1;" in undecided.stdout
    assert "has calibrated the detector, which knows 00, 02." in undecided.stdout
    assert "not decided: the machine ID is not known" in undecided.stdout
    assert command("score", nameless, "--machine-id", "00").exit_code in (0, 1)
    for arguments, message in [
        (("score", tmp_path / "gone"), "gone does not exist"),
        (("score", clips, "--machine-id", "07"), "--machine-id is '07', which the detector was"),
        (("score", clips, "--false-alarm-rate", "0.02"), "49 are needed for 1 in 50"),
        (("score", "-", clips), "must be alone"),
        (("score", clips, "--no-such-option"), "No such option"),
    ]:
        failed = command(*arguments)
        assert failed.exit_code == 2, arguments
        assert message in failed.stderr
        assert "Traceback" not in failed.stderr


def test_normal_clips_end_with_0_and_what_is_not_judged_is_told(
    clips, folder, command, tmp_path, write_clip
):
    # the highest of these scores is below a threshold that is computed from them
    detector = Detector.load(folder)
    new = tmp_path / "new"
    shutil.copytree(clips / "train", new)
    assert (
        command(
            *("recalibrate", new, "--false-alarm-rate", 0.2, "--yes"),
            *("--out", tmp_path / "looser"),
        ).exit_code
        == 0
    )
    scores = {path: detector.judge_file(path, machine_id="00").score for path in new.glob("*.wav")}
    lowest = min(scores, key=scores.get)
    write_clip(tmp_path / "few" / "silent.wav", np.zeros(16000))
    shutil.copy(lowest, tmp_path / "few")
    result = command("score", tmp_path / "few", detector=tmp_path / "looser")
    assert result.exit_code == 0, result.stdout
    assert "0 of 1 clip sound anomalous." in result.stdout
    assert "Not judged: 1." in result.stdout


def test_a_name_that_cannot_be_printed_is_judged_and_shown_escaped(
    clips, folder, command, tmp_path
):
    path = min(clips.glob("test/anomaly_id_00_*.wav"))
    expected = Detector.load(folder).judge_file(path, machine_id="00").score
    names = {b"a\xff.wav": r"a\xff.wav", b"b\n\x1b[2J.wav": r"b\n\x1b[2J.wav"}
    for name in names:
        shutil.copy(path, os.fsencode(tmp_path) + b"/" + name)
    lines = events(command("score", tmp_path, "--json", "--machine-id", "00"))
    assert {line["source"]: line["score"] for line in lines} == {
        f"{tmp_path}/{shown}": expected for shown in names.values()
    }
    table = command("score", tmp_path, "--machine-id", "00").stdout
    assert all(shown in table for shown in names.values())


def test_the_machine_id_of_a_labels_table_is_read(clips, folder, command, tmp_path):
    path = min(clips.glob("test/anomaly_id_02_*.wav"))
    shutil.copy(path, tmp_path / "a.wav")
    (tmp_path / "labels.csv").write_text("file,label,machine_id\na.wav,unknown,02\n")
    (line,) = events(command("score", tmp_path, "--json"))
    verdict = Detector.load(folder).judge_file(path, machine_id="02")
    assert (line["machine_id"], line["score"]) == ("02", verdict.score)


def test_a_long_recording_has_a_verdict_for_each_clip(folder, command, tmp_path, write_clip):
    path = write_clip(tmp_path / "hour.wav", noise(7, 34.0))
    found = events(command("score", path, "--machine-id", "00", "--json"))
    expected = list(Detector.load(folder).judge_recording(path, machine_id="00"))
    assert [(line["start_s"], line["score"]) for line in found] == [
        (clip.start_s, clip.score) for clip in expected
    ]
    assert [line["start_s"] for line in found] == [0.0, 10.0, 20.0, 24.0]
    shown = command("score", path, "--machine-id", "00").stdout
    assert "0:00:24" in shown


def test_a_file_from_standard_input_is_judged_as_the_file(clips, command):
    path = min(clips.glob("test/anomaly_id_00_*.wav"))
    for content in (path.read_bytes(), as_flac(path)):
        (line,) = events(command("score", "-", "--machine-id", "00", "--json", input=content))
        (of_file,) = events(command("score", path, "--json"))
        assert line == of_file | {"source": "-"}


def as_flac(path):
    samples, rate = soundfile.read(path, dtype="int16")
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC")
    return file.getvalue()


def test_the_detector_is_the_only_one_or_named(command, folder, tmp_path, monkeypatch, clips):
    monkeypatch.chdir(tmp_path)
    none = command("score", clips, detector=None)
    assert none.exit_code == 2
    assert "there is no detector (data/06_models/*/*/detector, below " in none.stderr
    shutil.copytree(folder, "data/06_models/slider/lstm/detector")
    assert command("info", detector=None).exit_code == 0
    shutil.copytree(folder, "data/06_models/slider/gru/detector")
    several = command("score", clips, detector=None)
    assert several.exit_code == 2
    assert "choose one: --detector slider/gru or --detector slider/lstm" in several.stderr


def test_the_default_place_is_that_of_the_catalog(simulated_run):
    from anomalous_sound.command.choice import DETECTORS

    with simulated_run.session() as session:
        dataset = session.load_context().catalog.get("lstm.detector")
    path = Path(dataset._describe()["filepath"])
    assert path.relative_to(simulated_run.path).match(DETECTORS)


def test_info_says_what_the_detector_is(folder, command):
    detector = Detector.load(folder)
    shown = " ".join(command("info").stdout.split())
    for text in ("slider", detector.identity.digest, "00, 02", "simulated data", "n_fft 2048"):
        assert text in shown
    found = json.loads(command("info", "--json").stdout)
    assert found["calibration"]["clips"] == {"00": 1, "02": 1}
    assert found["thresholds"]["by_machine_id"] == detector.thresholds.by_machine_id


def test_neither_kedro_nor_mlflow_is_imported(clips, folder):
    program = """
import sys
from anomalous_sound.command.app import run
import anomalous_sound.command.watch.following, anomalous_sound.command.watch.stream
import anomalous_sound.command.recalibration, anomalous_sound.command.description
try:
    run()
except SystemExit as end:
    print(end.code)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"kedro", "mlflow"}))
"""
    path = min(clips.glob("test/anomaly_id_00_*.wav"))
    done = subprocess.run(
        [sys.executable, "-c", program, "score", str(path), "--detector", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-2:] == ["1", "[]"]
    assert done.stderr == ""


def test_the_pipeline_judges_a_single_file_and_nothing_that_was_not_given(
    clips, folder, command, tmp_path
):
    (tmp_path / "elsewhere").mkdir()
    project = Project(tmp_path / "elsewhere")
    path = min(clips.glob("test/anomaly_id_00_*.wav"))
    with pytest.raises(InputError, match="there is no detector; train one first"):
        project.run("score", audio_dir=str(path))
    shutil.copytree(folder, project.data("06_models/slider/lstm/detector"))
    with pytest.raises(DatasetError, match="there are no recordings to read: give a folder"):
        project.run("score")
    assert not project.data("01_raw").exists()
    assert not project.data("02_intermediate").exists()
    project.run("score", audio_dir=str(path))
    (row,) = project.load("score.decisions").itertuples()
    (line,) = events(command("score", path, "--json"))
    assert (row.clip_id, row.score, row.decision) == (path.name, line["score"], line["decision"])
    with pytest.raises(InputError, match="49 are needed for 1 in 50"):
        project.run("score", audio_dir=str(path), thresholds={"false_alarm_rate": 0.02})
