"""Which windows are trained on."""

import numpy as np
import pandas as pd
import pytest
from support import describe_network

from anomalous_sound.configuration.training import DetectorSettings, TrainingSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.features.windows import index_windows
from anomalous_sound.pipelines.training import nodes
from anomalous_sound.training import loop as training_module
from anomalous_sound.training.folds import assign_folds

DESCRIPTION = describe_network(
    "lstm",
    {"hidden_size": 4, "num_layers": 1},
    n_mels=2,
    scaling=Scaling("corpus", (0.0,), (1.0,)),
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


@pytest.mark.parametrize(("stride", "expected"), [(1, range(20)), (4, range(0, 20, 4))])
def test_every_so_manieth_window_is_trained_on(monkeypatch, stride, expected):
    values = np.arange(60 * 2, dtype=np.float32).reshape(60, 2)
    frames = Frames.in_memory({"a": values[:30], "b": values[30:]})
    windows = index_windows(frames.index, DESCRIPTION.windows, frame_s=0.032)
    clips = pd.DataFrame(
        {"clip_id": ["a", "b"], "machine_id": "00", "split": ["train", "validation"]}
    )
    detector = DetectorSettings(
        name=None, per="machine_type", folds=1, left_out="clip", left_out_fits=9, channels="mean"
    )
    seen = []
    monkeypatch.setattr(training_module, "train_network", lambda *views, **_: seen.extend(views))
    nodes.train_network(
        *(frames, windows, clips, assign_folds(clips, detector, seed=1), DESCRIPTION, None),
        training=TRAINING.model_copy(update={"stride": stride}),
        detector=detector,
        seed=1,
        jobs=1,
    )
    for first_frame, view in zip((0, 30), seen, strict=True):
        heard = view[np.arange(len(view))]
        assert heard.shape == (len(expected), 11, 2)
        # the frame's number is half its first value
        assert (heard[:, 0, 0] / 2).tolist() == [first_frame + start for start in expected]
