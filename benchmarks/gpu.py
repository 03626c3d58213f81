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
import time
from collections.abc import Callable

import pandas as pd
import torch
from torch.utils.data import DataLoader

from anomalous_sound.compute.device import chosen_precision
from anomalous_sound.features.frames import Frames
from benchmarks import random_clips
from benchmarks.configuration import method_settings, parameters
from benchmarks.harness import TRAINING_FLOP
from benchmarks.plain import training as plain

PLAIN_BATCHES = 500


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


def our_epoch(model: str, frames: Frames, clips: pd.DataFrame, profile: str) -> float:
    """Seconds of the second epoch of a training by the project."""
    training = method_settings(model, profile).training
    two_epochs = training.model_copy(update={"epochs": 2, "accelerator": "cuda"})
    history = random_clips.train(model, profile, two_epochs, frames, clips)
    return float(history.seconds.iloc[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=2370)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", default="report")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device: nothing was measured")
    n_mels = parameters(arguments.profile).log_mel.n_mels
    clips = random_clips.clip_table(arguments.clips + 1, held_out=1)
    frames = Frames.in_memory(
        {name: random_clips.random_frames(n_mels, seed) for seed, name in enumerate(clips.clip_id)}
    )
    length = parameters(arguments.profile).windows.frames
    print(torch.cuda.get_device_name())
    for model in plain.MODELS:
        training = method_settings(model, arguments.profile).training
        windows = arguments.clips * -(-(random_clips.FRAMES - length + 1) // training.stride)
        precision = chosen_precision(training.precision, torch.device("cuda"))
        dtype = torch.float32 if precision == "32-true" else torch.bfloat16
        peak = peak_flops(dtype)
        pairs = [
            (plain_epoch(model, frames), our_epoch(model, frames, clips, arguments.profile))
            for _ in range(arguments.repeats)
        ]
        ours = statistics.median(seconds for _, seconds in pairs)
        ratios = [one / other for one, other in pairs]
        part = windows * TRAINING_FLOP[model] / ours / peak
        print(
            f"{model}, {precision}: {ours:.1f} s an epoch, {part:.1%} of the {dtype} matrix "
            f"products measured ({peak / 1e12:.1f} TFLOP/s), "
            f"×{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}) "
            "of the plain way"
        )


if __name__ == "__main__":
    main()
