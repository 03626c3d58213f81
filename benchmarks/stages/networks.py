"""Training, scoring and the memory that they take."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from anomalous_sound.audio.layout import TEST, TRAIN, VALIDATION
from anomalous_sound.models.checkpoint import Checkpoint
from anomalous_sound.models.network import TrainedNetwork, build_network
from anomalous_sound.models.scoring import WindowScoring
from anomalous_sound.models.training import train_network
from benchmarks import harness
from benchmarks.corpora import REPOSITORY, Corpus, configuration
from benchmarks.harness import CEILING, OURS, PLAIN, Row, in_turns, matrix_products, on_threads
from benchmarks.plain import scoring as plain_scoring
from benchmarks.plain import training as plain_training
from benchmarks.stages.options import Options


def ceiling(options: Options) -> list[Row]:
    """Measure large matrix products: what the machine could do at best."""
    cores = torch.get_num_threads()
    ways = {f"float32, {n} threads": on_threads(n, matrix_products()) for n in sorted({1, cores})}
    if harness.cpu_has_bfloat16():
        ways["bfloat16"] = matrix_products(torch.bfloat16)
    seconds = in_turns(ways, max(options.repeats, 5))
    rates = {
        way: harness.PRODUCT_FLOP / statistics.median(times) / 1e9 for way, times in seconds.items()
    }
    return [
        Row("ceiling", f"matrix products, {way}", "–", f"{rate:.0f} GFLOP/s", [])
        for way, rate in rates.items()
    ]


def train_ours(corpus: Corpus, model: str, **changed: Any) -> TrainedNetwork:
    """Train for one epoch with the settings of the configuration."""
    settings = configuration("parameters")[model]["training"]
    training = settings | {"seed": 1, "epochs": 1, "accelerator": "cpu"} | changed
    with tempfile.TemporaryDirectory() as folder:
        network, _ = train_network(
            corpus.windowed(TRAIN),
            corpus.windowed(VALIDATION),
            settings=corpus.settings(model),
            training=training,
            checkpoint=Checkpoint(Path(folder) / "checkpoint.ckpt"),
        )
    return network


def train_plainly(corpus: Corpus, model: str) -> None:
    """Train the plain way for one epoch, on the same clips."""
    plain_training.train(
        plain_training.MODELS[model](),
        corpus.scaled_clips(TRAIN),
        corpus.scaled_clips(VALIDATION),
        batch_size=plain_training.BATCH_SIZES[model],
        epochs=1,
    )


def training(options: Options) -> list[Row]:
    """Measure an epoch of each model with its default settings."""
    return [_training_row(options, "training", model, {}) for model in plain_training.MODELS]


def fast_training(options: Options) -> list[Row]:
    """Measure an epoch of each model with the settings of the profile for speed."""
    rows = []
    for model in plain_training.MODELS:
        changed = configuration("parameters", options.profile)[model]["training"]
        changed = {key: value for key, value in changed.items() if key not in ("epochs", "seed")}
        rows.append(_training_row(options, "fast", model, changed))
    return rows


def _training_row(options: Options, stage: str, model: str, changed: dict[str, Any]) -> Row:
    corpus = options.corpus
    windows, held_out = len(corpus.windowed(TRAIN)), len(corpus.windowed(VALIDATION))
    seconds = in_turns(
        {
            PLAIN: lambda: train_plainly(corpus, model),
            OURS: lambda: train_ours(corpus, model, **changed),
            CEILING: matrix_products(),
        },
        options.repeats,
    )
    flop = windows * harness.TRAINING_FLOP[model] + held_out * harness.FORWARD_FLOP[model]
    settings = configuration("parameters")[model]["training"] | changed
    what = (
        f"{model}, an epoch: DataLoader, nn module, batch {plain_training.BATCH_SIZES[model]}; "
        f"ours, batch {settings['batch_size']}, {settings['precision']}"
    )
    row = harness.compared(stage, what, seconds, work=windows, unit="windows")
    return Row(
        row.stage,
        row.what,
        row.plain,
        row.ours,
        row.ratios,
        harness.reached(seconds, flop),
    )


def busy_training(options: Options) -> list[Row]:
    """Measure an epoch beside one busy process against an epoch alone on one thread."""
    corpus = options.corpus

    def beside_a_busy_process():
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
            try:
                train_ours(corpus, "lstm")
            finally:
                busy.kill()

    seconds = in_turns(
        {PLAIN: on_threads(1, lambda: train_ours(corpus, "lstm")), OURS: beside_a_busy_process},
        options.repeats,
    )
    what = "lstm, an epoch: ours alone on one thread; ours beside one busy process"
    windows = len(corpus.windowed(TRAIN))
    return [harness.compared("busy", what, seconds, work=windows, unit="windows")]


def scoring(options: Options) -> list[Row]:
    """Measure the scoring of the test clips."""
    return [_scoring_row(options, model) for model in plain_training.MODELS]


def _scoring_row(options: Options, model: str) -> Row:
    corpus = options.corpus
    settings = corpus.settings(model)
    network = TrainedNetwork(build_network(settings).state_dict(), settings)
    plain = plain_training.MODELS[model]()
    plain.load_state_dict(network.weights)
    tested = corpus.clip_table.clip_id[corpus.clip_table.split == TEST]
    windows = corpus.windows[corpus.windows.clip_id.isin(tested)]
    batch_size = configuration("parameters")["scoring"]["batch_size"]
    machine_ids = dict(zip(corpus.clip_table.clip_id, corpus.clip_table.machine_id, strict=True))

    def score_plainly():
        for clip in corpus.scaled_clips(TEST):
            plain_scoring.score_clip(plain, clip)

    seconds = in_turns(
        {
            PLAIN: score_plainly,
            OURS: lambda: list(
                WindowScoring(network, corpus.frames, windows, machine_ids, batch_size, "cpu")
            ),
            CEILING: matrix_products(),
        },
        options.repeats,
    )
    what = f"{model}: DataLoader a clip, batch 32; ours"
    row = harness.compared("scoring", what, seconds, work=len(tested), unit="clips")
    part = harness.reached(seconds, len(windows) * harness.FORWARD_FLOP[model])
    return Row(row.stage, row.what, row.plain, row.ours, row.ratios, part)


def memory(options: Options) -> list[Row]:
    """Measure how much more memory a training takes at its peak than one of two clips."""
    corpus = options.corpus
    frames_mb = corpus.frames.index.frames.sum() * 128 * 4 / 1e6
    copies_mb = len(corpus.windows) * 11 * 128 * 4 / 1e6
    parts = ("few", "all")
    peaks = {part: [_peak_mb(corpus, part) for _ in range(options.repeats)] for part in parts}
    more = [whole - few for few, whole in zip(peaks["few"], peaks["all"], strict=True)]
    what = (
        f"lstm, peak of training all clips less that of two clips; frames are {frames_mb:.1f} MB, "
        f"windows as copies would be {copies_mb:.0f} MB"
    )
    # no ratio: on a small corpus the difference lies within the noise of two processes
    ours = f"{statistics.median(more):.1f} MB ({min(more):.1f} to {max(more):.1f})"
    return [Row("memory", what, f"{copies_mb:.0f} MB", ours, [])]


def _peak_mb(corpus: Corpus, part: str) -> float:
    """Return the peak of a process of its own."""
    arguments = [str(corpus.folder), str(corpus.clips), part]
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.peak_memory", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(printed.stdout.split()[-1])
