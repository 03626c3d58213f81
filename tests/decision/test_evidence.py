import json

import numpy as np
import pandas as pd
import pytest

from anomalous_sound.configuration.decision import EvidenceSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.evidence import (
    SoundReference,
    is_foreign,
    notes_of,
    weigh_clips,
)
from anomalous_sound.decision.thresholds import Thresholds, decide
from anomalous_sound.features.levels import crest_db, rms_dbfs

SETTINGS = EvidenceSettings(level_margin_db=6.0, crest_margin_db=10.0)
LEVELS = [-30.0, -29.0, -28.0, -27.0, -20.0, -19.5, -19.0]
CRESTS = [12.0, 13.0, 14.0, 15.0, 16.0, 12.0, 13.0]
NORMAL = pd.DataFrame(
    {"machine_id": ["00"] * 4 + ["02"] * 3, "level_dbfs": LEVELS, "crest_db": CRESTS}
)


@pytest.fixture
def reference():
    return SoundReference.fit(NORMAL, SETTINGS)


def test_crest_factors_of_known_waves():
    time_s = np.arange(16000) / 16000
    sine = 0.2 * np.sin(2 * np.pi * 100 * time_s)
    assert crest_db(sine) == pytest.approx(10 * np.log10(2), abs=1e-3)
    assert crest_db(np.sign(sine + 1e-9)) == pytest.approx(0, abs=1e-6)
    assert crest_db(7 * sine) == pytest.approx(crest_db(sine))


def test_a_level_outside_of_normal_clips_is_a_warning_and_nothing_else(reference):
    evidence = reference.weigh(-7.0, 13.0, "00")
    assert notes_of(evidence) == (
        "20 dB louder than the loudest of 4 normal clips: another gain, microphone or distance?",
    )
    assert not is_foreign(evidence)
    (soft,) = notes_of(reference.weigh(-50.0, 13.0, "00"))
    assert soft.startswith("20 dB softer than the softest of 4")
    assert not notes_of(reference.weigh(-22.0, 13.0, "00"))  # 5 dB, less than the margin


def test_a_low_crest_factor_is_foreign_and_a_high_one_is_not(reference):
    evidence = reference.weigh(-28.0, 1.0, "00")
    assert is_foreign(evidence)
    assert notes_of(evidence) == (
        "foreign sound: a crest factor of 1 dB, normal clips have 12 to 15 dB (clipping, a tone or "
        "hum)",
    )
    assert not is_foreign(reference.weigh(-28.0, 60.0, "00"))


def test_p_values_are_counted(reference):
    level, crest = reference.weigh(-28.5, 12.5, "00")
    assert level.p_value == 1  # 2 of 4 as low: twice (1 + 2) / 5, and no more than 1
    assert crest.p_value == pytest.approx((1 + 1) / 5)
    level, crest = reference.weigh(-26.0, 11.0, "00")
    assert level.p_value == pytest.approx(2 * 1 / 5)
    assert crest.p_value == pytest.approx(1 / 5)


def test_a_machine_id_with_few_clips_is_compared_with_all(reference):
    level, _ = reference.weigh(-25.0, 13.0, "04")
    assert (level.lowest_db, level.highest_db, level.normal_clips) == (-30, -19, 7)


def test_no_normal_clip_left_out_is_strange():
    """One lies 40 dB outside of the others, so the margin is 80 dB."""
    outlier = NORMAL.assign(level_dbfs=[-70.0, -30.0, -29.0, -28.0, -20.0, -20.0, -20.0])
    reference = SoundReference.fit(outlier, SETTINGS)
    assert not notes_of(reference.weigh(50.0, 13.0, "00"))
    assert notes_of(reference.weigh(53.0, 13.0, "00"))


def test_it_survives_json(reference):
    again = SoundReference.from_json(json.loads(json.dumps(reference.to_json())))
    assert again == reference


def test_many_clips_are_weighed_as_each(reference):
    clips = NORMAL.assign(clip_id=list("abcdefg"))
    clips.loc[2, "crest_db"] = 0.5
    table = weigh_clips(clips, reference)
    assert table.foreign.tolist() == [False, False, True, False, False, False, False]
    for row, clip in zip(table.itertuples(), clips.itertuples(), strict=True):
        level, crest = reference.weigh(clip.level_dbfs, clip.crest_db, clip.machine_id)
        assert (row.level_p_value, row.crest_p_value) == (level.p_value, crest.p_value)
        assert row.note == "; ".join(notes_of((level, crest)))


def test_a_foreign_clip_counts_as_a_score_above_all():
    calibration = CalibrationScores(tuple("abcd"), ("00",) * 4, (1.0, 2.0, 3.0, 4.0))
    thresholds = Thresholds("conformal", {"00": 4.5}, "machine_type")
    decided = decide(
        [0.0, 0.0, 5.0], ["00"] * 3, thresholds, calibration, foreign=[False, True, False]
    )
    assert list(map(str, decided.decision)) == ["normal", "anomalous", "anomalous"]
    assert decided.p_value.tolist() == [1.0, 0.2, 0.2]
    unknown = decide([0.0], ["07"], thresholds, calibration, foreign=[True])
    assert str(unknown.decision[0]) == "undecided"


def test_gain_changes_the_level_alone():
    samples = np.random.default_rng(1).normal(0, 0.01, 16000)
    assert rms_dbfs(10 * samples) - rms_dbfs(samples) == pytest.approx(20)
    assert crest_db(10 * samples) == pytest.approx(crest_db(samples))
