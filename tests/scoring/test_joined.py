import json

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError
from scipy.spatial.distance import cdist
from support import BAND_DEVIATION

from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.scoring.band_errors import ClipErrors
from anomalous_sound.scoring.left_out import LeftOut
from anomalous_sound.scoring.pooling import pool_clip
from anomalous_sound.scoring.score import Score
from anomalous_sound.scoring.scores import fit_and_score_left_out, fit_score

BANDS = BAND_DEVIATION | {"pooling": {"type": "maximum"}}
WINDOWS = {"type": "pooled_error", "pooling": {"type": "mean"}}
SPECTRUM = BANDS | {
    "reads": "spectrum",
    "pooling": {"type": "mean"},
    "backend": {"type": "local_density", "neighbours": 2},
}
JOINED = {"type": "joined", "parts": [BANDS, WINDOWS, SPECTRUM], "fits": 100}
IDS = np.array(["00"] * 6 + ["02"] * 6)
POOLED = np.random.default_rng(5).gamma(2.0, size=(12, 9))  # 4 bands, a window error, 4 bands


def parsed(values):
    return TypeAdapter(ScoreSettings).validate_python(values)


def fit(values, pooled, machine_ids=IDS):
    return fit_score(parsed(values), pooled, machine_ids, seed=1)


def left_out_by_hand(values, pooled):
    scores = []
    for clip in range(len(pooled)):
        others = np.arange(len(pooled)) != clip
        fitted = fit(values, pooled[others], IDS[others])
        scores.append(fitted.score(pooled[[clip]], IDS[[clip]])[0])
    return np.array(scores)


def test_a_joined_score_is_the_mean_of_its_parts_in_deviations_of_left_out_clips():
    new, ids = np.random.default_rng(6).gamma(2.0, size=(5, 9)), np.array(["00", "02"] * 2 + ["00"])
    expected = []
    for values, columns in ((BANDS, slice(0, 4)), (WINDOWS, slice(4, 5)), (SPECTRUM, slice(5, 9))):
        scores = fit(values, POOLED[:, columns]).score(new[:, columns], ids)
        left_out = left_out_by_hand(values, POOLED[:, columns])
        expected.append((scores - left_out.mean()) / left_out.std(ddof=1))
    joined = fit(JOINED, POOLED)
    np.testing.assert_allclose(joined.score(new, ids), np.mean(expected, axis=0), rtol=1e-12)
    assert "left-out normal clips" in joined.unit


def test_left_out_clips_get_the_mean_of_the_left_out_scores_of_the_parts():
    found = fit_and_score_left_out(parsed(JOINED), POOLED, IDS, LeftOut(np.arange(12)), seed=1)[1]
    expected = []
    for values, columns in ((BANDS, slice(0, 4)), (WINDOWS, slice(4, 5)), (SPECTRUM, slice(5, 9))):
        scores = left_out_by_hand(values, POOLED[:, columns])
        expected.append((scores - scores.mean()) / scores.std(ddof=1))
    np.testing.assert_allclose(found, np.mean(expected, axis=0), rtol=1e-12)
    # standardised by themselves
    assert found.mean() == pytest.approx(0, abs=1e-12)


def test_a_joined_score_survives_json_to_the_bit():
    joined = fit(JOINED, POOLED)
    again = Score.from_json(json.loads(json.dumps(joined.to_json())))
    assert again.unit == joined.unit
    assert np.array_equal(again.score(POOLED, IDS), joined.score(POOLED, IDS))


def test_with_one_clip_the_scores_do_not_spread():
    pooled = np.array([[3.0]])
    joined = fit({"type": "joined", "parts": [WINDOWS], "fits": 2}, pooled, IDS[:1])
    assert joined.score(np.array([[5.0]]), IDS[:1]).tolist() == [2]


def test_each_part_reads_its_own_columns_of_each_member():
    errors = np.random.default_rng(1).random((2, 5, 4))
    clip = ClipErrors("a", ("fold_0", "fold_1"), errors, errors.mean(axis=-1), 0.0)
    spectrum = np.random.default_rng(2).random((7, 4))
    pooled = pool_clip(parsed(JOINED), clip, spectrum)
    for member in range(2):
        np.testing.assert_allclose(pooled[member, :4], errors[member].max(axis=0))
        np.testing.assert_allclose(pooled[member, 4], errors[member].mean())
        np.testing.assert_allclose(pooled[member, 5:], spectrum.mean(axis=0))


