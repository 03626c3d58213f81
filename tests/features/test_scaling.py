import json

import numpy as np
import pytest
from pydantic import ValidationError

from anomalous_sound.configuration.features import ScalingSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling, fit_scaling

CLIPS = {
    name: -80 * np.random.default_rng(frames).random((frames, 6)).astype(np.float32)
    for name, frames in (("a.wav", 313), ("b.wav", 345), ("c.wav", 11))
}


def fit(method, *clip_ids, clips=CLIPS):
    return fit_scaling(Frames.in_memory(clips), clip_ids, ScalingSettings(method=method))


def test_scaling_by_clip():
    scaling = fit("clip", "a.wav")
    for clip in CLIPS.values():
        expected = (clip - clip.min()) / (clip.max() - clip.min())
        np.testing.assert_array_equal(scaling.scaled(clip), expected)


def test_scaling_by_corpus_uses_training_clips_alone():
    clips = CLIPS | {"a.wav": CLIPS["a.wav"] * np.float32(0.5)}
    low, high = clips["a.wav"].min(), clips["a.wav"].max()
    scaling = fit("corpus", "a.wav", clips=clips)
    assert scaling.offset == (float(low),)
    np.testing.assert_allclose(
        scaling.scaled(clips["b.wav"]), (clips["b.wav"] - low) / (high - low), atol=1e-6
    )


def test_scaling_by_band():
    scaling = fit("band", "a.wav", "c.wav")
    training = np.concatenate([CLIPS["a.wav"], CLIPS["c.wav"]]).astype(float)
    np.testing.assert_allclose(scaling.offset, training.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scaling.span, training.std(axis=0), rtol=1e-6)
    expected = (CLIPS["b.wav"] - training.mean(axis=0)) / training.std(axis=0)
    np.testing.assert_allclose(scaling.scaled(CLIPS["b.wav"]), expected, atol=1e-5)


def test_decibels_stay_where_nothing_is_scaled():
    scaling = fit("none", "a.wav")
    assert scaling.to_json() == {"method": "none"}
    np.testing.assert_array_equal(scaling.scaled(CLIPS["b.wav"]), CLIPS["b.wav"])


@pytest.mark.parametrize("method", ["clip", "corpus", "band", "none"])
def test_the_same_scaling_comes_back_from_json(method):
    scaling = fit(method, "a.wav", "c.wav")
    again = Scaling.from_json(json.loads(json.dumps(scaling.to_json())))
    assert again == scaling
    scaled = scaling.scaled(CLIPS["b.wav"])
    assert scaled.dtype == np.float32
    assert again.scaled(CLIPS["b.wav"]).tobytes() == scaled.tobytes()


def test_only_the_method_of_the_clip_is_written():
    assert fit("clip", "a.wav").to_json() == {"method": "clip"}


@pytest.mark.parametrize("method", ["clip", "corpus", "band", "none"])
def test_frames_without_any_spread_do_not_divide_by_zero(method):
    silence = {"a.wav": np.full((20, 6), -80, np.float32)}
    assert np.isfinite(fit(method, "a.wav", clips=silence).scaled(silence["a.wav"])).all()


def test_unknown_scaling():
    with pytest.raises(ValidationError, match="'whole'"):
        ScalingSettings(method="whole")
    with pytest.raises(ValueError, match="'whole'"):
        Scaling.from_json({"method": "whole"})


@pytest.mark.parametrize(
    "values",
    [
        {"method": "corpus"},
        {"method": "clip", "offset": [0.0], "span": [1.0]},
        {"method": "band", "offset": [0.0, 1.0], "span": [1.0]},
    ],
)
def test_numbers_that_do_not_fit_the_method(values):
    with pytest.raises(ValueError, match="offsets and"):
        Scaling.from_json(values)
