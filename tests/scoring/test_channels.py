"""Channels that are judged each by itself: their scores, and what the clip gets of them."""

import json

import numpy as np
import pandas as pd
import pytest
from events_of_clips import EVENTS
from features_of_report import FEATURES
from pydantic import TypeAdapter
from support import BAND_DEVIATION

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.configuration.scoring import ChannelsScoreSettings, ScoreSettings
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.errors import InputError
from anomalous_sound.parameters import parse_parameters
from anomalous_sound.pipelines.inference import nodes
from anomalous_sound.reporting.report_page import channel_table
from anomalous_sound.scoring.band_errors import ClipErrors
from anomalous_sound.scoring.channels import score_of_channels, scores_of_channels
from anomalous_sound.scoring.left_out import LeftOut
from anomalous_sound.scoring.localisation import fit_window_reference
from anomalous_sound.scoring.pooling import pool_clip
from anomalous_sound.scoring.score import Score
from anomalous_sound.scoring.scores import fit_and_score_left_out, fit_score

ONE = BAND_DEVIATION | {"reference": "machine_type", "backend": {"type": "mean"}}
POOLED = {"type": "pooled_error", "pooling": {"type": "maximum"}}
# clips × (a band of the near microphone, a band of the far one)
NORMAL = np.array([[1.0, 10.0], [2.0, 40.0], [3.0, 30.0], [6.0, 20.0]])
IDS = np.array(["00"] * 4)


def parsed(values):
    return TypeAdapter(ScoreSettings).validate_python(values)


def of_channels(rule="maximum", of=ONE, fits=9):
    return ChannelsScoreSettings(
        type="channels", channels=[0, 2], rule=rule, fits=fits, of=parsed(of)
    )


def deviation(values, others):
    """The score of one band by hand: (x - mean) / standard deviation."""
    return (values - others.mean()) / others.std(ddof=1)


def standardised(new):
    """Each channel's score by hand, in deviations of clips that are left out one by one."""
    found = []
    for band, values in zip(NORMAL.T, new.T, strict=True):
        left_out = np.array([deviation(x, np.delete(band, n)) for n, x in enumerate(band)])
        found.append((deviation(values, band) - left_out.mean()) / left_out.std(ddof=1))
    return np.stack(found, axis=1)


NEW = np.array([[9.0, 25.0], [2.0, 90.0], [3.0, 25.0]])


@pytest.mark.parametrize(("rule", "joined"), [("maximum", np.max), ("mean", np.mean)])
def test_the_clip_gets_the_largest_or_the_mean_of_standardised_scores(rule, joined):
    score = fit_score(of_channels(rule), NORMAL, IDS, seed=1)
    expected = standardised(NEW)
    found = score.channel_scores(NEW, IDS[:3])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(score.score(NEW, IDS[:3]), joined(expected, axis=1), rtol=1e-12)
    again = Score.from_json(json.loads(json.dumps(score.to_json())))
    assert (again.score(NEW, IDS[:3]) == score.score(NEW, IDS[:3])).all()
    assert "over the channels 0, 2" in again.unit


def test_the_scale_of_a_channel_does_not_count():
    louder = np.array([1.0, 1000.0])
    score = fit_score(of_channels("mean"), NORMAL, IDS, seed=1)
    of_louder = fit_score(of_channels("mean"), NORMAL * louder, IDS, seed=1)
    np.testing.assert_allclose(of_louder.score(NEW * louder, IDS[:3]), score.score(NEW, IDS[:3]))


def test_it_is_said_which_channel_stands_out():
    score = fit_score(of_channels(), NORMAL, IDS, seed=1)
    first, second = (scores_of_channels(score, row[None], "00") for row in NEW[:2])
    assert max(first, key=first.get) == 0
    assert max(second, key=second.get) == 2
    assert first == pytest.approx(dict(zip((0, 2), standardised(NEW)[0], strict=True)))
    assert scores_of_channels(fit_score(parsed(POOLED), NORMAL, IDS, seed=1), NEW, "00") == {}


def test_left_out_clips_are_scored_in_each_channel_without_them():
    found = fit_and_score_left_out(of_channels(), NORMAL, IDS, LeftOut(np.arange(4)), seed=1)[1]
    expected = []
    for n, clip in enumerate(NORMAL):
        of_clip = []
        for band, value in zip(NORMAL.T, clip, strict=True):
            left_out = np.array([deviation(x, np.delete(band, m)) for m, x in enumerate(band)])
            own = deviation(value, np.delete(band, n))
            of_clip.append((own - left_out.mean()) / left_out.std(ddof=1))
        expected.append(max(of_clip))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_each_channel_may_have_a_joined_score():
    settings = of_channels("mean", {"type": "joined", "fits": 9, "parts": [ONE]})
    score = fit_score(settings, NORMAL, IDS, seed=1)
    # of a single part, to standardise twice is to standardise once
    np.testing.assert_allclose(score.score(NEW, IDS[:3]), standardised(NEW).mean(axis=1))


