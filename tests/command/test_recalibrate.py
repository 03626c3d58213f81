"""New thresholds are the conformal ones of the new recordings, worked out by hand."""

import errno
import json
import math
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from support import noise

from anomalous_sound import Detector
from anomalous_sound.command.app import main
from anomalous_sound.command.recalibration import Recalibration, replace_detector
from anomalous_sound.errors import InputError

pytestmark = pytest.mark.slow


@pytest.fixture
def detector_folder(simulated_run, tmp_path):
    folder = tmp_path / "models" / "detector"
    shutil.copytree(simulated_run.data("06_models/slider/lstm/detector"), folder)
    return folder


@pytest.fixture
def normal(tmp_path, write_clip):
    """Nine normal recordings of machine ID 00."""
    folder = tmp_path / "press"
    for number in range(9):
        write_clip(folder / f"normal_id_00_{number:08d}.wav", noise(number) * (1 + number))
    return folder


def recalibrate(*arguments):
    return CliRunner().invoke(main, ["recalibrate", *map(str, arguments)])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_thresholds_are_conformal(detector_folder, normal, tmp_path):
    old = Detector.load(detector_folder)
    before = contents(detector_folder)
    scores = sorted(old.judge_file(path, machine_id="00").score for path in normal.glob("*.wav"))
    options = ("--detector", detector_folder, "--out", tmp_path / "new", "--yes")
    done = recalibrate(normal, "--false-alarm-rate", 0.25, *options)
    assert done.exit_code == 0, done.output
    new = Detector.load(tmp_path / "new")
    # 9 clips: floor(0.25 * 10) = 2 may score as high, so it is just above the second highest
    assert new.thresholds.by_machine_id == {"00": math.nextafter(scores[-2], math.inf)}
    assert new.thresholds.false_alarm_rate == 0.25
    assert sorted(new.calibration.scores) == scores
    assert not new.calibration.in_folds
    # what is foreign, and how loud normal sound is, comes from the same clips
    assert {name: list(of_ids) for name, of_ids in new.sound.values_db.items()} == {
        "level": ["00"],
        "crest factor": ["00"],
    }
    assert len(new.sound.values_db["level"]["00"]) == 9
    assert new.sound.settings == old.sound.settings
    verdicts = [old.judge_file(one, machine_id="00") for one in sorted(normal.glob("*.wav"))]
    spectra_db = [np.round(one.spectra.spectrum_db, 2).tolist() for one in verdicts]
    assert sorted(map(list, new.sound.mean_spectra.spectra_db["00"])) == sorted(spectra_db)
    assert list(new.sound.mean_spectra.spectra_db) == ["00"]
    assert new.identity.trained_at == old.identity.trained_at
    assert new.identity.digest != old.identity.digest
    assert new.identity.recalibrated_at
    assert contents(detector_folder) == before
    path = min(normal.glob("*.wav"))
    verdict = new.judge_file(path, machine_id="00")
    assert verdict.score == old.judge_file(path, machine_id="00").score
    assert verdict.p_value == (1 + sum(one >= verdict.score for one in scores)) / 10
    assert "no recording is of machine ID 02: its clips will be undecided" in done.output
    assert "machine ID 02: 0." in done.output and "-> none" in done.output
    # a rate once promised is the one to promise again
    again = recalibrate(normal, "--detector", tmp_path / "new", "--yes")
    assert again.exit_code == 0, again.output
    assert "at most 1 in 4 normal clips" in again.output
    assert Detector.load(tmp_path / "new").thresholds == new.thresholds
    (backup,) = tmp_path.glob("new-until-*")
    assert Detector.load(backup).identity == new.identity


def test_nothing_is_written_unasked(detector_folder, normal, tmp_path):
    before = contents(detector_folder)
    asked = recalibrate(normal, "--false-alarm-rate", 0.25, "--detector", detector_folder)
    assert asked.exit_code == 2
    assert "promises then  a false alarm on at most 1 in 4" in asked.output
    assert "nothing was written; to go on, add --yes" in asked.output
    for arguments, message in [
        ((normal, "--yes"), "promises no false-alarm rate (validation_mean_plus_k_std); say"),
        ((normal, "--yes", "--false-alarm-rate", 0.05), "19 are needed for 1 in 20"),
        ((normal, "--yes", "--out", tmp_path), "exists already"),
    ]:
        failed = recalibrate(*arguments, "--detector", detector_folder)
        assert failed.exit_code == 2
        assert message in failed.output
    assert contents(detector_folder) == before
    assert [path.name for path in detector_folder.parent.iterdir()] == ["detector"]


def test_only_normal_recordings_count_and_each_once(detector_folder, normal, write_clip, tmp_path):
    shutil.copy(normal / "normal_id_00_00000000.wav", normal / "normal_id_00_00000099.wav")
    write_clip(normal / "anomaly_id_00_00000001.wav", noise(99))
    (normal / "normal_id_00_00000077.wav").write_bytes(b"RIFF")
    (normal / "normal_id_00_00000078.wav").symlink_to("gone.wav")
    options = ("--detector", detector_folder, "--out", tmp_path / "new", "--yes")
    done = recalibrate(normal, "--false-alarm-rate", 0.25, *options)
    assert done.exit_code == 0, done.output
    new = Detector.load(tmp_path / "new")
    assert len(new.calibration.scores) == 9
    assert "left out       4: " in done.output
    assert "it cannot be read (No such file or directory)" in done.output
    assert "the same audio as normal_id_00_00000000.wav" in done.output
    assert "it is not known to be normal" in done.output


