"""Training, scoring and the memory that they take."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from anomalous_sound.compute.device import chosen_precision
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.pipelines.inference.nodes import score_windows
from anomalous_sound.pipelines.training.nodes import train_network
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.folds import assign_folds
from anomalous_sound.vocabulary import Split
from benchmarks import harness
from benchmarks.configuration import REPOSITORY, method_settings
from benchmarks.corpora import Corpus
from benchmarks.harness import CEILING, OURS, PLAIN, Row, in_turns, multiply, processes
from benchmarks.peak_memory import FEWEST
from benchmarks.plain import scoring as plain_scoring
from benchmarks.plain import training as plain_training
from benchmarks.random_clips import FRAMES
from benchmarks.stages.options import Options

FULL_SIZE = 2370  # normal clips that the report trains on
EPOCHS = 3  # so that what a training does once weighs as little as usual


DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}


def ceiling(options: Options) -> list[Row]:
    """Measure large matrix products: what the machine could do at best."""
    cores = torch.get_num_threads()
    ways = {
        f"{precision}, threads: {threads}": (multiply, DTYPES[precision], threads)
        for precision in _precisions()
        for threads in sorted({1, cores})
    }
    with processes(ways) as apart:
        seconds = in_turns(apart, max(options.repeats, 5))
    rates = {
        way: harness.PRODUCT_FLOP / statistics.median(times) / 1e9 for way, times in seconds.items()
    }
    return [
        Row("ceiling", f"matrix products, {way}", "–", f"{rate:.0f} GFLOP/s", [])
        for way, rate in rates.items()
    ]


def _precisions() -> list[str]:
    """Return those that the processor computes in by itself, the plain way's first."""
    return sorted({"32-true", chosen_precision("auto", torch.device("cpu"))})


def train_ours(corpus: Corpus, model: str, profile: str) -> None:
    """Train for EPOCHS with the settings of a profile; the network is always the report's."""
    training, settings = method_settings(model, profile).training, corpus.parameters
    with tempfile.TemporaryDirectory() as folder:
        train_network(
            corpus.frames,
            corpus.windows,
            corpus.clip_table,
            assign_folds(corpus.clip_table, settings.detector, settings.seed),
            corpus.describe(model),
            Checkpoint(Path(folder) / "checkpoint.ckpt"),
            training.model_copy(update={"epochs": EPOCHS, "accelerator": "cpu"}),
            settings.detector,
            settings.seed,
            settings.jobs,
        )


def train_plainly(corpus: Corpus, model: str) -> None:
    """Train the plain way for EPOCHS, on the same clips."""
    plain_training.train(
        plain_training.MODELS[model](),
        corpus.scaled_clips(Split.TRAIN),
        corpus.scaled_clips(Split.VALIDATION),
        batch_size=plain_training.BATCH_SIZES[model],
        epochs=EPOCHS,
    )


def training(options: Options) -> list[Row]:
    """Measure a training of each model with the report's settings."""
    return _training_rows(options, "training", "report")


def fast_training(options: Options) -> list[Row]:
    """Measure a training of each model with the settings of the profile for speed."""
    return _training_rows(options, "fast", options.profile)


def _training_rows(options: Options, stage: str, profile: str) -> list[Row]:
    corpus = options.corpus
    windows, held_out = (len(corpus.windows_of(of)) for of in (Split.TRAIN, Split.VALIDATION))
    models = tuple(plain_training.MODELS)
    ways = {(PLAIN, model): (train_plainly, corpus, model) for model in models}
    ways |= {(OURS, model): (train_ours, corpus, model, profile) for model in models}
    dtype = DTYPES[_precision(models[0], profile)]
    with processes(ways | {CEILING: (multiply, dtype)}) as apart:
        side_by_side = partial(harness.at_once, *(apart[OURS, model] for model in models))
        seconds = in_turns(apart | {(OURS, "at once"): side_by_side}, options.repeats)
    seconds[PLAIN, "both"], seconds[OURS, "both"] = (
        [sum(turn) for turn in zip(*(seconds[way, model] for model in models), strict=True)]
        for way in (PLAIN, OURS)
    )
    seconds[PLAIN, "at once"] = seconds[PLAIN, "both"]
    flop = {
        model: EPOCHS
        * (windows * harness.TRAINING_FLOP[model] + held_out * harness.FORWARD_FLOP[model])
        / method_settings(model, profile).training.stride
        for model in models
    }
    flop["both"] = flop["at once"] = sum(flop.values())
    what = {model: _what_is_trained(model, profile) for model in models} | {
        "both": "both, one after the other",
        "at once": "both, one after the other; ours side by side",
    }
    rows = []
    for name, text in what.items():
        of_name = {way: seconds[way, name] for way in (PLAIN, OURS)}
        of_name[CEILING] = seconds[CEILING]
        row = harness.compared(stage, text, of_name, work=EPOCHS * windows, unit="windows")
        rows.append(replace(row, reached=harness.reached(of_name, flop[name])))
    return rows


