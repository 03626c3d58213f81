"""Two channels that are judged each by itself, from raw audio to report."""

import json

import numpy as np
import pytest
from support import RATE, noise

from anomalous_sound import Detector
from anomalous_sound.command.lines import stands_out
from anomalous_sound.command.watch.stream import segment_samples
from anomalous_sound.decision.export import export
from anomalous_sound.errors import InputError, UnreadableClipError

pytestmark = pytest.mark.slow

NORMAL, FAULTS = 10, 3


def two_channels(seed, *, fault=False):
    """A machine, heard by a near and a far microphone; a fault sounds in the far one alone."""
    samples = noise(seed, seconds=2.0, channels=2)
    if fault:
        samples[:, 1] += 0.05 * np.sin(2 * np.pi * 3000 * np.arange(len(samples)) / RATE)
    return samples


@pytest.fixture
def folder(tmp_path, write_clip):
    """The layout of DCASE 2026; two clips cannot be judged in both channels."""
    place = tmp_path / "fan"
    for n in range(NORMAL):
        write_clip(place / f"train/section_00_source_train_normal_{n:04d}.wav", two_channels(n))
    for n in range(FAULTS):
        test = place / "test"
        write_clip(test / f"section_00_source_test_normal_{n:04d}.wav", two_channels(50 + n))
        faulty = two_channels(70 + n, fault=True)
        write_clip(test / f"section_00_source_test_anomaly_{n:04d}.wav", faulty)
    mono, dead = noise(90, seconds=2.0), two_channels(91)
    dead[:, 1] = 0
    write_clip(place / "test/section_00_source_test_normal_0090.wav", mono)
    write_clip(place / "test/section_00_source_test_normal_0091.wav", dead)
    return place


@pytest.mark.parametrize(
    ("method", "profile", "rule"),
    [("lstm", "report", "maximum"), ("lstm_dense", "standard", "mean")],
)
def test_each_channel_is_judged_and_a_clip_has_one_verdict(project, folder, method, profile, rule):
    settings = {"channel": [0, 1]}
    detector_settings = {"channels": rule}
    if profile == "standard":
        detector_settings["folds"] = 2
    how = {"audio": settings, "detector": detector_settings, "profile": profile}
    project.run(method, audio_dir=str(folder), thresholds={"false_alarm_rate": 0.1}, **how)
    clips, rejected = project.load("clips"), project.load("rejected_clips")
    assert len(clips) + len(rejected) == NORMAL + 2 * FAULTS + 2
    reasons = rejected.set_index("clip_id").reason
    assert "no channel 1" in reasons["test/section_00_source_test_normal_0090.wav"]
    assert "channel 1: all samples are zero" in reasons.iloc[1]
    decisions = project.load(f"{method}.decisions")
    assert sorted(decisions.clip_id) == sorted(clips.clip_id)

    # the clip's score is made of the channels', by the rule
    scores = project.load(f"{method}.clip_scores").set_index("clip_id").score
    of_channels = project.load(f"{method}.channel_scores").pivot(
        index="clip_id", columns="channel", values="score"
    )
    joined = of_channels.max(axis=1) if rule == "maximum" else of_channels.mean(axis=1)
    np.testing.assert_allclose(joined, scores[joined.index], rtol=1e-9)
    faulty = [name for name in scores.index if "anomaly" in name]
    assert (of_channels.loc[faulty].idxmax(axis=1) == 1).all()

    # thresholds are those of the joined scores of normal clips that were left out
    calibration = project.load(f"{method}.calibration_scores")
    fitted_on = set(project.load(f"{method}.folds").clip_id)
    np.testing.assert_allclose(
        sorted(calibration.scores), sorted(scores[list(fitted_on)]), rtol=1e-12
    )

    # the detector alone says the same, exported or not
    place = project.data("06_models", "fan", method, "detector")
    detector = Detector.load(place)
    export(detector).save(place.parent / "exported")
    for one in (detector, Detector.load(place.parent / "exported")):
        verdict = one.judge_file(folder / faulty[0], error_map=True)
        assert verdict.score == pytest.approx(scores[faulty[0]], rel=1e-4)
        assert verdict.channel == 1
        assert "channel 1" in stands_out(verdict)
        assert verdict.channel_scores[1] == pytest.approx(of_channels[1][faulty[0]], rel=1e-4)
        assert verdict.error_map.deviations.shape[1] == 128
        assert json.loads(json.dumps(verdict.to_json()))["channel"] == 1
    with pytest.raises(UnreadableClipError, match="no channel 1"):
        detector.judge(noise(1, seconds=2.0), RATE)
    with pytest.raises(InputError, match="judges channel 0 and 1.* watch a folder"):
        segment_samples(detector, RATE, 2.0, None)

    report = project.data("08_reporting", "fan", method, "report.md").read_text()
    assert "## Channels" in report
    page = project.data("08_reporting", "fan", method, "report.html").read_text()
    assert "channel 1 stands out most" in page

    project.run("compare", audio_dir=str(folder), compare={"methods": [method]}, **how)
    project.run("score", audio_dir=str(folder), inference={"method": method})
    again = project.load("score.clip_scores", detector="fan").set_index("clip_id").score
    np.testing.assert_allclose(again[faulty], scores[faulty], rtol=1e-12)
    judgement = project.data("08_reporting", "fan", "score", "report.md").read_text()
    assert "| channel |" in judgement
