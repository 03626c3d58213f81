"""Which windows are trained on."""

import numpy as np
import pandas as pd
import pytest
from anomalous_sound.pipelines.detection.nodes import training

from anomalous_sound.features.frames import Frames, index_windows
from anomalous_sound.training import loop as training_module

FORM = {"length": 10, "next_frame": True}
SETTINGS = {
    "windows": FORM,
    "scaling": {"method": "corpus", "offset": [0.0], "span": [1.0]},
    "log_mel": {"hop_length": 512},
    "audio": {"sample_rate": 16000},
}


@pytest.mark.parametrize(("stride", "expected"), [(1, range(20)), (4, range(0, 20, 4))])
def test_every_so_manieth_window_is_trained_on(monkeypatch, stride, expected):
    index = pd.DataFrame({"clip_id": ["a", "b"], "first_frame": [0, 30], "frames": 30})
    frames = Frames(np.arange(60 * 2, dtype=np.float32).reshape(60, 2), index)
    windows = index_windows(index, **FORM, hop_length=512, sample_rate=16000)
    clips = pd.DataFrame({"clip_id": ["a", "b"], "split": ["train", "validation"]})
    seen = []
    monkeypatch.setattr(training_module, "train_network", lambda *views, **_: seen.extend(views))
    training.train_network(
        *(frames, windows, clips, SETTINGS, None),
        training={"stride": stride},
        detector={"per": "machine_type"},
        seed=1,
    )
    for first_frame, view in zip((0, 30), seen, strict=True):
        heard = view[np.arange(len(view))]
        assert heard.shape == (len(expected), 11, 2)
        # the frame's number is half its first value
        assert (heard[:, 0, 0] / 2).tolist() == [first_frame + start for start in expected]
