"""One verdict, of score and foreign sound together, keeps the promised rate."""

import json

import numpy as np
import pandas as pd
import pytest

from anomalous_sound.configuration.decision import EvidenceSettings, ThresholdSettings
from anomalous_sound.decision.calibration import (
    CalibrationScores,
    conformal_p_value,
    conformal_threshold,
)
from anomalous_sound.decision.evidence import is_foreign
from anomalous_sound.decision.sound_reference import SoundReference, foreign_among
from anomalous_sound.decision.spectra import Spectra
from anomalous_sound.decision.thresholds import conformal_at, decide, deploy
from anomalous_sound.errors import InputError

MARGINS = EvidenceSettings(
    level_margin_db=6.0, crest_margin_db=10.0, spectrum_margin=1.3, spectrum_least_db=0.0
)
RATE_HZ = 2000


def calibration(scores, foreign=None, machine_ids=None):
    names = tuple(map(str, range(len(scores))))
    return CalibrationScores(
        *(names, machine_ids or ("00",) * len(scores), tuple(map(float, scores))), foreign=foreign
    )


def test_infinite_scores_are_above_any():
    scores = np.array([1.0, np.inf, 2.0, 3.0])
    # of 4 clips, 2 in 5 allow two alarms; the infinite one is the first
    assert conformal_threshold(scores, 0.4) == np.nextafter(3.0, np.inf)
    assert np.isnan(conformal_threshold(scores, 0.2))
    assert conformal_p_value(scores, np.array([0.0, 3.0, 3.5, np.inf])).tolist() == [
        *(1.0, 3 / 5, 2 / 5, 2 / 5)
    ]
    for wrong in ([np.nan, 1.0], [-np.inf, 1.0]):
        with pytest.raises(InputError):
            conformal_threshold(np.array(wrong), 0.4)


def test_a_foreign_calibration_clip_raises_the_threshold_and_all_p_values():
    known = calibration([1, 2, 3, 4], (True, False, False, False))
    assert known.values().tolist() == [1, 2, 3, 4]
    assert known.joint().tolist() == [np.inf, 2, 3, 4]
    found = conformal_at(known, 0.4, per="machine_type")
    assert found.by_machine_id["00"] == np.nextafter(4.0, np.inf)
    by_score = conformal_at(known, 0.4, per="machine_type", by_score=True)
    assert by_score.by_machine_id["00"] == np.nextafter(3.0, np.inf)
    decided = decide(
        *([0.0, 3.5, 5.0, 0.0], ["00"] * 4, found, known), foreign=[False, False, False, True]
    )
    assert list(map(str, decided.decision)) == ["normal", "normal", "anomalous", "anomalous"]
    assert decided.p_value.tolist() == [1.0, 3 / 5, 2 / 5, 2 / 5]


def test_each_machine_id_counts_its_own():
    known = calibration(
        range(8), (True, *(False,) * 7), ("00", "00", "00", "00", "02", "02", "02", "02")
    )
    found = conformal_at(known, 0.4, per="machine_id").by_machine_id
    assert found == {"00": np.nextafter(3.0, np.inf), "02": np.nextafter(6.0, np.inf)}
    assert known.p_values(np.array([9.0, 9.0]), ["00", "02"], per="machine_id").tolist() == [
        *(2 / 5, 1 / 5)
    ]


def test_too_many_foreign_clips_and_no_rate_is_promised():
    known = calibration([1, 2, 3, 4], (True, False, False, False))
    with pytest.raises(InputError, match=r"0\.2 cannot be promised: 1 of 4 normal clips is fore"):
        conformal_at(known, 0.2, per="machine_type")
    settings = ThresholdSettings(
        **{"per": "machine_type", "false_alarm_rate": 0.2, "k": 2.0, "percentile": 90.0},
        **{"tpr": 0.8, "deployed": "conformal", "fallback": "validation_mean"},
    )
    found = deploy(known, settings)
    assert (found.strategy, found.by_machine_id["00"]) == ("validation_mean", 2.5)
    assert found.false_alarm_rate is None
    assert "1 in 5 leaves room for 0" in found.note
    assert found.note.endswith(
        "9 are needed for as many; listen to them, and take out what is not normal (0)"
    )
    assert deploy(calibration([1, 2, 3, 4]), settings).strategy == "conformal"


def test_it_survives_json_and_is_not_known_of_earlier_detectors():
    known = calibration([1, 2], (True, False))
    text = json.dumps(known.to_json(), allow_nan=False)
    assert CalibrationScores.from_json(json.loads(text)) == known
    assert CalibrationScores.from_table(known.table()) == known
    assert known.only(["00"]) == known
    earlier = calibration([1, 2])
    assert "foreign" not in earlier.to_json()
    assert CalibrationScores.from_json(earlier.to_json()) == earlier
    assert earlier.joint().tolist() == [1, 2]
    with pytest.raises(InputError, match="there are 2 scores; of 1 clips"):
        calibration([1, 2], (True,))


def clips_of(crests_db, machine_ids):
    return pd.DataFrame(
        {"machine_id": machine_ids, "crest_db": crests_db, "level_dbfs": -30.0, "duration_s": 10.0}
    )


def sounding(spectra_db, fluxes_db=None):
    spectra = np.array(spectra_db, dtype=float)
    return Spectra(spectra, np.zeros_like(spectra) if fluxes_db is None else fluxes_db)


