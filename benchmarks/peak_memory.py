"""Train once and print the peak memory of this process, MB: a process of the stage ``memory``."""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path

from anomalous_sound.audio.frames import WindowedFrames
from anomalous_sound.audio.layout import TRAIN, VALIDATION
from anomalous_sound.models.checkpoint import Checkpoint
from anomalous_sound.models.training import train_network
from benchmarks.corpora import Corpus, configuration


def main(folder: str, clips: str, part: str) -> None:
    corpus = Corpus(Path(folder), int(clips))
    table = corpus.clip_table
    if part == "few":
        table = table.groupby("split").head(1)
    groups = corpus.parameters

    def windows_of(split: str) -> WindowedFrames:
        of_split = corpus.windows[corpus.windows.clip_id.isin(table.clip_id[table.split == split])]
        return WindowedFrames(corpus.frames, of_split, groups["scaling"], **groups["windows"])

    training = configuration("parameters")["lstm"]["training"]
    with tempfile.TemporaryDirectory() as checkpoints:
        train_network(
            windows_of(TRAIN),
            windows_of(VALIDATION),
            settings=corpus.settings("lstm"),
            training=training | {"seed": 1, "epochs": 1, "accelerator": "cpu"},
            checkpoint=Checkpoint(Path(checkpoints) / "checkpoint.ckpt"),
        )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 * 1.048576)


if __name__ == "__main__":
    main(*sys.argv[1:])
