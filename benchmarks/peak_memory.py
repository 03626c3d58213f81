"""Train once on so many clips and print the peak memory of this process, MB: for ``memory``.

Frames are random numbers in a file, of the shape of log-mel clips of 10 s.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from anomalous_sound.storage.row_file import RowFile, write_header

from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_network
from benchmarks.corpora import configuration

FRAMES = 313
HELD_OUT = 5  # every fifth clip


def main(clips: int) -> None:
    groups = configuration("parameters", "standard")
    n_mels, training = groups["log_mel"]["n_mels"], groups["lstm"]["training"]
    index = pd.DataFrame({"clip_id": [f"{number}.wav" for number in range(clips)]})
    index = index.assign(first_frame=np.arange(clips) * FRAMES, frames=FRAMES)
    windows = index_windows(
        index, **groups["windows"], hop_length=512, sample_rate=16000, stride=training["stride"]
    )
    held_out = windows.first_frame // FRAMES % HELD_OUT == HELD_OUT - 1
    settings = {
        "network": groups["lstm"]["network"],
        "log_mel": groups["log_mel"],
        "windows": groups["windows"],
        "scaling": groups["scaling"],
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.npy"
        rng = np.random.default_rng(0)
        with path.open("wb") as file:
            write_header(file, clips * FRAMES, n_mels, "<f4")
            for _ in range(clips):
                file.write(rng.random((FRAMES, n_mels), dtype=np.float32).tobytes())
        frames = Frames(RowFile(path), index)
        views = (
            WindowedFrames(frames, windows[part], groups["scaling"], **groups["windows"])
            for part in (~held_out, held_out)
        )
        train_network(
            *views,
            settings=settings,
            training=training | {"seed": 1, "epochs": 1, "accelerator": "cpu"},
            checkpoint=Checkpoint(Path(folder) / "checkpoint.ckpt"),
        )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


if __name__ == "__main__":
    main(int(sys.argv[1]))