def test_local_density_is_the_least_ratio_of_distances():
    values = SPECTRUM | {"reference": "machine_type"}
    normal, new = POOLED[:, :4], np.random.default_rng(7).gamma(2.0, size=(3, 4))
    center, spread = normal.mean(axis=0), normal.std(axis=0, ddof=1)
    a, b = (normal - center) / spread, (new - center) / spread
    expected = []
    for row in b:
        ratios = []
        for clip in range(12):
            others = sorted(np.sqrt(((a[clip] - a[o]) ** 2).mean()) for o in range(12) if o != clip)
            ratios.append(np.sqrt(((row - a[clip]) ** 2).mean()) / np.mean(others[:2]))
        expected.append(20 * np.log10(min(ratios)))
    np.testing.assert_allclose(fit(values, normal).score(new, IDS[:3]), expected, rtol=1e-9)


def test_local_density_of_clips_that_are_alike_is_finite():
    fitted = fit(SPECTRUM, np.ones((3, 4)), IDS[:3])
    assert np.isfinite(fitted.score(np.full((1, 4), 2.0), IDS[:1])).all()


def test_local_density_of_one_clip_is_the_distance_itself():
    fitted = fit(SPECTRUM, np.ones((1, 4)), IDS[:1])
    assert fitted.score(np.full((1, 4), 3.0), IDS[:1])[0] == pytest.approx(20 * np.log10(2))


def test_local_density_makes_states_that_vary_more_or_less_alike():
    rng = np.random.default_rng(4)
    quiet, lively = rng.normal(0, 0.1, (50, 3)), rng.normal(9, 3, (50, 3))
    normal = np.concatenate([quiet, lively])
    fitted = fit(SPECTRUM | {"reference": "machine_type"}, normal, np.array(["a"] * 100))
    new = np.concatenate([rng.normal(0, 0.1, (50, 3)), rng.normal(9, 3, (50, 3))])
    scores = fitted.score(new, np.array(["a"] * 100))
    assert np.median(scores[:50]) == pytest.approx(np.median(scores[50:]), abs=1.5)
    nearest = cdist(new, normal).min(axis=1)
    assert np.median(nearest[50:]) > 10 * np.median(nearest[:50])


def test_the_mean_of_a_machine_id_is_drawn_towards_that_of_all():
    values = BANDS | {"prior_clips": 2.0}
    normal = np.array([[1.0], [3.0], [10.0]])
    ids = np.array(["00", "00", "02"])
    fitted = fit(values, normal, ids)
    of_all = 14 / 3
    assert fitted.means["00"] == pytest.approx((1 + 3 + 2 * of_all) / 4)
    assert fitted.means["02"] == pytest.approx((10 + 2 * of_all) / 3)
    freedom = 3 - 2 / 4 - 1 / 3
    deviations = normal[:, 0] - [fitted.means[i][0] for i in ids]
    assert fitted.deviations == pytest.approx(np.sqrt((deviations**2).sum() / freedom))


def test_a_joined_score_needs_a_part():
    with pytest.raises(ValidationError, match="parts"):
        parsed(JOINED | {"parts": []})


def test_the_only_clip_of_a_machine_id_does_not_say_how_scores_spread():
    """Left out, it is compared with another machine: far from all."""
    alone = np.concatenate([POOLED[:, :4], [[500.0] * 4]])
    joined = fit({"type": "joined", "parts": [BANDS], "fits": 99}, alone, np.append(IDS, "07"))
    assert joined.spreads[0] < 10
    scores = []
    for clip in range(12):
        others = np.arange(13) != clip
        fitted = fit(BANDS, alone[others], np.append(IDS, "07")[others])
        scores.append(fitted.score(alone[[clip]], IDS[[clip]])[0])
    assert joined.centres[0] == pytest.approx(np.mean(scores))
