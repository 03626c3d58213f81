"""The whole job at the size of the report's corpus."""

from __future__ import annotations

import time
from collections.abc import Callable

from anomalous_sound.vocabulary import Split
from benchmarks.configuration import method_settings
from benchmarks.corpora import Corpus
from benchmarks.harness import Row
from benchmarks.stages.features import compute_plainly
from benchmarks.stages.networks import EPOCHS, score_plainly, train_plainly
from benchmarks.stages.options import Options
from benchmarks.whole_job import (
    CLIPS_PER_MACHINE_ID,
    FULL_SIZE,
    MACHINE_IDS,
    STAGES,
    measure,
    simulate,
)

_PROFILE = "standard"
_METHOD = "lstm"
_TRAINED_PART = 0.8  # of the normal clips; the plain way looks at the others after each epoch


def full_size(options: Options) -> list[Row]:
    """Measure each stage of ``lstm`` once on 3,471 clips, and what the plain way would take.

    The plain way's rates are measured on a few clips, before and after; it trains one network on
    every window, for as many epochs.
    """
    folder = options.corpus.folder / "full_size"
    corpus = simulate(folder, FULL_SIZE)
    before = _plain_seconds(options.corpus)
    measured = measure(corpus, FULL_SIZE, folder, _PROFILE)
    plain = (before + _plain_seconds(options.corpus)) / 2
    total = sum(measured[stage].seconds for stage in STAGES)
    peak = max(measured[stage].peak_mb for stage in STAGES)
    what = f"{_METHOD}, {_PROFILE}, {FULL_SIZE:,} clips"
    rows = [
        Row(
            "full",
            f"{what}, the whole job: plain way by its rates on {len(options.corpus.files)} clips "
            "(one network, every window); ours, once",
            f"{plain:.0f} s",
            f"{total:.0f} s, {peak:.0f} MB",
            [plain / total],
        )
    ]
    for stage in STAGES:
        cost = measured[stage]
        ours = f"{cost.seconds:.0f} s ({cost.seconds / total:.0%}), {cost.peak_mb:.0f} MB"
        rows.append(Row("full", f"… {stage}", "–", ours, []))
    return rows


def _plain_seconds(corpus: Corpus) -> float:
    """Return how long the plain way would take for FULL_SIZE clips, by its rates on a few."""
    clips = len(MACHINE_IDS) * CLIPS_PER_MACHINE_ID["training_clips"]
    held_out = round(clips * (1 - _TRAINED_PART))
    windows = len(corpus.windows_of(Split.TRAIN))
    tested = int((corpus.clip_table.split == Split.TEST).sum())
    per_clip = len(corpus.windows_of(Split.TEST)) / tested
    epochs = method_settings(_METHOD, _PROFILE).training.epochs
    return (
        _seconds(lambda: compute_plainly(corpus)) / len(corpus.files) * FULL_SIZE
        + _seconds(lambda: train_plainly(corpus, _METHOD))
        / (EPOCHS * windows)
        * (epochs * (clips - held_out) * per_clip)
        + _seconds(lambda: score_plainly(corpus, _METHOD)) / tested * (FULL_SIZE - clips + held_out)
    )


def _seconds(run: Callable[[], None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
