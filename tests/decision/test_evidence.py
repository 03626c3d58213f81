import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from anomalous_sound.configuration.decision import EvidenceSettings
from anomalous_sound.decision.calibration import CalibrationScores
from anomalous_sound.decision.evidence import foreign_note, is_foreign, notes_of
from anomalous_sound.decision.evidence_table import weigh_clips
from anomalous_sound.decision.sensor import doubts
from anomalous_sound.decision.sound_reference import SoundReference
from anomalous_sound.decision.spectra import Spectra, spectra_of_clip, spectra_of_clips
from anomalous_sound.decision.thresholds import Thresholds, decide, decide_new_clips
from anomalous_sound.decision.verdict import Verdict
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.levels import crest_db, rms_dbfs
from anomalous_sound.vocabulary import Decision

SETTINGS = EvidenceSettings(
    level_margin_db=6.0, crest_margin_db=10.0, spectrum_margin=1.5, spectrum_least_db=3.0
)
LEVELS = [-30.0, -29.0, -28.0, -27.0, -20.0, -19.5, -19.0]
CRESTS = [12.0, 13.0, 14.0, 15.0, 16.0, 12.0, 13.0]
NORMAL = pd.DataFrame(
    {
        "machine_id": ["00"] * 4 + ["02"] * 3,
        "level_dbfs": LEVELS,
        "crest_db": CRESTS,
        "duration_s": [10.0, 9.6, 10.0, 12.0, 10.0, 10.0, 10.0],
    }
)
# of two bands each, the second louder by 0 to 3 dB; below 1 kHz all mel bands are equally wide
TILTS = [0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0]
RATE = 2000


def two_bands(tilts_db):
    """Return spectra whose second band is so much louder, and with the level removed."""
    return np.outer(tilts_db, [-0.5, 0.5])


def sounding(tilts_db, fluxes_db=None):
    """Return such mean spectra and, in both bands, such fluxes; else all the same."""
    fluxes_db = np.zeros(len(tilts_db)) if fluxes_db is None else fluxes_db
    return Spectra(two_bands(tilts_db), np.outer(fluxes_db, [1.0, 1.0]))


def fitted(clips=NORMAL, tilts_db=TILTS, fluxes_db=None, **changed):
    settings = SETTINGS.model_copy(update=changed)
    return SoundReference.fit(clips, sounding(tilts_db, fluxes_db), settings, sample_rate=RATE)


@pytest.fixture
def reference():
    return fitted()


def weigh(reference, level_dbfs, crest_db, machine_id, tilt_db=1.0, flux_db=0.0):
    spectra = Spectra(two_bands([tilt_db])[0], np.full(2, flux_db))
    return reference.weigh(level_dbfs, crest_db, spectra, machine_id)


def test_crest_factors_of_known_waves():
    time_s = np.arange(16000) / 16000
    sine = 0.2 * np.sin(2 * np.pi * 100 * time_s)
    assert crest_db(sine) == pytest.approx(10 * np.log10(2), abs=1e-3)
    assert crest_db(np.sign(sine + 1e-9)) == pytest.approx(0, abs=1e-6)
    assert crest_db(7 * sine) == pytest.approx(crest_db(sine))


def test_a_level_outside_of_normal_clips_is_a_warning_and_nothing_else(reference):
    evidence = weigh(reference, -7.0, 13.0, "00")
    assert notes_of(evidence) == (
        "20 dB louder than the loudest of 4 normal clips: another gain, microphone or distance?",
    )
    assert not is_foreign(evidence)
    (soft,) = notes_of(weigh(reference, -50.0, 13.0, "00"))
    assert soft.startswith("20 dB softer than the softest of 4")
    assert not notes_of(weigh(reference, -22.0, 13.0, "00"))  # 5 dB, less than the margin


def test_a_low_crest_factor_is_foreign_and_a_high_one_is_not(reference):
    evidence = weigh(reference, -28.0, 1.0, "00")
    assert is_foreign(evidence)
    assert notes_of(evidence) == (
        "foreign sound: its crest factor is 1 dB (normal clips: 12 to 15 dB), as of clipping, a "
        "tone or hum",
    )
    assert not is_foreign(weigh(reference, -28.0, 60.0, "00"))


