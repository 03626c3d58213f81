"""Training at full size on an NVIDIA GPU against the plain way on the same GPU.

    python -m benchmarks.gpu [--clips 2370] [--repeats 3] [--profile report]

Frames are random numbers of the shape of the report's training set: what is in them does not change
the time. Prints seconds an epoch, the part of the peak of matrix products in the same precision,
measured in the same run, and the ratio to the plain way in float32 (its epoch is measured on a part
of the batches and extrapolated).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from anomalous_sound.compute.processor import chosen_precision
from torch.utils.data import DataLoader

from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_network
from benchmarks.corpora import configuration
from benchmarks.harness import TRAINING_FLOP
from benchmarks.plain import training as plain

FRAMES, N_MELS, PLAIN_BATCHES = 313, 128, 500


def corpus(clips: int) -> tuple[Frames, pd.DataFrame]:
    """Random frames and their windows."""
    index = pd.DataFrame({"clip_id": [f"{number}.wav" for number in range(clips)]})
    index = index.assign(first_frame=np.arange(clips) * FRAMES, frames=FRAMES)
    rng = np.random.default_rng(0)
    frames = Frames(rng.random((clips * FRAMES, N_MELS), dtype=np.float32), index)
    windows = index_windows(index, length=10, next_frame=True, hop_length=512, sample_rate=16000)
    return frames, windows


def timed(run: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def peak_flops(dtype: torch.dtype) -> float:
    """FLOP a second of large matrix products."""
    one = torch.randn(8192, 8192, device="cuda", dtype=dtype)
    for _ in range(3):
        one @ one
    seconds = min(timed(lambda: [one @ one for _ in range(10)]) for _ in range(3))
    return 10 * 2 * 8192**3 / seconds


def plain_epoch(model: str, frames: Frames) -> float:
    """Seconds of an epoch the plain way, from its first batches."""
    clips = [values for _, values in frames.clips()]
    dataset = plain.Windows(clips)
    loader = DataLoader(dataset, batch_size=plain.BATCH_SIZES[model], shuffle=True)
    network = plain.MODELS[model]().cuda()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def batches() -> None:
        for number, (window, next_frame) in enumerate(loader):
            optimizer.zero_grad()
            loss = network.errors(window.cuda(), next_frame.cuda()).mean()
            loss.backward()
            optimizer.step()
            if number + 1 == PLAIN_BATCHES:
                return

    batches()
    return timed(batches) / min(PLAIN_BATCHES, len(loader)) * len(loader)


def our_epoch(model: str, frames: Frames, windows: pd.DataFrame, profile: str) -> float:
    """Seconds of the second epoch of a training by the project."""
    groups = configuration("parameters", profile)
    settings = {
        "network": groups[model]["network"],
        "log_mel": {"n_mels": N_MELS},
        "windows": groups["windows"],
        "scaling": {"method": "corpus", "offset": [0.0], "span": [1.0]},
    }
    view = WindowedFrames(frames, windows, settings["scaling"], **groups["windows"])
    few = windows[windows.clip_id == windows.clip_id.iloc[0]]
    held_out = WindowedFrames(frames, few, settings["scaling"], **groups["windows"])
    training = groups[model]["training"] | {"epochs": 2, "seed": 1, "accelerator": "cuda"}
    with tempfile.TemporaryDirectory() as folder:
        _, history = train_network(
            view,
            held_out,
            settings=settings,
            training=training,
            checkpoint=Checkpoint(Path(folder) / "checkpoint.ckpt"),
        )
    return float(history.seconds.iloc[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=2370)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", default="report")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device: nothing was measured")
    frames, windows = corpus(arguments.clips)
    print(torch.cuda.get_device_name())
    for model in plain.MODELS:
        training = configuration("parameters", arguments.profile)[model]["training"]
        precision = chosen_precision(training["precision"], torch.device("cuda"))
        dtype = torch.float32 if precision == "32-true" else torch.bfloat16
        peak = peak_flops(dtype)
        pairs = [
            (plain_epoch(model, frames), our_epoch(model, frames, windows, arguments.profile))
            for _ in range(arguments.repeats)
        ]
        ours = statistics.median(seconds for _, seconds in pairs)
        ratios = [one / other for one, other in pairs]
        part = len(windows) * TRAINING_FLOP[model] / ours / peak
        print(
            f"{model}, {precision}: {ours:.1f} s an epoch, {part:.1%} of the {dtype} matrix "
            f"products measured ({peak / 1e12:.1f} TFLOP/s), "
            f"×{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}) "
            "of the plain way"
        )


if __name__ == "__main__":
    main()
