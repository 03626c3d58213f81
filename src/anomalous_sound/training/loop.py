"""Train any method: Adam on the mean squared error, one checkpoint an epoch."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric, seed_everything
from torch.utils.data import DataLoader, Sampler
from tqdm import tqdm

from anomalous_sound.compute.memory import keep_freed_memory
from anomalous_sound.compute.processor import (
    FastestThreads,
    chosen_precision,
    interchangeable_threads,
)
from anomalous_sound.compute.threads import torch_threads
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import WindowedFrames
from anomalous_sound.methods.trained_network import TrainedNetwork, build_network
from anomalous_sound.training.checkpoint import Checkpoint, training_fingerprint
from anomalous_sound.training.device_windows import DeviceWindows, on_device

logger = logging.getLogger(__name__)

HISTORY_COLUMNS = ["epoch", "training_loss", "validation_loss", "seconds"]


@dataclass
class _Progress:
    """What grows from epoch to epoch, besides network and optimiser."""

    epoch: int
    history: list[list[float]]


def make_fabric(accelerator: str, precision: str) -> Fabric:
    """Choose device and precision.

    Args:
        accelerator: ``cpu``, ``cuda``, ``mps``; ``auto`` takes CUDA or MPS where there is one.
        precision: Fabric's name of one; ``auto`` takes ``bf16-mixed`` where the device multiplies
            bfloat16 itself, else ``32-true``.

    Raises:
        InputError: the accelerator that was asked for is not there, or cannot do that precision.
    """
    try:
        device = Fabric(accelerator=accelerator, devices=1).device
        chosen = chosen_precision(precision, device)
        return Fabric(accelerator=accelerator, devices=1, precision=chosen)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"accelerator '{accelerator}' with precision '{precision}' cannot be used on this "
            f"machine: {error}"
        ) from error


def train_members(
    windows: Mapping[str, tuple[WindowedFrames, WindowedFrames]],
    *,
    settings: Mapping[str, Any],
    training: Mapping[str, Any],
    checkpoint: Checkpoint,
) -> tuple[TrainedNetwork, pd.DataFrame]:
    """Train a network for each machine ID; see :func:`train_network`.

    Args:
        windows: training and validation windows of each machine ID.
        settings: of all of them.
        training: of all of them.
        checkpoint: each network's is kept beside it until the last one is trained.

    Returns:
        The networks, and their history: losses are means over the networks, seconds are sums.
    """
    members, histories, checkpoints = {}, [], []
    for member, (training_windows, validation_windows) in windows.items():
        logger.info("Training the network of machine ID %s.", member)
        checkpoints.append(checkpoint.of_member(member))
        members[member], history = train_network(
            training_windows,
            validation_windows,
            settings=settings,
            training=training,
            checkpoint=checkpoints[-1],
            keep_checkpoint=True,
        )
        histories.append(history)
    for finished in checkpoints:
        finished.clear()
    by_epoch = pd.concat(histories).groupby("epoch")
    losses = by_epoch[["training_loss", "validation_loss"]].mean()
    joined = losses.assign(seconds=by_epoch.seconds.sum()).reset_index()
    return TrainedNetwork.join(members), joined[HISTORY_COLUMNS]


def train_network(
    training_windows: WindowedFrames,
    validation_windows: WindowedFrames,
    *,
    settings: Mapping[str, Any],
    training: Mapping[str, Any],
    checkpoint: Checkpoint,
    keep_checkpoint: bool = False,
) -> tuple[TrainedNetwork, pd.DataFrame]:
    """Train a network, or go on with a training of the same settings that was interrupted.

    Every epoch draws its order and its random numbers from the seed and its own number, so an
    interrupted training ends with the same weights as an unbroken one.

    Args:
        training_windows: windows of normal training clips.
        validation_windows: windows of the normal clips held out.
        settings: what the network is built from; see :class:`TrainedNetwork`.
        training: ``epochs, batch_size, learning_rate, accelerator, precision, seed``.
        checkpoint: where the state after each epoch is kept until the last one.
        keep_checkpoint: whether it stays after the last one, and makes a repetition short.

    Returns:
        The trained network and its history: one row an epoch, HISTORY_COLUMNS; losses are mean
        squared errors of scaled log-mel values.
    """
    fabric = make_fabric(training["accelerator"], training["precision"])
    keep_freed_memory()
    seed_everything(training["seed"], verbose=False)
    network = build_network(settings)
    optimizer = torch.optim.Adam(network.parameters(), lr=training["learning_rate"], fused=True)
    network, optimizer = fabric.setup(network, optimizer)
    fingerprint = training_fingerprint(settings, training)
    progress = _resume(fabric, network, optimizer, checkpoint, fingerprint, training["epochs"])
    training_windows = on_device(training_windows, fabric.device)
    validation_windows = on_device(validation_windows, fabric.device)
    validation = _batches(fabric, validation_windows, training["batch_size"])
    batches_an_epoch = -(-len(training_windows) // training["batch_size"])
    numbers = _numbers_of_threads(fabric, network, training_windows, training["batch_size"])
    training_threads, validation_threads = FastestThreads(numbers), FastestThreads(numbers)
    bar = tqdm(
        total=training["epochs"] * batches_an_epoch,
        initial=progress.epoch * batches_an_epoch,
        unit="batch",
        disable=None,
    )
    with bar, torch_threads(1):  # unless more are found to be faster
        for epoch in range(progress.epoch, training["epochs"]):
            started = time.perf_counter()
            seed_everything(training["seed"] + epoch, verbose=False)
            order = torch.Generator().manual_seed(training["seed"] + epoch)
            batches = _batches(fabric, training_windows, training["batch_size"], order)
            bar.set_description(f"epoch {epoch + 1}/{training['epochs']}")
            training_loss = _train_epoch(fabric, network, optimizer, batches, training_threads, bar)
            validation_loss = mean_loss(network, validation, validation_threads)
            seconds = time.perf_counter() - started
            progress.epoch = epoch + 1
            progress.history.append([epoch + 1, training_loss, validation_loss, seconds])
            _save(fabric, network, optimizer, checkpoint, fingerprint, progress)
            logger.info(
                "Epoch %d of %d: training loss %.6f, validation loss %.6f, %.1f s; %.0f s left.",
                *(epoch + 1, training["epochs"], training_loss, validation_loss, seconds),
                seconds * (training["epochs"] - epoch - 1),
            )
    history = pd.DataFrame(progress.history, columns=HISTORY_COLUMNS).astype({"epoch": int})
    weights = {name: value.detach().cpu() for name, value in network.module.state_dict().items()}
    if not keep_checkpoint:
        checkpoint.clear()
    trained_on = {
        "device": fabric.device.type,
        "precision": chosen_precision(training["precision"], fabric.device),
    }
    return TrainedNetwork(weights, {**settings, "trained_on": trained_on}), history


def _numbers_of_threads(
    fabric: Fabric,
    network: torch.nn.Module,
    windows: WindowedFrames | DeviceWindows,
    batch_size: int,
) -> list[int]:
    """Return numbers of threads that give the same gradients, for whole and for last batches."""
    if fabric.device.type != "cpu":
        return [torch.get_num_threads()]
    state = copy.deepcopy(network.state_dict())
    sizes = {min(batch_size, len(windows)), len(windows) % batch_size or batch_size} - {1}
    batches = [torch.from_numpy(windows[np.arange(min(size, len(windows)))]) for size in sizes]

    def gradients() -> torch.Tensor:
        network.train()
        for batch in batches:
            fabric.backward(network(batch).float().mean())
        found = torch.cat([parameter.grad.flatten() for parameter in network.parameters()])
        network.zero_grad()
        network.load_state_dict(state)  # training may have moved more than gradients
        return found

    if not batches:
        return [torch.get_num_threads()]
    return interchangeable_threads(gradients, most=torch.get_num_threads())


@torch.no_grad()
def mean_loss(network: torch.nn.Module, batches: DataLoader, threads: FastestThreads) -> float:
    """Return the mean squared error over all windows of the batches."""
    network.eval()
    total = count = 0.0
    for frames in batches:
        with threads.step():
            total += network(frames).float().mean(dim=1).sum().item()
        count += len(frames)
    return total / count


def _train_epoch(
    fabric: Fabric,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: DataLoader,
    threads: FastestThreads,
    bar: tqdm,
) -> float:
    network.train()
    total = torch.zeros((), device=fabric.device)
    count = 0
    for frames in batches:
        with threads.step():
            optimizer.zero_grad()
            loss = network(frames).float().mean()
            fabric.backward(loss)
            optimizer.step()
        total += loss.detach() * len(frames)
        count += len(frames)
        bar.update()
        if bar.n % 50 == 0:  # reading the loss waits for the device: not at every batch
            bar.set_postfix(loss=f"{total.item() / count:.6f}", refresh=False)
    return total.item() / count


def _batches(
    fabric: Fabric,
    windows: WindowedFrames | DeviceWindows,
    batch_size: int,
    order: torch.Generator | None = None,
) -> DataLoader:
    """Batches of windows on the device; shuffled where an order is given."""
    loader = DataLoader(
        windows,
        sampler=_Batches(len(windows), batch_size, order),
        batch_size=None,  # the sampler's batches of windows are gathered at once, by index
    )
    return fabric.setup_dataloaders(loader, use_distributed_sampler=False)


class _Batches(Sampler[np.ndarray]):
    """The windows of each batch; as arrays, since millions of Python numbers need much memory."""

    def __init__(self, windows: int, batch_size: int, order: torch.Generator | None) -> None:
        self._windows, self._batch_size, self._order = windows, batch_size, order

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._order is None:
            numbers = np.arange(self._windows)
        else:
            numbers = torch.randperm(self._windows, generator=self._order).numpy()
        for start in range(0, self._windows, self._batch_size):
            batch = numbers[start : start + self._batch_size]
            # a last batch of one window has no variance: batch normalisation cannot train on it
            left_over = len(batch) == 1 < min(self._batch_size, self._windows)
            if self._order is None or not left_over:
                yield batch

    def __len__(self) -> int:
        return -(-self._windows // self._batch_size)


def _save(
    fabric: Fabric,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    checkpoint: Checkpoint,
    fingerprint: str,
    progress: _Progress,
) -> None:
    state = {
        "fingerprint": fingerprint,
        "epoch": progress.epoch,
        "history": progress.history,
        "network": network,
        "optimizer": optimizer,
    }
    fabric.save(checkpoint.being_written(), state)
    checkpoint.complete()


def _resume(
    fabric: Fabric,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    checkpoint: Checkpoint,
    fingerprint: str,
    epochs: int,
) -> _Progress:
    """Load the checkpoint if it is of the same training and not beyond its end."""
    if not checkpoint.exists():
        return _Progress(0, [])
    kept = fabric.load(checkpoint.path, weights_only=True)
    if kept["fingerprint"] != fingerprint or kept["epoch"] > epochs:
        logger.info("An interrupted training of other settings or clips is discarded.")
        checkpoint.clear()
        return _Progress(0, [])
    network.load_state_dict(kept["network"])
    optimizer.load_state_dict(kept["optimizer"])
    logger.info("Going on with an interrupted training after epoch %d.", kept["epoch"])
    return _Progress(kept["epoch"], kept["history"])