def test_channels_are_pooled_apart():
    errors = np.array([[[1, 3, 10, 30], [5, 5, 2, 2]]], dtype=np.float32)  # two windows
    clip = ClipErrors("a", ("",), errors, errors.mean(axis=-1), 0.0)
    spectrum = np.array([[-1.0, -2.0, -30.0, -40.0]])
    assert pool_clip(of_channels(), clip, spectrum).tolist() == [[3, 4, 6, 16]]
    # the largest window error of each channel, (1+3)/2 or 5, and (10+30)/2 or 2
    assert pool_clip(of_channels(of=POOLED), clip, spectrum).tolist() == [[5, 20]]
    of_spectrum = of_channels(of=ONE | {"reads": "spectrum"})
    assert pool_clip(of_spectrum, clip, spectrum).tolist() == [[-1, -2, -30, -40]]


def test_one_channel_has_the_score_of_the_parameters():
    detector = DetectorSettings(
        name=None, per="machine_type", folds=1, left_out="clip", left_out_fits=7, channels="mean"
    )
    assert score_of_channels(parsed(ONE), FEATURES.audio, detector) == parsed(ONE)
    two = FEATURES.audio.model_copy(update={"channel": [0, 2]})
    assert score_of_channels(parsed(ONE), two, detector) == of_channels("mean", fits=7)


def test_a_window_and_band_deviates_as_the_channel_does_that_deviates_most():
    rng = np.random.default_rng(1)
    clips = [("00", np.exp(rng.normal(size=(50, 4)))) for _ in range(6)]

    def fitted(columns, channels):
        chosen = [(name, errors[:, columns]) for name, errors in clips]
        return fit_window_reference(
            lambda: chosen, peak_percentile=99.0, events=EVENTS, channels=channels
        )

    both, near, far = fitted([0, 1, 2, 3], 2), fitted([0, 1], 1), fitted([2, 3], 1)
    errors = np.exp(rng.normal(size=(20, 4)))
    expected = np.maximum(
        near.deviation_map(errors[:, :2], "00"), far.deviation_map(errors[:, 2:], "00")
    )
    np.testing.assert_allclose(both.deviation_map(errors, "00"), expected)
    peaks = np.maximum(
        near.peak_deviation(errors[:, :2], "00"), far.peak_deviation(errors[:, 2:], "00")
    )
    np.testing.assert_allclose(both.peak_deviation(errors, "00"), peaks)
    again = type(both).from_json(json.loads(json.dumps(both.to_json())))
    assert (again.deviation_map(errors, "00") == both.deviation_map(errors, "00")).all()
    assert "channels" not in near.to_json()


def test_the_report_counts_in_which_clips_a_channel_stands_out():
    clip_scores = pd.DataFrame(
        {
            "clip_id": ["a", "b", "c", "v"],
            "split": ["test", "test", "test", "validation"],
            "label": ["anomalous", "anomalous", "normal", "normal"],
        }
    )
    of_clips = {"a": (3.0, 1.0), "b": (5.0, 7.0), "c": (0.5, 0.0), "v": (9.0, 0.0)}
    rows = [(name, n, score) for name, scores in of_clips.items() for n, score in enumerate(scores)]
    table = channel_table(pd.DataFrame(rows, columns=nodes.CHANNEL_COLUMNS), clip_scores)
    assert table.to_numpy().tolist() == [
        [0, "anomalous", 2, 1, 4.0],
        [0, "normal", 1, 1, 0.5],
        [1, "anomalous", 2, 1, 4.0],
        [1, "normal", 1, 0, 0.0],
    ]


@pytest.mark.parametrize("channel", [[], [1], [0, 0], [0, -1]])
def test_a_list_of_channels_names_several(channel):
    with pytest.raises(ValueError, match="channel"):
        AudioSettings(**FEATURES.audio.model_dump() | {"channel": channel})


def test_a_mistake_in_the_list_says_what_is_accepted():
    with pytest.raises(InputError, match=r"'audio.channel' is \[0, 0\]; accepted: two or more"):
        parse_parameters({"audio": FEATURES.audio.model_dump() | {"channel": [0, 0]}})
