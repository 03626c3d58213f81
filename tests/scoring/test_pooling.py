import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from anomalous_sound.configuration.scoring import Pooling, ScoreSettings
from anomalous_sound.scoring.band_errors import ClipErrors
from anomalous_sound.scoring.pooling import of_clips, pool_clip, pool_errors, pool_over_time


def pooling(**values):
    return TypeAdapter(Pooling).validate_python(values)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"type": "mean"}, [4.0, 1.0]),
        ({"type": "median"}, [3.0, 0.5]),
        ({"type": "maximum"}, [9.0, 3.0]),
        # three quarters of the way through 1, 2, 4, 9: a quarter of the step from 4 to 9
        ({"type": "percentile", "percentile": 75.0}, [5.25, 1.5]),
        # weights 1, 1/2, 1/4, 1/8 of the errors from the highest down
        (
            {"type": "ranked", "decay": 0.5},
            [(9 + 4 / 2 + 2 / 4 + 1 / 8) / 1.875, (3 + 1 / 2) / 1.875],
        ),
    ],
)
def test_pooling_over_time_by_hand(settings, expected):
    errors = np.array([[1, 0], [9, 1], [2, 0], [4, 3]], dtype=np.float32)
    pooled = pool_over_time(errors, pooling(**settings))
    assert pooled == pytest.approx(expected)
    assert pooled.dtype == np.float64


def test_ranked_pooling_lies_between_the_maximum_and_the_mean():
    errors = np.random.default_rng(0).random((303, 8))
    for decay, expected in ((1.0, errors.mean(axis=0)), (0.0, errors.max(axis=0))):
        found = pool_over_time(errors, pooling(type="ranked", decay=decay))
        assert found == pytest.approx(expected)


def test_unknown_pooling():
    accepted = "'mean', 'median', 'maximum', 'percentile', 'ranked'"
    with pytest.raises(ValidationError, match=f"'middle' .* expected tags: {accepted}"):
        pooling(type="middle")


MAXIMUM = {"pooling": {"type": "maximum"}}
POOLED_ERROR, BAND_DEVIATION = (
    TypeAdapter(ScoreSettings).validate_python(values | MAXIMUM)
    for values in (
        {"type": "pooled_error"},
        {
            "type": "band_deviation",
            "reads": "errors",
            "prior_clips": 0.0,
            "scale": "linear",
            "whitening": "band",
            "reference": "machine_id",
            "backend": {"type": "mean"},
        },
    )
)


SPECTRUM = np.zeros((3, 2))


def no_spectrum(clip_id):
    return SPECTRUM


def clip_errors(clip_id, *of_members):
    """Errors of a clip; with one member it is called ``fold_0``."""
    band_errors = np.array(of_members, dtype=np.float32)
    members = tuple(f"fold_{number}" for number in range(len(of_members)))
    return ClipErrors(clip_id, members, band_errors, band_errors.mean(axis=2), 0.1)


def test_a_pooled_error_score_reads_window_errors():
    clips = [clip_errors("b", [[1, 3], [4, 2], [2, 2]]), clip_errors("a", [[9, 1]])]
    pooled = pool_errors(clips, POOLED_ERROR, no_spectrum)
    expected = pd.DataFrame({"clip_id": ["b", "a"], "member": "fold_0", "column_0": [3.0, 5.0]})
    pd.testing.assert_frame_equal(pooled, expected)
    clip = clips[0]
    assert pool_clip(POOLED_ERROR, clip, SPECTRUM).tolist() == [[3]]


def test_a_band_deviation_score_reads_each_band():
    clips = [clip_errors("a", [[1, 4], [4, 1], [1, 1]]), clip_errors("b", [[9, 1]])]
    pooled = pool_errors(iter(clips), BAND_DEVIATION, no_spectrum)
    bands = {"column_0": [4.0, 9], "column_1": [4.0, 1]}
    expected = pd.DataFrame({"clip_id": ["a", "b"], "member": "fold_0", **bands})
    pd.testing.assert_frame_equal(pooled, expected)
    clip = clips[0]
    assert pool_clip(BAND_DEVIATION, clip, SPECTRUM).tolist() == [[4, 4]]


def test_each_member_is_pooled_by_itself():
    """The maximum of the mean over both would be 2.5 in each band."""
    clip = clip_errors("a", [[1, 4], [4, 1]], [[4, 1], [1, 4]])
    assert pool_clip(BAND_DEVIATION, clip, SPECTRUM).tolist() == [[4, 4]] * 2
    pooled = pool_errors([clip_errors("b", [[7, 8]]), clip], BAND_DEVIATION, no_spectrum)
    assert pooled[["clip_id", "member"]].to_numpy().tolist() == [
        ["b", "fold_0"],
        ["a", "fold_0"],
        ["a", "fold_1"],
    ]
    of_a, of_b = of_clips(pooled, ["a", "b"])
    assert of_a.tolist() == [[4, 4], [4, 4]]
    assert of_b.tolist() == [[7, 8]]
