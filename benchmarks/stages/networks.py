"""Training, scoring and the memory that they take."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from anomalous_sound.compute.processor import chosen_precision
from anomalous_sound.methods.trained_network import TrainedNetwork, build_network

from anomalous_sound.scoring.errors import WindowScoring
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_network
from anomalous_sound.vocabulary import Split
from benchmarks import harness
from benchmarks.corpora import REPOSITORY, Corpus, configuration
from benchmarks.harness import CEILING, OURS, PLAIN, Row, in_turns, multiply, on_threads, processes
from benchmarks.peak_memory import FRAMES, HELD_OUT
from benchmarks.plain import scoring as plain_scoring
from benchmarks.plain import training as plain_training
from benchmarks.stages.options import Options

FULL_SIZE = 2370  # normal clips that the report trains on
EPOCHS = (
    3  # a training's first steps, which try numbers of threads, are to weigh as little as usual
)


def ceiling(options: Options) -> list[Row]:
    """Measure large matrix products: what the machine could do at best."""
    cores = torch.get_num_threads()
    ways = {f"float32, threads: {n}": (multiply, torch.float32, n) for n in sorted({1, cores})}
    if chosen_precision("auto", torch.device("cpu")) == "bf16-mixed":
        ways["bfloat16"] = (multiply, torch.bfloat16)
    with processes(ways) as apart:
        seconds = in_turns(apart, max(options.repeats, 5))
    rates = {
        way: harness.PRODUCT_FLOP / statistics.median(times) / 1e9 for way, times in seconds.items()
    }
    return [
        Row("ceiling", f"matrix products, {way}", "–", f"{rate:.0f} GFLOP/s", [])
        for way, rate in rates.items()
    ]


def train_ours(corpus: Corpus, model: str, profile: str) -> None:
    """Train for EPOCHS with the settings of a profile; the network is always the report's."""
    settings = configuration("parameters", profile)[model]["training"]
    training = settings | {"seed": 1, "epochs": EPOCHS, "accelerator": "cpu"}
    stride = training["stride"]
    with tempfile.TemporaryDirectory() as folder:
        train_network(
            corpus.windowed(Split.TRAIN, stride),
            corpus.windowed(Split.VALIDATION, stride),
            settings=corpus.settings(model),
            training=training,
            checkpoint=Checkpoint(Path(folder) / "checkpoint.ckpt"),
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
    windows, held_out = len(corpus.windowed(Split.TRAIN)), len(corpus.windowed(Split.VALIDATION))
    models = tuple(plain_training.MODELS)
    ways = {(PLAIN, model): (train_plainly, corpus, model) for model in models}
    ways |= {(OURS, model): (train_ours, corpus, model, profile) for model in models}
    with processes(ways | {CEILING: (multiply,)}) as apart:
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
        / configuration("parameters", profile)[model]["training"]["stride"]
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


def _what_is_trained(model: str, profile: str) -> str:
    ours = configuration("parameters", profile)[model]["training"]
    precision = chosen_precision(ours["precision"], torch.device("cpu"))
    return (
        f"{model}, {EPOCHS} epochs: DataLoader, nn module, batch "
        f"{plain_training.BATCH_SIZES[model]}; ours, batch {ours['batch_size']}, {precision}"
        + (f", every {ours['stride']}th window" if ours["stride"] > 1 else "")
    )


def busy_training(options: Options) -> list[Row]:
    """Measure a training beside one busy process against one alone on one thread."""
    corpus = options.corpus
    ways = {
        PLAIN: (on_threads, 1, train_ours, corpus, "lstm", "report"),
        OURS: (beside_a_busy_process, train_ours, corpus, "lstm", "report"),
    }
    with processes(ways) as apart:
        seconds = in_turns(apart, options.repeats)
    what = f"lstm, {EPOCHS} epochs: ours alone on one thread; ours beside one busy process"
    windows = EPOCHS * len(corpus.windowed(Split.TRAIN))
    return [harness.compared("busy", what, seconds, work=windows, unit="windows")]


def beside_a_busy_process(function: Callable[..., object], *arguments: Any) -> None:
    """Call a function while another process keeps one core busy."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            function(*arguments)
        finally:
            busy.kill()


def untrained(corpus: Corpus, model: str) -> TrainedNetwork:
    """Return the same network in every process."""
    settings = corpus.settings(model)
    torch.manual_seed(1)
    return TrainedNetwork(build_network(settings).state_dict(), settings)


def score_plainly(corpus: Corpus, model: str) -> None:
    """Score the test clips the plain way."""
    plain = plain_training.MODELS[model]()
    plain.load_state_dict(untrained(corpus, model).weights)
    for clip in corpus.scaled_clips(Split.TEST):
        plain_scoring.score_clip(plain, clip)


def score_ours(corpus: Corpus, model: str) -> None:
    """Score the test clips."""
    clips = corpus.clip_table
    tested = clips.clip_id[clips.split == Split.TEST]
    windows = corpus.windows[corpus.windows.clip_id.isin(tested)]
    machine_ids = dict(zip(clips.clip_id, clips.machine_id, strict=True))
    groups = configuration("parameters")
    scoring = groups["scoring"] | {"accelerator": "cpu", "jobs": groups["jobs"]}
    network = untrained(corpus, model)
    for _ in WindowScoring(network, corpus.frames, windows, machine_ids, **scoring):
        pass


def scoring(options: Options) -> list[Row]:
    """Measure the scoring of the test clips."""
    return [_scoring_row(options, model) for model in plain_training.MODELS]


def _scoring_row(options: Options, model: str) -> Row:
    corpus = options.corpus
    ways = {
        PLAIN: (score_plainly, corpus, model),
        OURS: (score_ours, corpus, model),
        CEILING: (multiply,),
    }
    with processes(ways) as apart:
        seconds = in_turns(apart, options.repeats)
    what = f"{model}: DataLoader a clip, batch 32; ours"
    clips = int((corpus.clip_table.split == Split.TEST).sum())
    windows = len(corpus.windowed(Split.TEST))
    row = harness.compared("scoring", what, seconds, work=clips, unit="clips")
    part = harness.reached(seconds, windows * harness.FORWARD_FLOP[model])
    return replace(row, reached=part)


def memory(options: Options) -> list[Row]:
    """Measure the peak of a training on as many clips as the report's, less that on a few."""
    few, full = (_peak_mb(clips) for clips in (HELD_OUT, FULL_SIZE))
    frames_mb = FULL_SIZE * FRAMES * 128 * 4 / 1e6
    what = (
        f"lstm, standard, an epoch on {FULL_SIZE} clips: the bytes of their frames; peak memory "
        f"beyond that of a training on {HELD_OUT} clips ({few:.0f} MB)"
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