def test_p_values_are_counted(reference):
    level, crest, _ = weigh(reference, -28.5, 12.5, "00")
    assert level.p_value == 1  # 2 of 4 as low: twice (1 + 2) / 5, and no more than 1
    assert crest.p_value == pytest.approx((1 + 1) / 5)
    level, crest, _ = weigh(reference, -26.0, 11.0, "00")
    assert level.p_value == pytest.approx(2 * 1 / 5)
    assert crest.p_value == pytest.approx(1 / 5)


def test_a_machine_id_with_few_clips_is_compared_with_all(reference):
    level, _, spectrum = weigh(reference, -25.0, 13.0, "04")
    assert (level.lowest_db, level.highest_db, level.normal_clips) == (-30, -19, 7)
    assert spectrum.normal_clips == 7


def test_of_a_machine_id_without_normal_clips_nothing_is_said_of_how_often(reference):
    for machine_id in ("07", ""):
        level, crest, spectrum = found = weigh(reference, -25.0, 0.5, machine_id)
        assert [one.p_value for one in found] == [None] * 3
        assert (level.normal_clips, spectrum.normal_clips) == (7, 7)
        assert crest.strange
    far = replace(spectrum, value_db=spectrum.highest_db + 30, strange=True)
    assert "dB from the usual one of other machine IDs (normal clips: up to" in far.finding
    own = replace(far, p_value=1 / 8)
    assert "dB from this machine's usual one (normal clips: up to" in own.finding


def test_foreign_sound_adds_no_more_than_two_clips_in_all(reference):
    """Machine ID 02 has 3 normal clips; with 2 of its own it is compared with all 6."""
    assert reference.added_rate == 2 / 4
    few = SoundReference.fit(NORMAL[:6], sounding(TILTS[:6]), SETTINGS, sample_rate=RATE)
    assert few.added_rate == 2 / 5  # machine ID 00 has 4


def test_a_spectral_flux_far_from_all_others_is_foreign():
    """In both bands 0, 1, 2 and 3 dB; 02 has -1, 0 and 1. A clip x is 4/5 · (x − 1.5) off."""
    reference = fitted(fluxes_db=[0.0, 1.0, 2.0, 3.0, -1.0, 0.0, 1.0], flux_margin=1.5)
    near, far = (weigh(reference, -28.0, 13.0, "00", flux_db=x) for x in (3.4, 20.0))
    assert not is_foreign(near)
    assert is_foreign(far)
    flux = far[3]
    assert (flux.name, flux.normal_clips, flux.p_value) == ("spectral flux", 4, 1 / 5)
    # of the others each is compared with the mean of all but itself, the judged clip included
    assert flux.value_db == pytest.approx(20 - 1.5)
    assert flux.highest_db == pytest.approx(abs(0 - (1 + 2 + 3 + 20) / 4))
    assert "its spectral flux (how it changes from moment to moment) is 18.5 dB" in flux.finding
    assert reference.added_rate == 3 / 4


def test_earlier_references_know_no_spectral_flux():
    reference = fitted(fluxes_db=np.arange(7.0))
    assert reference.fluxes is None
    assert "fluxes" not in reference.to_json()
    assert len(weigh(reference, -28.0, 13.0, "00", flux_db=90.0)) == 3


def test_no_normal_clip_left_out_is_strange():
    """One lies 40 dB outside of the others, so the margin is 80 dB."""
    outlier = NORMAL.assign(level_dbfs=[-70.0, -30.0, -29.0, -28.0, -20.0, -20.0, -20.0])
    reference = fitted(outlier)
    assert not notes_of(weigh(reference, 50.0, 13.0, "00"))
    assert notes_of(weigh(reference, 53.0, 13.0, "00"))


def test_it_survives_json(reference):
    for one in (reference, fitted(fluxes_db=np.arange(7.0), flux_margin=1.5, duration_margin=1.2)):
        again = SoundReference.from_json(json.loads(json.dumps(one.to_json())))
        assert again == one


@pytest.mark.parametrize(
    ("duration_s", "decided"),
    [(10.0, True), (8.0, True), (7.9, False), (14.4, True), (14.5, False), (60.0, False)],
)
def test_a_clip_of_another_length_is_not_decided(duration_s, decided):
    """Normal clips last 9.6 to 12 s; a fifth beyond that is 8 to 14.4 s."""
    reference = fitted(duration_margin=1.2)
    assert reference.comparable_s == pytest.approx((8.0, 14.4))
    said = reference.not_comparable(duration_s)
    assert (said == "") == decided
    if not decided:
        assert f"it lasts {duration_s:.1f} s and normal clips 9.6 to 12.0 s" in said


