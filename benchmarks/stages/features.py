"""From files to log-mel spectrograms."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from anomalous_sound.audio.decode import AudioFile, to_mono
from anomalous_sound.audio.log_mel import log_mel_spectrogram
from benchmarks.harness import OURS, PLAIN, Row, compared, in_turns
from benchmarks.plain import features as plain
from benchmarks.stages.options import Options


def log_mel_of_file(path: Path, audio: dict, log_mel: dict) -> np.ndarray:
    """Read, check and transform one file."""
    samples = to_mono(AudioFile(path).recording(), **audio)
    return log_mel_spectrogram(samples, sample_rate=audio["sample_rate"], **log_mel)


def features(options: Options) -> list[Row]:
    """Measure a file at a time in one process, and the files shared out to all cores."""
    groups = options.corpus.parameters
    ours = partial(log_mel_of_file, audio=groups["audio"], log_mel=groups["log_mel"])
    files = options.corpus.files
    workers = os.cpu_count()
    share = -(-len(files) // workers)

    def serially(function):
        for file in files:
            function(file)

    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        serial = in_turns(
            {PLAIN: lambda: serially(plain.log_mel), OURS: lambda: serially(ours)}, options.repeats
        )
        shared = in_turns(
            {
                PLAIN: lambda: serially(plain.log_mel),
                OURS: lambda: list(pool.map(ours, files, chunksize=share)),
            },
            options.repeats,
        )
    what = "librosa.load, melspectrogram, power_to_db; ours"
    work = {"work": len(files), "unit": "clips"}
    return [
        compared("features", f"{what} in one process", serial, **work),
        compared("features", f"{what} in {workers} processes", shared, **work),
    ]


def preparation(options: Options) -> list[Row]:
    """Measure the pipeline's way, which also checks, splits, compares and writes the clips."""
    files = options.corpus.files
    seconds = in_turns(
        {PLAIN: lambda: [plain.log_mel(file) for file in files], OURS: options.corpus.prepare},
        options.repeats,
    )
    what = "librosa file by file; the nodes, with every check and the writing"
    return [compared("preparation", what, seconds, work=len(files), unit="clips")]
