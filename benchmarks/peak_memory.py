"""Train once on so many clips and print the peak memory of this process, MB: for ``memory``.

Frames are random numbers in files, of the shape of log-mel clips of 10 s.
"""

from __future__ import annotations

import resource
import sys
import tempfile

from anomalous_sound.datasets import FramesDataset
from anomalous_sound.features.frames import PromisedFrames
from benchmarks import random_clips
from benchmarks.configuration import method_settings, parameters

PROFILE = "standard"
FEWEST = 5  # clips; a fifth is held out


def main(clips: int) -> None:
    n_mels = parameters(PROFILE).log_mel.n_mels
    table = random_clips.clip_table(clips, held_out=clips // FEWEST)
    promised = {
        clip_id: PromisedFrames(clip_id, lambda seed=seed: random_clips.random_frames(n_mels, seed))
        for seed, clip_id in enumerate(table.clip_id)
    }
    training = method_settings("lstm", PROFILE).training
    one_epoch = training.model_copy(update={"epochs": 1, "accelerator": "cpu"})
    with tempfile.TemporaryDirectory() as folder:
        dataset = FramesDataset(filepath=folder)
        dataset.save(promised)
        random_clips.train("lstm", PROFILE, one_epoch, dataset.load(), table)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


if __name__ == "__main__":
    main(int(sys.argv[1]))
