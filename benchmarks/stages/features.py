"""From files to log-mel spectrograms."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from anomalous_sound.pipelines.preparation import nodes
from anomalous_sound.threads import in_threads, torch_threads
from benchmarks.corpora import Corpus
from benchmarks.harness import OURS, PLAIN, Row, compared, in_turns
from benchmarks.plain import features as plain
from benchmarks.stages.options import Options

_CLIPS_TO_PREPARE = 200  # with fewer, most of the time is that of small tables


def promised_log_mel(corpus: Corpus) -> dict[Path, Callable[[], np.ndarray]]:
    """Return for each file what reads, checks and transforms it in the pipeline."""
    groups = corpus.parameters
    promises = nodes.extract_log_mel(
        corpus.recordings, corpus.clip_table, groups["audio"], groups["log_mel"]
    )
    return {corpus.audio_dir / clip_id: promise.compute for clip_id, promise in promises.items()}


def features(options: Options) -> list[Row]:
    """Measure the files one after the other, and shared out to threads as in the pipeline."""
    tasks = promised_log_mel(options.corpus)

    def plainly() -> None:
        for file in tasks:
            plain.log_mel(file)

    def ours(jobs: int) -> None:
        with torch_threads(1):
            for _ in in_threads(tasks.values(), jobs):
                pass

    serial, shared = (
        in_turns({PLAIN: plainly, OURS: lambda jobs=jobs: ours(jobs)}, options.repeats)
        for jobs in (1, -1)
    )
    what = "librosa.load, melspectrogram, power_to_db; ours"
    work = {"work": len(tasks), "unit": "clips"}
    return [
        compared("features", f"{what} in one thread", serial, **work),
        compared("features", f"{what} in {os.cpu_count()} threads", shared, **work),
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
