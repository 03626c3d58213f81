"""Clips marked normal raise the threshold by as much as can be worked out by hand, or check it."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from support import RATE, noise

from anomalous_sound import Detector
from anomalous_sound.command.app import main
from anomalous_sound.command.watch.kept import Feedback, KeptClips
from anomalous_sound.corpus.decode import Recording
from anomalous_sound.decision.calibration import conformal_threshold
from anomalous_sound.delivery.event import new_event

pytestmark = pytest.mark.slow


def call(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


def forget_the_flux(folder):
    """Let what rattles be no foreign sound to a detector."""
    detector = Detector.load(folder)
    margins = detector.sound.settings.model_copy(update={"flux_margin": None})
    sound = replace(detector.sound, settings=margins, fluxes=None)
    replace(detector, sound=sound)._named().save(folder)


@pytest.fixture
def normal(tmp_path, write_clip):
    """Nine normal recordings of machine ID 00."""
    for number in range(9):
        write_clip(tmp_path / "press" / f"normal_id_00_{number:08d}.wav", noise(number))
    return tmp_path / "press"


@pytest.fixture
def detector_folder(simulated_run, tmp_path, normal):
    """A detector that was calibrated with them: of 9 clips, 2 may score as high."""
    trained = simulated_run.data("06_models/slider/lstm/detector")
    folder = tmp_path / "models" / "detector"
    options = ("--detector", trained, "--out", folder, "--yes", "--false-alarm-rate", 0.25)
    assert call("recalibrate", normal, *options).exit_code == 0
    forget_the_flux(folder)
    return folder


@pytest.fixture
def kept(detector_folder):
    return KeptClips(detector_folder.parent / "kept")


def keep(kept, samples, feedback, machine_id="00"):
    event = new_event("verdict", {"machine_id": machine_id})
    kept.add(event, Recording(samples.astype(np.float32), RATE))
    kept.label(event["id"], feedback, "")
    return event["id"]


def rattling(seed, depth):
    """Noise that is softer by ``depth`` for half of the time: more anomalous the deeper."""
    is_soft = np.sin(2 * np.pi * 5 * np.arange(RATE) / RATE) > 0
    return noise(seed) * (1 - depth * is_soft)[:, None]


def score(folder, samples):
    return Detector.load(folder).judge(samples, RATE, machine_id="00")


def test_clips_marked_normal_are_joined(detector_folder, kept, tmp_path):
    old = Detector.load(detector_folder)
    sounds = [rattling(20, depth) for depth in (0.8, 0.9, 0.99)]
    verdicts = [score(detector_folder, one) for one in sounds]
    assert all(one.is_anomalous and not one.is_foreign for one in verdicts)
    ids = [keep(kept, one, Feedback.NORMAL) for one in sounds]
    quiet = keep(kept, noise(3), Feedback.NORMAL)  # no alarm, and so not joined
    fault = keep(kept, rattling(30, 0.8), Feedback.FAULT)
    before = score(detector_folder, rattling(30, 0.8))
    done = call("recalibrate", "--feedback", "--detector", detector_folder, "--yes")
    assert done.exit_code == 0, done.output
    new = Detector.load(detector_folder)
    scores = sorted([*old.calibration.scores, *(one.score for one in verdicts)])
    # 12 clips: floor(0.25 * 13) = 3 may score as high
    assert new.thresholds.by_machine_id == {"00": math.nextafter(scores[-3], math.inf)}
    assert new.thresholds.of("00") > old.thresholds.of("00")
    assert {*new.calibration.clip_ids[-3:]} == {f"feedback:{name}" for name in ids}
    assert f"feedback:{quiet}" not in new.calibration.clip_ids
    assert new.sound == old.sound
    still = sum(one.score >= new.thresholds.of("00") for one in verdicts)
    assert f"marked normal: 4; alarms now: 3, then: {still}" in done.output
    assert "marked fault: 1; alarms now: 1, then: " in done.output
    if before.score < new.thresholds.of("00"):
        assert f"WARNING        faults that would be missed: 1 ({fault})" in done.output
    assert "3 of them chosen because they were alarms" in " ".join(done.output.split())
    assert "nothing is promised of how often today's normal sound is an alarm" in done.output
    shown = call("info", "--detector", detector_folder).stdout
    assert "12 normal clips that it was not trained on, 3 of them chosen" in " ".join(shown.split())
    assert len(list(detector_folder.parent.glob("detector-until-*"))) == 1
    # the same clips are not joined twice
    again = call("recalibrate", "--feedback", "--detector", detector_folder, "--yes")
    found = Detector.load(detector_folder).calibration.clip_ids
    assert len(found) == len(set(found)) == 12
    assert again.exit_code in (0, 2)


def test_no_threshold_falls():
    rng = np.random.default_rng(0)
    for _ in range(2000):
        stored = np.round(rng.normal(size=rng.integers(1, 40)), 1)  # with ties
        rate = float(rng.uniform(1 / (len(stored) + 1), 0.99))
        old = conformal_threshold(stored, rate)
        alarms = old + np.round(rng.exponential(size=rng.integers(1, 30)), 1)
        assert conformal_threshold(np.concatenate([stored, alarms]), rate) >= old


def test_with_a_folder_feedback_is_a_check_alone(detector_folder, kept, normal, tmp_path):
    alarm = rattling(20, 0.9)
    keep(kept, alarm, Feedback.NORMAL)
    options = ("--detector", detector_folder, "--yes", "--false-alarm-rate", 0.25)
    with_it = call("recalibrate", normal, "--feedback", *options, "--out", tmp_path / "a")
    without = call("recalibrate", normal, *options, "--out", tmp_path / "b")
    assert with_it.exit_code == without.exit_code == 0, with_it.output
    assert Detector.load(tmp_path / "a").thresholds == Detector.load(tmp_path / "b").thresholds
    assert "marked normal: 1; alarms now: 1, then: 1" in with_it.output
    assert "marked normal" not in without.output


def test_a_foreign_sound_is_an_alarm_whatever_the_threshold(simulated_run, tmp_path, write_clip):
    def with_knocks(samples):
        samples[::4000] = 0.9
        return samples

    for number in range(9):
        path = tmp_path / "press" / f"normal_id_00_{number:08d}.wav"
        write_clip(path, with_knocks(noise(number)))
    trained, folder = simulated_run.data("06_models/slider/lstm/detector"), tmp_path / "detector"
    options = ("--detector", trained, "--out", folder, "--yes", "--false-alarm-rate", 0.25)
    assert call("recalibrate", tmp_path / "press", *options).exit_code == 0
    forget_the_flux(folder)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)[:, None]
    assert score(folder, tone).is_foreign  # its crest factor is 3 dB
    kept = KeptClips(tmp_path / "kept")
    keep(kept, tone, Feedback.NORMAL)
    done = call("recalibrate", "--feedback", "--detector", folder, "--yes")
    assert done.exit_code == 2
    assert (
        "Of the clips marked normal (1), no alarm: 0; foreign sound, an alarm whatever the "
        "threshold: 1; joined before: 0."
    ) in done.output
    loud = with_knocks(rattling(20, 0.99))
    assert score(folder, loud).is_anomalous and not score(folder, loud).is_foreign
    keep(kept, loud, Feedback.NORMAL)
    done = call("recalibrate", "--feedback", "--detector", folder, "--yes")
    assert done.exit_code == 0, done.output
    assert "marked normal and foreign sound, an alarm whatever the threshold: 1" in done.output
    assert "joined to the calibration: 1." in done.output
    assert score(folder, tone).is_anomalous


def test_nothing_is_written_unasked_or_without_feedback(detector_folder, kept, simulated_run):
    before = (detector_folder / "settings.json").read_bytes()
    for arguments, message in [
        ([], "recalibrate needs a folder of normal recordings, or --feedback"),
        (["--feedback", "--yes"], "is marked; mark some: anomalous-sound feedback ID --normal"),
    ]:
        done = call("recalibrate", *arguments, "--detector", detector_folder)
        assert done.exit_code == 2
        assert message in done.output
    keep(kept, rattling(20, 0.9), Feedback.NORMAL)
    done = call("recalibrate", "--feedback", "--detector", detector_folder)
    assert done.exit_code == 2
    assert "nothing was written; to go on, add --yes" in done.output
    assert (detector_folder / "settings.json").read_bytes() == before
    # a detector that promises no rate
    trained = simulated_run.data("06_models/slider/lstm/detector")
    options = ("--detector", trained, "--kept", kept.folder, "--yes")
    done = call("recalibrate", "--feedback", *options)
    assert "promises no false-alarm rate" in done.output


def test_from_an_alarm_to_another_threshold(detector_folder, simulated_run, tmp_path):
    """What a person does: watch, look at an alarm, say what it was."""
    folder = tmp_path / "in"
    folder.mkdir()
    path = min(simulated_run.data("01_raw/simulated/slider/test").glob("anomaly_id_00_*.wav"))
    samples, rate = soundfile.read(path)
    path = tmp_path / path.name
    soundfile.write(path, samples[:rate], rate)  # as long as the normal recordings
    shutil.copy(path, folder)
    options = ("--detector", detector_folder)
    quick = ("--once", "--settled-after", 0, "--interval", 0.1)
    done = call("watch", folder, *quick, *options)
    (line,) = [line for line in done.stdout.splitlines() if "; id " in line]
    event_id = line.rpartition("; id ")[2]
    assert "to say what such a clip was, anomalous-sound feedback ID --kept " in line
    folder.joinpath(path.name).unlink()  # the clip is kept nevertheless
    for arguments, message in [
        ([event_id], "say what it was: --normal or --fault"),
        (["none", "--fault"], f"no clip of 'none' is kept .*{event_id}"),
    ]:
        failed = call("feedback", *arguments, *options)
        assert failed.exit_code == 2
        assert message.partition(" .*")[0] in failed.output
    said = call("feedback", event_id, "--normal", "--note", "a forklift", *options)
    assert said.exit_code == 0, said.output
    assert f"{event_id} is marked normal: " in said.stdout
    (clip,) = KeptClips(detector_folder.parent / "kept").clips(Feedback.NORMAL)
    assert clip.event["feedback"]["note"] == "a forklift"
    verdict = Detector.load(detector_folder).judge_file(path, machine_id="00")
    assert clip.event["score"] == verdict.score
    # the folder is that of a watch: no detector is needed to speak of it
    assert call("feedback", event_id, "--fault", "--kept", clip.folder.parents[1]).exit_code == 0