def test_lengths_are_compared_only_where_they_are_known(reference):
    assert reference.comparable_s is None  # no margin is set
    assert reference.not_comparable(0.1) == ""
    values = fitted(duration_margin=1.2).to_json()
    del values["durations_s"], values["settings"]["duration_margin"]  # an earlier version's
    earlier = SoundReference.from_json(values)
    assert earlier.not_comparable(0.1) == ""
    assert earlier.to_json() == values  # its detector keeps its digest


def test_normal_clips_of_several_lengths_are_noticed():
    assert fitted(duration_margin=1.2).are_mixed  # 12 s is 1.25 times 9.6 s
    assert not fitted(duration_margin=1.25).are_mixed
    assert not fitted().are_mixed


def test_a_clip_of_another_length_has_neither_threshold_nor_p_value():
    calibration = CalibrationScores(tuple("abcd"), ("00",) * 4, (1.0, 2.0, 3.0, 4.0))
    thresholds = Thresholds("conformal", {"00": 4.5}, "machine_type")
    clips = pd.DataFrame({"clip_id": ["x", "y"], "machine_id": "00", "score": 9.0})
    evidence = pd.DataFrame(
        {"clip_id": ["x", "y"], "foreign": False, "comparable": [True, False], "note": ["", "so"]}
    )
    found = decide_new_clips(clips, thresholds, calibration, evidence)
    assert found.decision.tolist() == ["anomalous", "undecided"]
    assert found.threshold.isna().tolist() == [False, True]
    assert found.p_value.isna().tolist() == [False, True]
    assert found.note.tolist() == ["", "so"]


def test_many_clips_are_weighed_as_each():
    clips = NORMAL.assign(clip_id=list("abcdefg"))
    rng = np.random.default_rng(2)
    frames = {name: rng.normal(-40, 5, (9, 4)).astype(np.float32) for name in clips.clip_id}
    log_mel = Frames.in_memory(frames)
    spectra = spectra_of_clips(clips.clip_id, log_mel)
    assert spectra.spectrum_db.shape == spectra.flux_db.shape == (7, 4)
    settings = SETTINGS.model_copy(update={"flux_margin": 1.5})
    reference = SoundReference.fit(clips, spectra, settings, sample_rate=RATE)
    clips.loc[2, "crest_db"] = 0.5
    frames["e"][:, 3] += 60
    table = weigh_clips(clips, log_mel, reference)
    assert table.foreign.tolist() == [False, False, True, False, True, False, False]
    for row, clip in zip(table.itertuples(), clips.itertuples(), strict=True):
        spectra = spectra_of_clip(frames[clip.clip_id])
        found = reference.weigh(clip.level_dbfs, clip.crest_db, spectra, clip.machine_id)
        level, crest, spectrum, flux = found
        assert (row.flux_db, row.flux_highest_db, row.flux_p_value) == (
            *(flux.value_db, flux.highest_db, flux.p_value),
        )
        assert (row.level_p_value, row.crest_p_value) == (level.p_value, crest.p_value)
        assert (row.spectrum_db, row.spectrum_highest_db, row.spectrum_p_value) == (
            *(spectrum.value_db, spectrum.highest_db, spectrum.p_value),
        )
        assert row.note == "; ".join(notes_of(found))


def test_the_distance_of_two_bands_is_worked_out():
    """The tilts of machine ID 00 are 0, 1, 2 and 3 dB; two spectra are half of theirs apart."""
    *_, spectrum = weigh(fitted(), -28.0, 13.0, "00", tilt_db=11.5)
    assert spectrum.value_db == pytest.approx((11.5 - 1.5) / 2)
    # each against the mean of the three others and the judged clip; the first is the farthest
    assert spectrum.highest_db == pytest.approx((1 + 2 + 3 + 11.5) / 4 / 2)
    assert spectrum.lowest_db == pytest.approx(((0 + 1 + 2 + 11.5) / 4 - 3) / 2)
    assert spectrum.p_value == pytest.approx(1 / 5)
    assert spectrum.strange  # 5 dB is more than 1.5 * 2.1875
    *_, usual = weigh(fitted(), -28.0, 13.0, "00", tilt_db=1.5)
    assert (usual.value_db, usual.p_value, usual.strange) == (0, 1, False)