def test_recordings_it_may_have_heard_are_warned_of(simulated_run, detector_folder, tmp_path):
    heard = simulated_run.data("01_raw/simulated/slider")
    done = recalibrate(heard, "--false-alarm-rate", 0.25, "--detector", detector_folder)
    assert "2 clips are called as clips that it was trained or calibrated with" in done.output


def test_clips_that_score_too_low_are_warned_of_whatever_they_are_called(detector_folder, tmp_path):
    before = Detector.load(detector_folder)

    def said(*scores):
        calibration = replace(
            before.calibration,
            clip_ids=tuple(map(str, scores)),
            machine_ids=("00",) * len(scores),
            scores=scores,
            foreign=(False,) * len(scores),
        )
        after = replace(before, calibration=calibration)
        return "\n".join(Recalibration(before, after, ()).in_lines())

    lowest = min(before.calibration.scores)
    clips = len(before.calibration.scores)
    warned = f"2 of 3 clips score lower than each of the {clips} that calibrated it before"
    assert warned in said(lowest - 2, lowest - 1, lowest)
    assert "score lower" not in said(lowest - 1, lowest, lowest + 1)


def test_a_detector_that_is_replaced_twice_within_a_second_is_kept_twice(detector_folder):
    detector = Detector.load(detector_folder)
    kept = [replace_detector(detector, detector_folder) for _ in range(3)]
    assert len({*kept}) == 3
    assert all(contents(folder) == contents(detector_folder) for folder in kept)


def test_a_detector_that_cannot_be_kept_is_not_replaced(detector_folder, monkeypatch):
    detector, before = Detector.load(detector_folder), contents(detector_folder)

    def read_only(*arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", read_only)
        with pytest.raises(InputError, match=r"-until-.* cannot be written: Read-only file system"):
            replace_detector(detector, detector_folder)
    assert contents(detector_folder) == before
    assert not list(detector_folder.parent.glob("*-until-*"))


def test_clips_of_several_lengths_are_warned_of(detector_folder, normal, write_clip):
    options = ("--detector", detector_folder, "--false-alarm-rate", 0.25)
    assert "decides clips of 1.6 to 2.5 s -> 0.8 to 1.2 s" in recalibrate(normal, *options).output
    write_clip(normal / "normal_id_00_00000010.wav", noise(10, 3.0))
    told = recalibrate(normal, *options).output
    assert "decides clips of 1.6 to 2.5 s -> 0.8 to 3.8 s" in told
    assert "WARNING        the clips last from 1.0 to 3.0 s" in told


def test_a_machine_that_it_was_not_trained_on_gets_a_threshold(
    detector_folder, normal, tmp_path, write_clip
):
    for path in normal.glob("*.wav"):
        path.rename(normal / path.name.replace("id_00", "id_07"))
    new = write_clip(tmp_path / "anomaly_id_07_00000001.wav", noise(50))
    old = Detector.load(detector_folder)
    assert old.judge_file(new, machine_id="07").decision == "undecided"
    options = ("--detector", detector_folder, "--out", tmp_path / "new", "--yes")
    assert recalibrate(normal, "--false-alarm-rate", 0.25, *options).exit_code == 0
    arguments = ["score", str(new), "--machine-id", "07", "--detector", str(tmp_path / "new")]
    assert CliRunner().invoke(main, arguments).exit_code in (0, 1)
    shown = CliRunner().invoke(main, ["info", "--detector", str(tmp_path / "new")]).stdout
    assert "for machine ID 07 (conformal)\n" in shown


def test_another_rate_is_free_if_the_clips_can_carry_it(detector_folder, normal, tmp_path):
    options = ("--detector", detector_folder, "--out", tmp_path / "new", "--yes")
    recalibrate(normal, "--false-alarm-rate", 0.25, *options)
    detector = Detector.load(tmp_path / "new")
    scores = sorted(detector.calibration.scores)
    for rate, allowed in ((0.1, 1), (0.2, 2), (0.3, 3), (0.99, 9)):
        changed = detector.at_rate(rate)
        assert changed.thresholds.of("00") == math.nextafter(scores[-allowed], math.inf)
        assert changed.identity.digest != detector.identity.digest
    assert detector.at_rate(0.25) == detector
    from anomalous_sound.errors import InputError

    with pytest.raises(InputError, match="0.05 cannot be promised: 9 normal clips .* 1 in 10; 19"):
        detector.at_rate(0.05)
    with pytest.raises(InputError, match="accepted: above 0 and below 1"):
        detector.at_rate(1.0)
    shown = CliRunner().invoke(main, ["info", "--json", "--detector", str(tmp_path / "new")])
    assert json.loads(shown.stdout)["thresholds"]["false_alarm_rate"] == 0.25


def test_a_rate_that_is_none_is_not_replaced_by_the_detector_s(detector_folder, normal, tmp_path):
    options = ("--detector", detector_folder, "--out", tmp_path / "new", "--yes")
    done = recalibrate(normal, "--false-alarm-rate", 0, *options)
    assert done.exit_code == 2
    assert "accepted: above 0 and below 1" in done.stderr
    assert not (tmp_path / "new").exists()
