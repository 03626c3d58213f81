"""What `info` says of a promise: what it is, what it rests on, what came of it."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from command.fakes import IDENTITY

from anomalous_sound.command.description import labelled
from anomalous_sound.command.promise_lines import promise_in_short, promise_lines
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.thresholds import Thresholds

SCORES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)
CALIBRATION = CalibrationScores(tuple("abcdefghi"), ("00",) * 5 + ("02",) * 4, SCORES)
CONFORMAL = Thresholds(
    *("conformal", {"00": 9.5, "02": 9.5}, "machine_type"),
    false_alarm_rate=0.1,
    with_foreign=True,
)
FALLBACK = Thresholds(
    *("validation_mean_plus_k_std", {"00": 4.5, "02": 8.5}, "machine_id"),
    note="conformal cannot be given: 9 normal clips can promise no rate below 1 in 10",
)


def detector(thresholds=CONFORMAL, calibration=CALIBRATION, *, held_out_by="clips", again=None):
    return SimpleNamespace(
        thresholds=thresholds,
        calibration=calibration,
        sound=SimpleNamespace(added_rate=0.6),
        description=SimpleNamespace(corpus=SimpleNamespace(held_out_by=held_out_by)),
        identity=IDENTITY.model_copy(update={"recalibrated_at": again}),
    )


def said(*arguments, **more):
    return dict(promise_lines(detector(*arguments, **more)))


def test_a_proven_promise():
    assert said() == {
        "Promises": "a false alarm on at most 1 in 10 normal clips, foreign sound included",
        "Holds": "always, if new clips are recorded like those it rests on; for all machine IDs "
        "together, not for each",
        "Rests on": "9 normal clips that it was not trained on",
        "Delivered": "a false alarm on 0 of these 9; they set the threshold: new ones may differ",
    }


def test_a_promise_with_folds_is_observed_and_not_proven():
    found = said(calibration=replace(CALIBRATION, in_folds=True))
    assert found["Holds"] == (
        "measured, not proven, since all networks score a new clip together; for all machine IDs "
        "together, not for each"
    )
    assert found["Rests on"] == "9 normal clips, each scored by networks that have not heard it"


def test_a_promise_for_each_machine_id_and_by_the_score_alone():
    own = replace(CONFORMAL, per="machine_id", with_foreign=False)
    found = said(own)
    assert found["Promises"] == (
        "a score at or above the threshold on at most 1 in 10 normal clips of each machine ID; "
        "foreign sound adds 60 in 100 at most"
    )
    assert found["Holds"] == "always, if new clips are recorded like those it rests on"


@pytest.mark.parametrize(
    ("strategy", "holds"),
    [
        ("student_t", "if scores are normally distributed"),
        ("gamma", "if scores are gamma distributed and there are many clips"),
    ],
)
def test_what_a_fitted_threshold_takes_for_granted(strategy, holds):
    assert said(replace(CONFORMAL, strategy=strategy, per="machine_id"))["Holds"] == holds


def test_without_a_promise_it_says_why():
    """Above 4.5 is only e; at or above 8.5 is only i."""
    assert said(FALLBACK) == {
        "Promises": "no false-alarm rate",
        "Why not": FALLBACK.note,
        "Rests on": "9 normal clips that it was not trained on",
        "Delivered": "a false alarm on 2 of these 9; they set the threshold: new ones may differ",
    }
    assert "Why not" not in said(replace(FALLBACK, note=""))


def test_foreign_calibration_clips_are_alarms_whatever_their_score():
    foreign = (True, False, False, False, True, False, False, False, False)
    calibration = replace(CALIBRATION, foreign=foreign)
    found = said(calibration=calibration)
    assert found["Rests on"] == (
        "9 normal clips that it was not trained on, 2 of them foreign among the others, which "
        "count as above any score"
    )
    assert found["Delivered"].startswith("a false alarm on 2 of these 9; ")
    # e is above its threshold, too
    assert said(FALLBACK, calibration)["Delivered"].startswith("a false alarm on 3 of these 9; ")
    one = replace(CALIBRATION, foreign=(True, *(False,) * 8))
    assert said(calibration=one)["Delivered"].startswith("a false alarm on 1 of these 9; ")


def test_what_was_left_out_matters_until_it_is_recalibrated():
    blocks = "; blocks of recordings were left out, so it holds for the days of these"
    assert said(held_out_by="blocks")["Rests on"].endswith(blocks)
    assert "left out" not in said(held_out_by="blocks", again="2026-01-01")["Rests on"]


def test_clips_from_feedback_and_machine_ids_not_trained_on_are_told():
    chosen = replace(CALIBRATION, clip_ids=("feedback:a", *"bcdefghi"))
    unseen = replace(CONFORMAL, for_unseen=True)
    found = said(unseen, chosen)
    assert ", 1 of them chosen because they were alarms" in found["Rests on"]
    assert found["Other IDs"].startswith("for machine IDs not trained on, it rests on 2 machine")


def test_in_short_it_is_the_promise_and_what_it_rests_on():
    assert promise_in_short(detector()) == (
        "a false alarm on at most 1 in 10 normal clips, foreign sound included; rests on 9 normal "
        "clips that it was not trained on"
    )
    assert promise_in_short(detector(FALLBACK)).startswith("no false-alarm rate; rests on 9 ")


def test_long_lines_go_on_below_their_beginning():
    first, *others = labelled("Promises", "word " * 40)
    assert first.startswith("Promises      word word")
    assert others
    assert all(line.startswith(" " * 14 + "word") for line in others)
    assert max(map(len, [first, *others])) <= 90
    path = "/a-very/" + "long/" * 40 + "path.onnx"
    assert path in "\n".join(labelled("Encoder", f"{path}, not copied"))