def test_a_spectrum_is_foreign_beyond_margin_and_least_distance():
    def is_strange(tilt_db, **changed):
        reference = fitted(**{"spectrum_least_db": 0.0} | changed)
        return weigh(reference, -28.0, 13.0, "00", tilt_db=tilt_db)[-1].strange

    # (t - 1.5) / 2 against margin * (6 + t) / 8
    assert [is_strange(tilt, spectrum_margin=1.0) for tilt in (3.9, 4.1)] == [False, True]
    assert [is_strange(tilt, spectrum_margin=1.5) for tilt in (5.9, 6.1)] == [False, True]
    assert [is_strange(tilt, spectrum_margin=2.0) for tilt in (8.9, 9.1)] == [False, True]
    assert not is_strange(20, spectrum_least_db=9.3)
    assert is_strange(20, spectrum_least_db=9.2)


def test_a_foreign_spectrum_is_told_with_its_frequencies():
    evidence = weigh(fitted(), -28.0, 13.0, "00", tilt_db=21.5)
    assert is_foreign(evidence)
    (note,) = notes_of(evidence)
    assert note == (
        "foreign sound: its spectrum is 10.0 dB from this machine's usual one (normal clips: up to "
        "3.4 dB), most around 250 Hz (10 dB less)"
    )


def test_a_clip_is_called_foreign_once_however_much_of_it_is():
    """A level beside it is another matter, and has a note of its own."""
    reference = fitted(fluxes_db=[0.0, 1.0, 2.0, 3.0, -1.0, 0.0, 1.0], flux_margin=1.5)
    evidence = weigh(reference, -7.0, 1.0, "00", tilt_db=21.5, flux_db=20.0)
    assert [one.strange for one in evidence] == [True] * 4
    for by_score, called in ((False, "foreign sound"), (True, UNLIKE)):
        level, foreign = notes_of(evidence, by_score=by_score)
        assert level.startswith("20 dB louder than the loudest of 4 normal clips")
        assert foreign.startswith(f"{called}: its crest factor is 1 dB (")
        assert foreign.count(called) == 1
        _, spectrum, flux = foreign.removeprefix(f"{called}: ").split("; ")
        assert spectrum.startswith("its spectrum is 10.0 dB from this machine's usual one (")
        assert flux.startswith("its spectral flux (how it changes from moment to moment) is 18.5")
        assert foreign == foreign_note(evidence, by_score=by_score)


UNLIKE = (
    "unlike anything heard in training (another source, a new fault, or another recording set-up)"
)


@pytest.mark.parametrize(
    ("score", "threshold", "begins"),
    [
        (0.9, 1.0, "foreign sound: "),  # the score finds it normal: the evidence stands alone
        (1.0, 1.0, f"{UNLIKE}: "),
        (5.0, None, "foreign sound: "),  # undecided
    ],
)
def test_where_the_score_is_high_too_it_may_be_a_fault(score, threshold, begins):
    evidence = weigh(fitted(), -28.0, 1.0, "00", tilt_db=21.5)
    verdict = Verdict(
        *(score, threshold, Decision.ANOMALOUS, 0.1, (), ()),
        evidence=evidence,
    )
    (note,) = verdict.notes
    assert note.startswith(f"{begins}its crest factor is 1 dB")
    assert "; its spectrum is 10.0 dB" in note
    assert [one.reason for one in doubts(verdict)] == [note]
    # the same in tables
    clips = pd.DataFrame({"clip_id": ["a"], "machine_id": ["00"], "score": [score]})
    beside = pd.DataFrame(
        {
            **{"clip_id": ["a"], "foreign": [True], "comparable": [True]},
            "note": ["; ".join(notes_of(evidence))],
        }
    )
    thresholds = Thresholds("any", {} if threshold is None else {"00": threshold}, "machine_type")
    calibration = CalibrationScores(("z",), ("00",), (0.0,))
    decided = decide_new_clips(clips, thresholds, calibration, beside)
    assert decided.note.tolist() == ["; ".join(verdict.notes)]
    from_file = beside.assign(note=np.nan, foreign=False)  # as pandas reads an empty text
    assert decide_new_clips(clips, thresholds, calibration, from_file).note.tolist() == [""]


def test_a_level_is_worded_alike_whatever_the_score(reference):
    evidence = weigh(reference, -7.0, 13.0, "00")
    assert notes_of(evidence, by_score=True) == notes_of(evidence)


def test_a_reference_of_an_earlier_version_is_not_taken(reference):
    """It knew no spectra."""
    values = reference.to_json()
    del values["spectra"]
    with pytest.raises(KeyError):
        SoundReference.from_json(values)


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