def test_what_is_foreign_among_normal_clips_is_worked_out():
    """Of three and more, each is compared with its own machine ID; of fewer, with all."""
    ids = ["00"] * 4 + ["02"] * 3 + ["04"]
    same = np.zeros((8, 2))

    def foreign(crests_db=(12.0,) * 8, spectra_db=same):
        found = foreign_among(clips_of(crests_db, ids), sounding(spectra_db), MARGINS)
        return np.flatnonzero(found).tolist()

    assert foreign() == []
    assert foreign([1.9, 12, 13, 14, 12, 12, 12, 12]) == [0]
    assert foreign([2.0, 12, 13, 14, 12, 12, 12, 12]) == []
    # whatever the gap above the lowest: a further clip could close it
    assert foreign([1.9, 12, 40, 40, 12, 12, 12, 12]) == [0]
    assert foreign([12, 12, 12, 12, 30, 30, 30, 1]) == [7]
    assert foreign([12, 12, 12, 12, 30, 30, 30, 12]) == []
    # the tilts 0, 1, 2 and t: from the mean, all distances have the same factor
    for tilt_db, expected in ((3.0, []), (5.0, [3])):
        tilts = np.array([0.0, 1.0, 2.0, tilt_db])
        from_mean = np.abs(tilts - tilts.mean())
        assert (from_mean[3] > 1.3 * from_mean[:3].max()) == bool(expected)
        spectra = same.copy()
        spectra[:4] = np.outer(tilts, [-0.5, 0.5])
        assert foreign(spectra_db=spectra) == expected
    assert foreign_among(clips_of([1.0], ["00"]), sounding(same[:1]), MARGINS).tolist() == [False]


@pytest.mark.parametrize("seed", range(2))
def test_each_left_out_is_as_the_reference_of_the_others_says(seed):
    rng = np.random.default_rng(seed)
    clips = clips_of(rng.normal(14, 1, 8), ["00"] * 8)
    spectra = np.round(rng.standard_t(2, (8, 3)), 2)
    expected = []
    for one in range(8):
        rest = np.arange(8) != one
        others = SoundReference.fit(
            clips[rest], sounding(spectra[rest]), MARGINS, sample_rate=RATE_HZ
        )
        found = others.weigh(-30.0, clips.crest_db[one], sounding(spectra[one]), "00")
        expected.append(is_foreign(found))
    assert are_foreign(clips.crest_db.to_numpy(), spectra, gap=True).tolist() == expected
    assert foreign_among(clips, sounding(spectra), MARGINS).tolist() == expected


def test_a_flux_far_from_those_of_the_others_is_foreign_among_them():
    """Each clip against the mean of the other three, by hand."""
    fluxes_db = np.outer([0.0, 1.0, 2.0, 9.0], [1.0, 1.0])
    distances = [abs(0 - 12 / 3), abs(1 - 11 / 3), abs(2 - 10 / 3), abs(9 - 3 / 3)]
    for margin in (1.9, 2.1):
        settings = MARGINS.model_copy(update={"flux_margin": margin})
        found = foreign_among(
            clips_of([12.0] * 4, ["00"] * 4), sounding(np.zeros((4, 2)), fluxes_db), settings
        )
        assert found.tolist() == [False] * 3 + [distances[3] > margin * distances[0]]


def are_foreign(crests_db, spectra_db, *, gap):
    """Work out from the definition which of some clips are foreign among all of them."""
    clips, found = len(crests_db), []
    of_others = [(spectra_db.sum(0) - spectra_db[one]) / (clips - 1) for one in range(clips)]
    away = np.sqrt(np.mean((spectra_db - np.array(of_others)) ** 2, axis=1))
    for one in range(clips):
        rest = np.arange(len(crests_db)) != one
        lowest, second = np.sort(crests_db[rest])[:2]
        below = lowest - crests_db[one] > max(10.0, 2 * (second - lowest) if gap else 0)
        found.append(below or away[one] > 1.3 * away[rest].max())
    return np.array(found)


def test_no_crest_factor_that_is_foreign_among_all_is_missed_without_the_judged_clip():
    rng = np.random.default_rng(7)
    same, seen = np.zeros((6, 2)), 0
    for _ in range(500):
        crests = rng.choice([0.0, 5, 11, 20, 40], 6) + rng.normal(0, 0.5, 6)
        counted = foreign_among(clips_of(crests[:5], ["00"] * 5), sounding(same[:5]), MARGINS)
        among_all = are_foreign(crests, same, gap=True)[:5]
        seen += among_all.sum()
        assert not (among_all & ~counted).any()
    assert seen > 20


def test_the_verdict_keeps_the_rate_as_the_score_alone_would_not():
    """Exchangeable draws with tails so heavy that the outermost clip is often foreign."""
    rng, rate, draws = np.random.default_rng(5), 0.2, 2000
    clips, alarms = 14, {True: 0, False: 0}
    for _ in range(draws):
        crests = 14 - rng.pareto(0.5, clips + 1)
        spectra = rng.normal(size=(clips + 1, 8)) * rng.pareto(0.5, (clips + 1, 1))
        scores = rng.normal(size=clips + 1)
        new = are_foreign(crests, spectra, gap=True)[-1]
        normal = clips_of(crests[:-1], ["00"] * clips)
        counted = tuple(foreign_among(normal, sounding(spectra[:-1]), MARGINS).tolist())
        for joint in alarms:  # of at least 3 alarms that are allowed, 2 may be foreign
            known = calibration(scores[:-1], counted if joint else None)
            thresholds = conformal_at(known, rate, per="machine_type")
            decided = decide([scores[-1]], ["00"], thresholds, known, foreign=[new])
            alarms[joint] += decided.decision[0] == "anomalous"
    error = np.sqrt(rate * (1 - rate) / draws)
    assert abs(alarms[True] / draws - rate) <= 3 * error  # and it gives nothing away
    assert alarms[False] / draws > rate + 3 * error
