"""What is promised is kept, or not given: folds, machine IDs that are not known, few clips."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support import SMALL_PARAMETERS, Project

from anomalous_sound.command.promise_lines import promise_lines
from anomalous_sound.configuration.scoring import PooledErrorSettings
from anomalous_sound.errors import InputError
from anomalous_sound.scoring.scores import fit_score
from anomalous_sound.training import loop as training_module

pytestmark = pytest.mark.slow

FOLDS = {"folds": 2}
RULES = {"false_alarm_rate": 0.12, "deployed": "conformal"}


@pytest.fixture(scope="module")
def in_folds(tmp_path_factory):
    """Two machine IDs with 4 normal clips each, in 2 folds; the standard score; only read."""
    project = Project(tmp_path_factory.mktemp("in_folds"))
    lstm = SMALL_PARAMETERS["lstm"] | {"score": {"type": "band_deviation", "reads": "errors",
        "prior_clips": 0.0, "scale": "linear",
        "pooling": {"type": "mean"}, "whitening": "band", "reference": "machine_id",
        "backend": {"type": "mean_square"}}}  # fmt: skip
    project.configure("parameters", SMALL_PARAMETERS | {"lstm": lstm})
    project.run("lstm", detector=FOLDS, thresholds=RULES)
    return project


def test_all_normal_clips_serve_training_and_calibration(in_folds):
    clips, folds = in_folds.load("clips"), in_folds.load("lstm.folds")
    assert set(clips.split) == {"train", "test"}
    assert set(folds.clip_id) == set(clips.clip_id[clips.split == "train"])
    assert folds.fold.value_counts().to_dict() == {0: 4, 1: 4}
    network = in_folds.load("lstm.network")
    assert network.members() == ("fold_0", "fold_1")
    calibration = in_folds.load("lstm.calibration_scores")
    assert set(calibration.clip_ids) == set(folds.clip_id)
    assert calibration.in_folds
    history = in_folds.load("lstm.training_history")
    assert list(history.epoch) == [1, 2]


def test_scores_thresholds_and_p_values_come_from_scores_left_out(in_folds):
    """Each by hand, from the pooled errors: one network and one score less for a normal clip."""
    clips = in_folds.load("clips").set_index("clip_id")
    folds = in_folds.load("lstm.folds").set_index("clip_id").fold
    pooled = in_folds.load("lstm.pooled_errors").set_index(["clip_id", "member"])
    scores = in_folds.load("lstm.clip_scores").set_index("clip_id").score
    settings = in_folds.load("lstm.fitted_score").settings
    normal = list(folds.index)
    left_out = np.stack([pooled.loc[name, f"fold_{folds[name]}"] for name in normal])
    ids = clips.machine_id[normal].to_numpy()
    assert len(pooled) == len(normal) + 2 * (clips.split == "test").sum()
    for place, name in enumerate(normal):
        others = np.arange(len(normal)) != place
        fitted = fit_score(settings, left_out[others], ids[others], seed=1)
        (expected,) = fitted.score(left_out[[place]], ids[[place]])
        assert scores[name] == expected
    fitted = fit_score(settings, left_out, ids, seed=1)
    test = clips[clips.split == "test"]
    for name, machine_id in test.machine_id.items():
        members = pooled.loc[name].to_numpy()
        assert scores[name] == fitted.score(members, np.array([machine_id] * 2)).mean()
    calibration = scores[normal]
    deployed = in_folds.load("lstm.deployed")
    assert (deployed.strategy, deployed.note) == ("conformal", "")
    # 8 normal clips can promise 1 in 9
    assert deployed.shared == np.nextafter(calibration.max(), np.inf)
    decisions = in_folds.load("lstm.decisions").set_index("clip_id")
    for name in test.index:
        # foreign sound counts as if its score was above all
        as_high = 0 if decisions.foreign[name] else (calibration >= scores[name]).sum()
        assert decisions.p_value[name] == pytest.approx((1 + as_high) / 9)
    assert decisions.score[normal].to_numpy() == pytest.approx(calibration.to_numpy())
    assert decisions.p_value[normal].isna().all()
    metrics = in_folds.load("lstm.metrics")
    windows = in_folds.load("lstm.window_errors")
    errors = windows.groupby(windows.clip_id.astype(str)).error.mean()[normal]
    assert metrics["validation_error_mean"] == pytest.approx(errors.mean(), rel=1e-5)
    assert metrics["validation_error_std"] == pytest.approx(errors.std(ddof=1), rel=1e-4)


def test_the_reference_of_the_windows_is_of_errors_left_out(in_folds):
    errors = in_folds.load("lstm.band_errors")
    reference = in_folds.load("lstm.window_reference")
    clips = in_folds.load("clips")
    names = clips.clip_id[(clips.split == "train") & (clips.machine_id == "02")]
    logarithms = np.concatenate([np.log(errors.clip(name)[0] + 1e-12) for name in names])
    assert all(len(errors.clip(name)) == 1 for name in names)
    found = reference.machine_ids["02"].means
    np.testing.assert_allclose(found, logarithms.mean(axis=0), rtol=1e-5)


def test_the_timeline_is_the_mean_over_the_networks(in_folds):
    errors, clips = in_folds.load("lstm.band_errors"), in_folds.load("clips")
    timeline = in_folds.load("lstm.window_errors")
    name = clips.clip_id[clips.split == "test"].iloc[0]
    of_clip = next(clip for clip in errors if clip.clip_id == name)
    assert of_clip.window_errors.shape == (2, 53)
    found = timeline.error[timeline.clip_id == name]
    np.testing.assert_allclose(found, of_clip.window_errors.mean(axis=0), rtol=1e-6)


def test_the_report_says_observed_and_not_proven(in_folds):
    report = in_folds.data("08_reporting/slider/lstm/report.md").read_text()
    assert "always, if the clips are exchangeable" not in report
    assert "observed, not proven, with folds; for the mixture of machine IDs, not" in report


def test_the_report_says_what_foreign_sound_adds(in_folds):
    report, page = (
        in_folds.data("08_reporting/slider/lstm", name).read_text()
        for name in ("report.md", "report.html")
    )
    assert "Conformal thresholds promise for all of them" in report
    assert "foreign sound included (observed, not proven" in page


def test_info_says_what_the_promise_rests_on(in_folds):
    detector = in_folds.load("lstm.detector")
    said = dict(promise_lines(detector))
    assert said["Promises"].endswith("normal clips, foreign sound included")
    assert said["Holds"].startswith("measured, not proven")
    assert detector.calibration.foreign == (False,) * len(detector.calibration.scores)
    earlier = replace(detector, calibration=replace(detector.calibration, foreign=None))
    said = dict(promise_lines(earlier.at_rate(detector.thresholds.false_alarm_rate)))
    assert said["Promises"].startswith("a score at or above the threshold on at most ")
    # 3 kinds, 4 normal clips a machine ID
    assert said["Promises"].endswith("foreign sound adds 60 in 100 at most")


def test_folds_of_each_machine_id_calibrate_the_networks_that_are_delivered(project):
    of_each = FOLDS | {"per": "machine_id"}
    project.run("lstm", to_outputs=["lstm.detector"], detector=of_each, thresholds=RULES)
    members = [f"id_{machine_id}/fold_{fold}" for machine_id in ("00", "02") for fold in (0, 1)]
    detector = project.load("lstm.detector")
    assert list(detector.networks.members()) == members
    folds = project.load("lstm.folds").set_index("clip_id").fold
    clips = project.load("clips").set_index("clip_id")
    judged_by = project.load("lstm.pooled_errors").groupby("clip_id").member.agg(list)
    for name, clip in clips.iterrows():
        own = [f"id_{clip.machine_id}/fold_{fold}" for fold in (0, 1)]
        expected = [own[folds[name]]] if clip.split == "train" else own
        assert judged_by[name] == expected
    with pytest.raises(InputError, match="machine ID '07' has no training clips"):
        detector.judge(np.random.default_rng(0).normal(0, 0.1, 16000), 16000, machine_id="07")


def test_a_machine_id_without_training_clips_is_scored_but_not_decided(
    project, dcase_folder, write_clip
):
    for number, label in enumerate(("normal", "anomaly")):
        write_clip(dcase_folder / "test" / f"{label}_id_07_00000000.wav", seed=98 + number)
    project.run(audio_dir=str(dcase_folder), detector=FOLDS)
    decisions = project.load("lstm.decisions").set_index("clip_id")
    unseen = decisions[decisions.index.str.contains("id_07")]
    assert unseen.decision.tolist() == ["undecided"] * 2
    assert unseen.score.notna().all()
    assert unseen[["threshold", "p_value"]].isna().all(axis=None)
    assert set(decisions.decision.drop(unseen.index)) <= {"normal", "anomalous"}
    metrics = project.load("lstm.metrics")
    assert metrics["deployed"]["undecided"] == 2
    report = project.data("08_reporting/slider/lstm/report.md").read_text()
    assert "**2 clips are undecided:**" in report
    # and the same of a clip that comes later
    project.run("score", audio_dir=str(dcase_folder))
    later = project.load("score.decisions").set_index("clip_id")
    assert later.decision[unseen.index].tolist() == ["undecided"] * 2
    judged = project.data("08_reporting/slider/score/report.md").read_text()
    assert "undecided: 2.**" in judged
    verdict = project.load("lstm.detector").judge_file(
        dcase_folder / unseen.index[0], machine_id="07"
    )
    assert (verdict.decision, verdict.threshold, verdict.p_value) == ("undecided", None, None)
    assert [one.p_value for one in verdict.evidence] == [None] * 4
    evidence = project.load("score.evidence").set_index("clip_id")
    p_values = evidence.filter(like="p_value").loc[unseen.index]
    assert p_values.shape == (2, 4)
    assert p_values.isna().all(axis=None)


def test_a_machine_id_without_a_network_is_told_of_before_the_training(
    project, dcase_folder, write_clip, monkeypatch
):
    write_clip(dcase_folder / "test" / "normal_id_07_00000000.wav", seed=99)
    monkeypatch.setattr(training_module, "train_network", None)
    with pytest.raises(InputError, match="machine ID '07' has no training clips"):
        project.run(audio_dir=str(dcase_folder), detector={"per": "machine_id"})


@pytest.fixture
def nameless(in_folds, tmp_path):
    """A test clip of machine ID 02 under a name that gives none, and its row in the table."""
    clips = in_folds.load("clips")
    name = clips.clip_id[(clips.split == "test") & (clips.machine_id == "02")].iloc[0]
    folder = tmp_path / "new"
    folder.mkdir()
    shutil.copy(in_folds.data("01_raw/simulated/slider", name), folder / "monday.wav")
    return folder, in_folds.load("lstm.decisions").set_index("clip_id").loc[name]


def elsewhere(in_folds, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    project = Project(tmp_path / "elsewhere")
    detector = "06_models/slider/lstm/detector"
    shutil.copytree(in_folds.data(detector), project.data(detector))
    return project


def test_the_user_says_which_machine_a_clip_without_a_name_is_of(in_folds, nameless, tmp_path):
    folder, expected = nameless
    project = elsewhere(in_folds, tmp_path)
    project.run("score", audio_dir=str(folder))
    assert project.load("score.decisions").decision.tolist() == ["undecided"]
    report = project.data("08_reporting/slider/score/report.md").read_text()
    assert "`--params inference.machine_id=ID` (it knows 00, 02)" in report
    judged = ["score.decisions"]
    project.run("score", to_outputs=judged, audio_dir=str(folder), inference={"machine_id": "02"})
    (found,) = project.load("score.decisions").to_dict("records")
    for name in ("score", "threshold", "p_value"):
        assert found[name] == pytest.approx(expected[name], rel=1e-12)
    assert found["decision"] == expected.decision
    with pytest.raises(InputError, match=r"machine_id is '05', .* trained on '00', '02'"):
        project.run("score", audio_dir=str(folder), inference={"machine_id": "05"})
    detector = in_folds.load("lstm.detector")
    assert detector.judge_file(folder / "monday.wav").decision == "undecided"
    verdict = detector.judge_file(folder / "monday.wav", machine_id="02")
    assert verdict.score == pytest.approx(expected.score, rel=1e-12)


def test_a_detector_of_one_machine_takes_a_clip_without_a_name_to_be_of_it(
    project, dcase_folder, tmp_path
):
    project.run(
        to_outputs=["lstm.detector", "lstm.decisions"],
        audio_dir=str(dcase_folder),
        corpus={"machine_ids": ["00"]},
        detector={"per": "machine_id"},
    )
    decisions = project.load("lstm.decisions").set_index("clip_id")
    name = decisions.index[decisions.index.str.startswith("test/")][0]
    (tmp_path / "new").mkdir()
    shutil.copy(dcase_folder / name, tmp_path / "new" / "monday.wav")
    project.run("score", to_outputs=["score.decisions"], audio_dir=str(tmp_path / "new"))
    (found,) = project.load("score.decisions").to_dict("records")
    assert found["score"] == pytest.approx(decisions.score[name], rel=1e-12)
    assert found["decision"] == decisions.decision[name]
    verdict = project.load("lstm.detector").judge_file(tmp_path / "new" / "monday.wav")
    assert verdict.machine_id == "00"
    assert verdict.decision == decisions.decision[name]


def test_a_detector_calibrated_by_whole_machine_ids_decides_others(
    project, dcase_folder, write_clip
):
    write_clip(dcase_folder / "test" / "normal_id_07_00000000.wav", seed=99)
    project.run(
        to_outputs=["lstm.detector", "lstm.decisions"],
        audio_dir=str(dcase_folder),
        detector={"left_out": "machine_id"},
        profile="standard",
    )
    clips, folds = project.load("clips"), project.load("lstm.folds")
    of_fold = folds.merge(clips, on="clip_id").groupby("fold").machine_id.agg(set)
    assert of_fold.tolist() == [{"00"}, {"02"}]
    calibration = project.load("lstm.calibration_scores")
    # a score that was fitted without the whole machine ID
    score = project.load("lstm.fitted_score").settings
    pooled = project.load("lstm.pooled_errors").set_index("clip_id").drop(columns="member")
    ids = clips.set_index("clip_id").machine_id
    others = folds.clip_id[folds.fold == 1]
    whole = project.load("lstm.fitted_score")
    columns = [whole.columns(some.to_numpy()) for some in (pooled.loc[others], pooled)]
    without = [
        fit_score(part, of_part, ids[others].to_numpy(), seed=1)
        for part, of_part in zip(score.parts, columns[0], strict=True)
    ]
    expected = whole.join(
        [
            part.score(of_part, ids[pooled.index].to_numpy())
            for part, of_part in zip(without, columns[1], strict=True)
        ]
    )
    expected = dict(zip(pooled.index, expected, strict=True))
    for name, value in zip(calibration.clip_ids, calibration.scores, strict=True):
        if ids[name] == "00":
            assert value == pytest.approx(expected[name], rel=1e-12)
    decisions = project.load("lstm.decisions").set_index("clip_id")
    unseen = decisions.loc["test/normal_id_07_00000000.wav"]
    assert unseen.decision in ("normal", "anomalous")
    assert 0 < unseen.p_value <= 1
    detector = project.load("lstm.detector")
    assert detector.thresholds.for_unseen


def plain_folder(tmp_path, write_clip, count):
    for number in range(count):
        write_clip(tmp_path / "press" / f"monday {number}.wav", seed=number)
    return str(tmp_path / "press")


@pytest.mark.parametrize("folds", [1, 4])
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_few_clips_are_enough_or_the_need_is_told_before_the_training(
    project, tmp_path, write_clip, monkeypatch, count, folds
):
    """The standard score needs two, and one more to leave out, or two that are held out."""
    run = {
        "audio_dir": plain_folder(tmp_path, write_clip, count),
        "profile": "standard",
        "detector": {"folds": folds},
    }
    if count < 3 + (folds == 1):
        monkeypatch.setattr(training_module, "train_network", None)
        with pytest.raises(InputError, match="too few normal training clips"):
            project.run(**run)
        return
    fewest = count == 3 + (folds == 1)  # with those, a report is made too
    project.run(to_outputs=None if fewest else ["lstm.decisions"], **run)
    decisions = project.load("lstm.decisions")
    assert set(decisions.decision) <= {"normal", "anomalous"}
    assert np.isfinite(decisions.score).all()


def test_a_score_that_is_not_fitted_needs_two_clips_in_folds(project, tmp_path, write_clip):
    project.run(audio_dir=plain_folder(tmp_path, write_clip, 2), detector={"folds": 4})
    assert isinstance(project.load("lstm.fitted_score").settings, PooledErrorSettings)
    assert project.load("lstm.network").members() == ("fold_0", "fold_1")
    assert len(project.load("lstm.calibration_scores").scores) == 2
    assert pd.notna(project.load("lstm.decisions").threshold).all()
