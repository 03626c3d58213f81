import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.errors import InputError
from anomalous_sound.scoring.left_out import LeftOut, check_enough, draw_parts
from anomalous_sound.scoring.scores import fit_and_score_left_out, fit_score

PARSE = TypeAdapter(ScoreSettings).validate_python
MEAN = {"pooling": {"type": "mean"}}
POOLED_ERROR = PARSE({"type": "pooled_error", **MEAN})


def deviation(whitening="band", reference="machine_id", backend="mean"):
    backends = {
        "mean": {"type": "mean"},
        "gaussian_mixture": {"type": "gaussian_mixture", "components": 1, "reg_covar": 0.1},
    }
    return PARSE(
        {
            "type": "band_deviation",
            "reads": "errors",
            "prior_clips": 0.0,
            "scale": "linear",
            "whitening": whitening,
            "reference": reference,
            "backend": backends[backend],
            **MEAN,
        }
    )


def test_a_clip_left_out_is_compared_with_the_others_alone():
    """One band: the deviation is (x - mean of the others) / their sample standard deviation."""
    values = np.array([1.0, 2.0, 4.0, 9.0])
    scores = fit_and_score_left_out(
        deviation(), values[:, None], np.array(["00"] * 4), LeftOut(np.arange(4)), seed=1
    )[1]
    for clip in range(4):
        others = np.delete(values, clip)
        assert scores[clip] == pytest.approx((values[clip] - others.mean()) / others.std(ddof=1))


def test_a_machine_id_left_out_is_compared_with_the_mean_of_the_others():
    values, ids = np.array([1.0, 2.0, 8.0, 10.0]), np.array(["00", "00", "02", "02"])
    parts = np.array([0, 0, 1, 1])
    scores = fit_and_score_left_out(deviation(), values[:, None], ids, LeftOut(parts), seed=1)[1]
    # of 00 the others have mean 9 and deviation sqrt(2), of 02 mean 1.5 and sqrt(0.5)
    assert scores == pytest.approx([-8 / 2**0.5, -7 / 2**0.5, 6.5 / 0.5**0.5, 8.5 / 0.5**0.5])


def test_a_score_that_is_not_fitted_is_the_same_left_out():
    values = np.array([[3.0], [1.0]])
    ids = np.array(["00", "00"])
    _, found = fit_and_score_left_out(POOLED_ERROR, values, ids, LeftOut(np.arange(2)), seed=1)
    assert found.tolist() == [3, 1]


def test_parts_of_many_clips():
    clips = pd.DataFrame({"machine_id": ["00"] * 7 + ["02"] * 5})
    assert draw_parts(clips, 12, seed=1).tolist() == list(range(12))
    parts = draw_parts(clips, 6, seed=1)
    assert sorted(np.bincount(parts)) == [2] * 6


def test_a_clips_score_is_the_mean_of_its_members_scores():
    """Not the score of the mean: of a squared distance the two differ."""
    normal = np.array([[0.0], [1.0], [2.0], [5.0]])
    score = fit_score(deviation(backend="gaussian_mixture"), normal, np.array(["00"] * 4), seed=1)
    members = np.array([[1.0], [9.0]])
    each = [score.clip_score(one[None], "00") for one in members]
    assert score.clip_score(members, "00") == pytest.approx(np.mean(each), rel=1e-15)
    assert score.clip_score(members.mean(axis=0)[None], "00") != pytest.approx(np.mean(each))


@pytest.mark.parametrize("clips", [2, 3, 4])
def test_few_clips_can_be_fitted_on(clips):
    """Two clips mirror each other around their mean; their covariance has rank 1."""
    values = np.random.default_rng(clips).random((clips, 16))
    settings = deviation(whitening="mahalanobis", backend="gaussian_mixture")
    score = fit_score(settings, values, np.array(["00"] * clips), seed=1)
    found = score.score(values + 1, np.array(["00"] * clips))
    assert np.isfinite(found).all()
    assert (np.abs(found) < 60).all()  # dB: not by the rounding of a singular covariance


@pytest.mark.parametrize(
    ("ids", "parts", "enough"),
    [
        (["00", "00"], None, True),
        (["00", "00"], [0, 1], False),
        (["00"] * 3, [0, 1, 2], True),
        (["00", "02"], None, False),
        (["00", "00", "02"], [0, 1, 2], False),
        (["00", "00", "02", "02"], [0, 1, 2, 3], True),
        (["00", "00", "02", "02"], [0, 0, 1, 1], True),
    ],
)
def test_too_few_clips_are_told_of_before_anything_is_fitted(ids, parts, enough):
    settings = deviation(whitening="mahalanobis", backend="gaussian_mixture")
    parts = None if parts is None else np.array(parts)
    left_out = None if parts is None else LeftOut(parts)
    check_enough(POOLED_ERROR, np.array(ids), left_out)
    if enough:
        check_enough(settings, np.array(ids), left_out)
        values = np.random.default_rng(0).random((len(ids), 8))
        whole = parts if parts is not None else np.full(len(ids), -1)
        for part in set(whole.tolist()) if parts is not None else [None]:
            chosen = whole != part
            fit_score(settings, values[chosen], np.array(ids)[chosen], seed=1)
        return
    with pytest.raises(InputError, match="too few normal training clips: .*pooled_error"):
        check_enough(settings, np.array(ids), left_out)


def test_clips_beside_those_left_out_do_not_count_as_enough():
    """Four clips in a row: with the second go its neighbours, and only the fourth is left."""
    ids, parts = np.array(["00"] * 4), np.arange(4)
    beside = {part: np.abs(parts - part) == 1 for part in parts.tolist()}
    check_enough(deviation(), ids, LeftOut(parts))
    with pytest.raises(InputError, match="too few normal training clips: 4; .* next to them in a"):
        check_enough(deviation(), ids, LeftOut(parts, beside))


def test_clips_beside_a_part_are_not_fitted_on():
    """The third clip lies beside the first; the first is compared with the second and fourth."""
    values = np.array([1.0, 2.0, 4.0, 9.0])
    beside = {0: np.array([False, False, True, False])}
    ids = np.array(["00"] * 4)
    found = fit_and_score_left_out(
        deviation(), values[:, None], ids, LeftOut(np.arange(4), beside), seed=1
    )[1]
    assert found[0] == pytest.approx((1 - 5.5) / np.std([2, 9], ddof=1))
    others = np.array([1, 2, 9])
    assert found[2] == pytest.approx((4 - others.mean()) / others.std(ddof=1))
