import numpy as np
import pandas as pd
import pytest
from anomalous_sound.training.cross_validation import draw_folds, held_out_scores
from support import describe_network

from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.configuration.scoring import MeanPooling, PooledErrorSettings
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import index_windows
from anomalous_sound.training import loop as training_module
from anomalous_sound.training.checkpoint import Checkpoint

DESCRIPTION = describe_network(
    "lstm", {"hidden_size": 4, "num_layers": 1}, machine_ids=("00", "02")
)
TRAINING = TrainingSettings(
    epochs=1,
    batch_size=16,
    learning_rate=0.01,
    stride=1,
    accelerator="cpu",
    precision="32-true",
    threads=1,
)
SCORING = ScoringSettings(batch_size=32, accelerator="cpu", precision="32-true")
SCORE = PooledErrorSettings(type="pooled_error", pooling=MeanPooling(type="mean"))
CLIPS = pd.DataFrame(
    {
        "clip_id": list("abcdefgh"),
        "machine_id": ["00"] * 5 + ["02"] * 3,
        "split": ["train", "train", "validation", "train", "train", "train", "validation", "test"],
        "sha256": list("abcdefgh"),
    }
)


def scored(tmp_path, folds, clips=CLIPS):
    values = np.random.default_rng(0).random((8, 30, 6)).astype(np.float32)
    frames = Frames.in_memory(dict(zip(CLIPS.clip_id, values, strict=True)))
    windows = index_windows(frames.index, DESCRIPTION.windows, frame_s=0.032)
    return held_out_scores(
        frames,
        windows,
        clips,
        folds=folds,
        training_windows=windows,
        training_form=DESCRIPTION.windows,
        description=DESCRIPTION,
        training=TRAINING,
        scoring=SCORING,
        jobs=1,
        score=SCORE,
        seed=3,
        checkpoint=Checkpoint(tmp_path / "checkpoint.ckpt"),
    )


def test_folds_are_even_and_share_out_each_machine_id():
    clips = pd.DataFrame({"machine_id": ["00"] * 10 + ["02"] * 6})
    folds = draw_folds(clips, 4, seed=1)
    assert sorted(folds.value_counts()) == [4, 4, 4, 4]
    assert set(folds.groupby(clips.machine_id).value_counts()) <= {1, 2, 3}
    assert not folds.equals(draw_folds(clips, 4, seed=2))
    pd.testing.assert_series_equal(folds, draw_folds(clips, 4, seed=1))


def test_every_normal_clip_is_scored_once_by_a_network_that_has_not_heard_it(tmp_path, monkeypatch):
    heard, whole = [], training_module.train_network

    def spy(training_windows, validation_windows, **how):
        heard.append((len(training_windows), len(validation_windows)))
        return whole(training_windows, validation_windows, **how)

    monkeypatch.setattr(training_module, "train_network", spy)
    table = scored(tmp_path, 3)
    # the test clip h is left out; 20 windows a clip
    assert sorted(table.clip_id) == list("abcdefg")
    assert [sum(pair) for pair in heard] == [7 * 20] * 3
    assert [held // 20 for _, held in heard] == table.groupby("fold").size().tolist()
    assert np.isfinite(table.score.astype(float)).all()
    assert not list(tmp_path.glob("*.ckpt"))


def test_without_folds_nothing_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(training_module, "train_network", None)
    assert scored(tmp_path, 0).empty


def test_more_folds_than_clips(tmp_path):
    with pytest.raises(InputError, match=r"thresholds\.folds is 9, but there are only 7 normal"):
        scored(tmp_path, 9)