def _precision(model: str, profile: str) -> str:
    asked = method_settings(model, profile).training.precision
    return chosen_precision(asked, torch.device("cpu"))


def _what_is_trained(model: str, profile: str) -> str:
    ours, precision = method_settings(model, profile).training, _precision(model, profile)
    return (
        f"{model}, {EPOCHS} epochs: DataLoader, nn module, batch "
        f"{plain_training.BATCH_SIZES[model]}; ours, batch {ours.batch_size}, {precision}"
        + (f", every {ours.stride}th window" if ours.stride > 1 else "")
    )


def untrained(corpus: Corpus, model: str) -> TrainedNetworks:
    """Return the same network in every process."""
    description = corpus.describe(model)
    torch.manual_seed(1)
    return TrainedNetworks(description.build().state_dict(), description)


def score_plainly(corpus: Corpus, model: str) -> None:
    """Score the test clips the plain way."""
    plain = plain_training.MODELS[model]()
    plain.load_state_dict(untrained(corpus, model).weights)
    for clip in corpus.scaled_clips(Split.TEST):
        plain_scoring.score_clip(plain, clip)


def score_ours(corpus: Corpus, model: str, precision: str) -> None:
    """Score the test clips."""
    settings = corpus.parameters
    inference = settings.inference.model_copy(update={"accelerator": "cpu", "precision": precision})
    windows, network = corpus.windows_of(Split.TEST), untrained(corpus, model)
    for _ in score_windows(
        network, corpus.frames, windows, corpus.clip_table, inference, settings.jobs
    ):
        pass


def scoring(options: Options) -> list[Row]:
    """Measure the scoring of the test clips, in bfloat16 too where the processor has it."""
    return [
        _scoring_row(options, model, precision)
        for model in plain_training.MODELS
        for precision in _precisions()
    ]


def _scoring_row(options: Options, model: str, precision: str) -> Row:
    corpus = options.corpus
    ways = {
        PLAIN: (score_plainly, corpus, model),
        OURS: (score_ours, corpus, model, precision),
        CEILING: (multiply, DTYPES[precision]),
    }
    with processes(ways) as apart:
        seconds = in_turns(apart, options.repeats)
    what = f"{model}: DataLoader a clip, batch 32; ours, {precision}"
    clips = int((corpus.clip_table.split == Split.TEST).sum())
    windows = len(corpus.windows_of(Split.TEST))
    row = harness.compared("scoring", what, seconds, work=clips, unit="clips")
    part = harness.reached(seconds, windows * harness.FORWARD_FLOP[model])
    return replace(row, reached=part)


def memory(options: Options) -> list[Row]:
    """Measure the peak of a training on as many clips as the report's, less that on a few."""
    few, full = (_peak_mb(clips) for clips in (FEWEST, FULL_SIZE))
    frames_mb = FULL_SIZE * FRAMES * 128 * 4 / 1e6
    what = (
        f"lstm, standard, an epoch on {FULL_SIZE} clips: the bytes of their frames; peak memory "
        f"beyond that of a training on {FEWEST} clips ({few:.0f} MB)"
    )
    more = max(full - few, 1)
    return [Row("memory", what, f"{frames_mb:.0f} MB", f"{more:.0f} MB", [frames_mb / more])]


def _peak_mb(clips: int) -> float:
    """Return the peak of a process of its own."""
    printed = subprocess.run(
        [sys.executable, "-m", "benchmarks.peak_memory", str(clips)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(printed.stdout.split()[-1])
