import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.evaluation.baselines import of_spectrum, persistence_errors, untrained_scores
from anomalous_sound.evaluation.comparison import does_training_pay
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.scoring.left_out import LeftOut

WINDOWS = WindowSettings(length=3, next_frame=True)
MEAN_SQUARE = {
    "type": "band_deviation",
    "reads": "errors",
    "pooling": {"type": "maximum"},
    "scale": "logarithmic",
    "whitening": "band",
    "reference": "machine_id",
    "prior_clips": 0.0,
    "backend": {"type": "mean_square"},
}


def parsed(values):
    return TypeAdapter(ScoreSettings).validate_python(values)


def test_persistence_expects_the_last_frame_of_the_window_again():
    frames = np.random.default_rng(1).random((8, 2))
    found = persistence_errors(frames, WINDOWS)
    expected = []
    for first in range(8 - 3):
        window, following = frames[first : first + 3], frames[first + 3]
        expected.append((following - window[-1]) ** 2)
    np.testing.assert_allclose(found, expected)


def test_the_spectrum_takes_the_place_of_errors_and_nothing_else_changes():
    joined = parsed(
        {
            "type": "joined",
            "fits": 5,
            "parts": [MEAN_SQUARE, MEAN_SQUARE | {"reads": "spectrum", "scale": "linear"}],
        }
    )
    first, second = of_spectrum(joined).parts
    assert first == second == joined.parts[1]


def test_rows_without_training_have_the_score_worked_out_by_hand():
    rng = np.random.default_rng(2)
    frames = {f"clip_{number}": rng.random((9, 2)) * 10 - 20 for number in range(6)}
    clips = pd.DataFrame(
        {"clip_id": list(frames), "machine_id": "00", "split": ["train"] * 5 + ["test"]}
    )
    scaling = Scaling("corpus", (-20.0,), (10.0,))
    how = {"scaling": scaling, "windows": WINDOWS, "score": parsed(MEAN_SQUARE), "seed": 1}
    fitted = untrained_scores(Frames.in_memory(frames), clips, left_out=None, **how)
    alone = untrained_scores(Frames.in_memory(frames), clips, left_out=LeftOut(np.arange(5)), **how)

    def by_hand(reading, training, clip):
        x = np.array([reading((frames[name] + 20) / 10) for name in frames])
        z = (x[clip] - x[training].mean(axis=0)) / x[training].std(axis=0, ddof=1)
        return 10 * np.log10((z**2).mean())

    readings = {
        "spectrum": lambda values: values.max(axis=0),
        "persistence": lambda values: np.log(
            [max((values[t, b] - values[t - 1, b]) ** 2 for t in range(3, 9)) for b in range(2)]
        ),
    }
    for name, reading in readings.items():
        others = [np.flatnonzero(np.arange(5) != clip) for clip in range(5)]
        expected = [by_hand(reading, list(range(5)), clip) for clip in range(6)]
        np.testing.assert_allclose(fitted[name], expected, rtol=1e-6)
        expected[:5] = [by_hand(reading, others[clip], clip) for clip in range(5)]
        np.testing.assert_allclose(alone[name], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            [("lstm", "spectrum", 0.05, 0.01, 0.09), ("spectrum", "gru", 0.02, -0.01, 0.05)],
            "Training pays here: AUC against the log-mel spectrum under the same score, with 40 "
            "normal clips to learn: lstm +0.050 (+0.010 to +0.090).",
        ),
        (
            [("lstm", "spectrum", 0.01, -0.03, 0.05), ("spectrum", "gru", 0.02, 0.01, 0.05)],
            "It is not shown that training pays here: no network clearly beats the log-mel "
            "spectrum under the same score, with 40 normal clips to learn; the best, lstm +0.010 "
            "(-0.030 to +0.050) AUC.",
        ),
        (
            [("spectrum", "gru", 0.02, 0.01, 0.05)],
            "Training does not pay here: no network clearly beats the log-mel spectrum under the "
            "same score, with 40 normal clips to learn; the best, gru -0.020 (-0.050 to -0.010) "
            "AUC.",
        ),
        ([], "Whether training pays cannot be told without normal and anomalous test clips."),
    ],
)
def test_whether_training_pays_is_said_in_a_sentence(rows, expected):
    differences = pd.DataFrame(rows, columns=["method", "other", "difference", "low", "high"])
    found = does_training_pay(differences, ["lstm", "gru"], "spectrum", normal_clips=40)
    assert found == expected
