"""From files to log-mel spectrograms."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from anomalous_sound.compute.threads import in_threads, torch_threads
from anomalous_sound.pipelines.preparation import nodes
from benchmarks.corpora import Corpus
from benchmarks.harness import OURS, PLAIN, Row, compared, in_turns, processes
from benchmarks.plain import features as plain
from benchmarks.stages.options import Options

_CLIPS_TO_PREPARE = 200  # with fewer, most of the time is that of small tables
_TURNS = 15  # of half a second each


def promised_log_mel(corpus: Corpus) -> list[Callable[[], np.ndarray]]:
    """Return for each clip what reads, checks and transforms it in the pipeline."""
    settings = corpus.parameters
    promises = nodes.extract_log_mel(
        corpus.recordings, corpus.clip_table, settings.audio, settings.log_mel
    )
    return [promise.compute for promise in promises.values()]


def compute_plainly(corpus: Corpus) -> None:
    """Compute the log-mel frames of all files the plain way."""
    for file in corpus.files:
        plain.log_mel(file)


def compute_ours(corpus: Corpus, jobs: int) -> None:
    """Compute them as in the pipeline, shared out to so many threads."""
    with torch_threads(1):
        for _ in in_threads(promised_log_mel(corpus), jobs):
            pass


def features(options: Options) -> list[Row]:
    """Measure the files one after the other, and shared out to threads as in the pipeline."""
    corpus = options.corpus
    files = len(corpus.files)
    cores = os.cpu_count()
    ways = {PLAIN: (compute_plainly, corpus)}
    ways |= {jobs: (compute_ours, corpus, jobs) for jobs in (1, cores)}
    with processes(ways) as apart:
        seconds = in_turns(apart, max(options.repeats, _TURNS))
    what = "librosa.load, melspectrogram, power_to_db; ours"
    return [
        compared(
            "features",
            f"{what}, threads: {jobs}",
            {PLAIN: seconds[PLAIN], OURS: seconds[jobs]},
            work=files,
            unit="clips",
        )
        for jobs in (1, cores)
    ]


def preparation(options: Options) -> list[Row]:
    """Measure the pipeline's way, which also checks, splits, compares and writes the clips."""
    clips = max(options.corpus.clips, _CLIPS_TO_PREPARE)
    corpus = Corpus(options.corpus.folder / "preparation", clips)
    files = corpus.files
    seconds = in_turns(
        {PLAIN: lambda: [plain.log_mel(file) for file in files], OURS: corpus.prepare},
        options.repeats,
    )
    what = f"librosa file by file; the nodes, with every check and the writing, {len(files)} clips"
    return [compared("preparation", what, seconds, work=len(files), unit="clips")]
