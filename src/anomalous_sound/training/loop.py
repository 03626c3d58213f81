"""Train any method: Adam on the mean of its loss terms, one checkpoint an epoch."""

from __future__ import annotations

import dataclasses
import io
import logging
import math
import time
from collections.abc import Mapping
from functools import partial
from pickle import UnpicklingError  # nosec B403  # nothing is unpickled by it
from typing import Any, cast

import pandas as pd
import torch
from lightning_fabric import Fabric, seed_everything
from torch.utils.data import DataLoader
from tqdm import tqdm

from anomalous_sound.compute.device import chosen_precision, make_fabric
from anomalous_sound.compute.engine import Locally, spread
from anomalous_sound.compute.processes import in_processes
from anomalous_sound.compute.ranks import backend_of, in_ranks, is_first_rank, ranks_of_a_host
from anomalous_sound.compute.threads import job_count, torch_threads
from anomalous_sound.configuration.compute import LOCAL, EngineSettings, LocalEngine
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.errors import InputError
from anomalous_sound.features.windows import WindowedFrames
from anomalous_sound.methods.network import Batch, Network
from anomalous_sound.methods.trained import NetworkDescription, TrainedNetworks
from anomalous_sound.scoring.domains import domains_of
from anomalous_sound.storage.atomic import told_if_unwritable
from anomalous_sound.training.batch_norm import normalise_whole_batches
from anomalous_sound.training.batches import BatchSampler, WindowBatches
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.identity import training_identity
from anomalous_sound.vocabulary import Domain

logger = logging.getLogger(__name__)

_TOLD_EPOCHS = 10

HISTORY_COLUMNS = ["epoch", "training_loss", "validation_loss", "seconds"]


@dataclasses.dataclass
class _Progress:
    """What grows from epoch to epoch, besides network and optimiser."""

    epoch: int
    history: list[list[float]]


def train_members(
    windows: Mapping[str, tuple[WindowedFrames, WindowedFrames]],
    *,
    clips: pd.DataFrame,
    description: NetworkDescription,
    training: TrainingSettings,
    seed: int,
    checkpoint: Checkpoint,
    jobs: int,
    engine: EngineSettings = LOCAL,
) -> tuple[TrainedNetworks, pd.DataFrame]:
    """Train several networks, side by side on a CPU; see :func:`train_network`.

    Each gets the weights that it would get alone.

    Args:
        windows: training and validation windows of each network, by its name.
        clips: as for :func:`train_network`.
        description: of all of them.
        training: of each of them.
        seed: of each of them.
        checkpoint: each network's is kept beside it until the last one is trained.
        jobs: processes that train on a CPU; -1: as many as there are cores. On an accelerator they
            are trained one after the other.
        engine: where they are trained. On a cluster each is a task of its own; several devices
            train them together, one after the other.

    Returns:
        The networks, and their history: losses are means over the networks, seconds are sums.

    Raises:
        InputError: as :func:`train_network`, or several devices cannot share a batch.
    """
    ranks = engine.devices if isinstance(engine, LocalEngine) else 1
    _check_shares(max(ranks, math.prod(ranks_of_a_host())), training, windows)
    kept = [checkpoint.of_member(name) for name in windows]
    device = make_fabric(training.accelerator, training.precision).device
    processes = min(job_count(jobs), len(windows)) if device.type == "cpu" else 1
    locally: Locally = in_processes
    if isinstance(engine, LocalEngine) and engine.joins:
        processes = engine.devices
        locally = partial(in_ranks, backend=backend_of(device), wait_s=engine.wait_s)
    how = {
        "clips": clips,
        "description": description,
        "training": training,
        "seed": seed,
        "keep_checkpoint": True,
        "show_progress": isinstance(engine, LocalEngine) and (processes == 1 or engine.joins),
        "tell_epochs": len(windows) == 1,
    }
    trained = spread(
        _train_member,
        how,
        [(*of_member, own) for of_member, own in zip(windows.values(), kept, strict=True)],
        engine=engine,
        locally=locally,
        jobs=processes,
        what="training",
        alone=True,
    )
    members, histories = {}, []
    for name, (network, history) in zip(windows, trained, strict=True):
        members[name] = network
        histories.append(history)
        logger.info(
            "Network %s (%d of %d) is trained: training loss %.6f, validation loss %.6f.",
            *(name or "of all clips", len(members), len(windows)),
            *history[["training_loss", "validation_loss"]].iloc[-1],
        )
    if is_first_rank():
        for finished in kept:
            finished.clear()
    by_epoch = pd.concat(histories).groupby("epoch")
    losses = by_epoch[["training_loss", "validation_loss"]].mean()
    joined = losses.assign(seconds=by_epoch.seconds.sum()).reset_index()
    return TrainedNetworks.join(members), joined[HISTORY_COLUMNS]


def _train_member(
    how: dict[str, Any], member: tuple[WindowedFrames, WindowedFrames, Checkpoint]
) -> tuple[TrainedNetworks, pd.DataFrame]:
    training_windows, validation_windows, checkpoint = member
    return train_network(training_windows, validation_windows, checkpoint=checkpoint, **how)


def train_network(
    training_windows: WindowedFrames,
    validation_windows: WindowedFrames,
    *,
    clips: pd.DataFrame,
    description: NetworkDescription,
    training: TrainingSettings,
    seed: int,
    checkpoint: Checkpoint,
    keep_checkpoint: bool = False,
    show_progress: bool = True,
    tell_epochs: bool = True,
) -> tuple[TrainedNetworks, pd.DataFrame]:
    """Train a network, or go on with the same training where it was interrupted.

    In one of several processes that are joined, all of them train it: each computes its share of
    every batch, and what they learn is what one process learns of the whole batch, but for the
    order in which numbers are added. The first one writes the checkpoint.

    Every epoch draws its order and its random numbers from the seed and its own number, so an
    interrupted training ends with the same weights as an unbroken one.

    Args:
        training_windows: windows of normal training clips.
        validation_windows: windows of the normal clips held out.
        clips: ``clip_id, machine_id, sha256`` of those clips, and ``domain`` where it is known;
            others are ignored.
        description: what the network is built from.
        training: how it is trained.
        seed: of the first weights and of the order of the windows.
        checkpoint: where the state after each epoch is kept until the last one.
        keep_checkpoint: whether it stays after the last one, so that a repetition is short.
        show_progress: whether a bar is drawn in a terminal.
        tell_epochs: whether epochs have lines in the log.

    Returns:
        The trained network and its history: one row an epoch, HISTORY_COLUMNS; losses are means of
        the network's loss terms.

    Raises:
        InputError: the accelerator or the precision is not there, or the loss becomes infinite.
    """
    fabric = make_fabric(training.accelerator, training.precision)
    seed_everything(seed, verbose=False)
    network = description.build()
    if fabric.world_size > 1:
        normalise_whole_batches(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=training.learning_rate, fused=True)
    network, optimizer = fabric.setup(network, optimizer)
    identity = training_identity(
        description,
        training,
        seed=seed,
        clips=clips,
        trained_on=training_windows.clip_ids,
        validated_on=validation_windows.clip_ids,
    )
    progress = _resume_all(fabric, network, optimizer, checkpoint, identity, training.epochs)
    machine_ids = dict(zip(clips.clip_id, clips.machine_id, strict=True))
    domains = dict(zip(clips.clip_id, domains_of(clips), strict=True))
    trained_on, validated_on = (
        WindowBatches(
            windows,
            [description.machine(machine_ids[clip_id]) for clip_id in windows.clip_ids],
            [domains[clip_id] == Domain.TARGET for clip_id in windows.clip_ids],
            fabric.device,
        )
        for windows in (training_windows, validation_windows)
    )
    whole = trained_on
    trained_on, validated_on = (
        one.shared_by(fabric.world_size, fabric.global_rank) for one in (trained_on, validated_on)
    )
    validation = _batches(fabric, validated_on, training.batch_size)
    batches_an_epoch = -(-len(trained_on) // training.batch_size)
    bar = tqdm(
        total=training.epochs * batches_an_epoch,
        initial=progress.epoch * batches_an_epoch,
        unit="batch",
        disable=None if show_progress and fabric.is_global_zero else True,
    )
    with bar, torch_threads(training.threads):
        for epoch in range(progress.epoch, training.epochs):
            started = time.perf_counter()
            seed_everything(seed + epoch, verbose=False)
            order = torch.Generator().manual_seed(seed + epoch)
            batches = _batches(fabric, trained_on, training.batch_size, order)
            bar.set_description(f"epoch {epoch + 1}/{training.epochs}")
            training_loss = _train_epoch(fabric, network, optimizer, batches, bar)
            _check_finite(epoch + 1, training, training_loss)
            validation_loss = mean_loss(fabric, network, validation)
            seconds = time.perf_counter() - started
            _check_finite(epoch + 1, training, validation_loss)
            progress.epoch = epoch + 1
            progress.history.append([epoch + 1, training_loss, validation_loss, seconds])
            _save(fabric, network, optimizer, checkpoint, identity, progress)
            if tell_epochs and _is_told(epoch + 1, training.epochs):
                logger.info(
                    "Epoch %d of %d: training loss %.6f, validation loss %.6f, %.1f s; "
                    "%.0f s left.",
                    *(epoch + 1, training.epochs, training_loss, validation_loss, seconds),
                    seconds * (training.epochs - epoch - 1),
                )
        if fabric.is_global_zero:
            _learn_after_training(fabric, network, whole, training, seed)
    history = pd.DataFrame(progress.history, columns=HISTORY_COLUMNS).astype({"epoch": int})
    weights = {name: value.detach().cpu() for name, value in network.module.state_dict().items()}
    if not keep_checkpoint and fabric.is_global_zero:
        checkpoint.clear()
    trained = dataclasses.replace(
        description,
        trained_on={
            "device": fabric.device.type,
            "precision": chosen_precision(training.precision, fabric.device),
        },
    )
    return TrainedNetworks(weights, trained), history


@torch.no_grad()
def _learn_after_training(
    fabric: Fabric,
    network: torch.nn.Module,
    trained_on: WindowBatches,
    training: TrainingSettings,
    seed: int,
) -> None:
    order = torch.Generator().manual_seed(seed + training.epochs)
    network.eval()
    batches = _batches(fabric, trained_on, training.batch_size, order)
    cast("Network", network.module).after_training(batches)


def _is_told(epoch: int, epochs: int) -> bool:
    """Return whether an epoch has a line in the log: the first three, and ten more at most."""
    return epoch <= 3 or epoch == epochs or epoch % -(-epochs // _TOLD_EPOCHS) == 0


def _check_finite(epoch: int, training: TrainingSettings, loss: float) -> None:
    if not math.isfinite(loss):
        raise InputError(
            f"the loss has become {loss} in epoch {epoch} of {training.epochs}: the learning rate "
            "is probably too high. Lower the method's parameter training.learning_rate, which is "
            f"{training.learning_rate}."
        )


@torch.no_grad()
def mean_loss(fabric: Fabric, network: torch.nn.Module, batches: DataLoader[Batch]) -> float:
    """Return the mean loss over all windows of the batches, those of all processes."""
    network.eval()
    alone = cast("Network", network.module)  # of several processes, which are not in step here
    total = count = 0.0
    for batch in batches:
        windows = len(batch.frames)
        if windows:  # in the last batch there may be none for this process
            with fabric.autocast():
                losses = alone(batch)
            total += losses.float().reshape(windows, -1).mean(dim=1).sum().item()
            count += windows
    return _quotient(fabric, total, count)


def _quotient(fabric: Fabric, total: float, count: float) -> float:
    """Return the quotient of the sums over all processes."""
    if fabric.world_size == 1:
        return total / count
    sums = torch.tensor([total, count], dtype=torch.float64, device=fabric.device)
    total, count = cast("torch.Tensor", fabric.all_reduce(sums, reduce_op="sum")).tolist()
    return total / count


def _check_shares(
    ranks: int,
    training: TrainingSettings,
    windows: Mapping[str, tuple[WindowedFrames, WindowedFrames]],
) -> None:
    fewest = min(len(trained_on) for trained_on, _ in windows.values())
    if ranks > 1 and ranks > min(training.batch_size, fewest):
        raise InputError(
            f"{ranks} processes cannot share a batch: training.batch_size is "
            f"{training.batch_size}, and a network has {fewest} windows to train on. Lower "
            "engine.devices or engine.num_nodes."
        )


def _train_epoch(
    fabric: Fabric,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: DataLoader[Batch],
    bar: tqdm[Any],
) -> float:
    network.train()
    total = torch.zeros((), device=fabric.device)
    count = 0
    for number, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss = network(batch).float().mean()
        fabric.backward(loss * batch.weight)
        optimizer.step()
        total += loss.detach() * len(batch.frames)
        count += len(batch.frames)
        bar.update()
        # reading the loss waits for the device and for all processes: not at every batch
        if number % 50 == 0:
            loss_so_far = _quotient(fabric, total.item(), count)
            bar.set_postfix(loss=f"{loss_so_far:.6f}", refresh=False)
            if not math.isfinite(loss_so_far):
                return loss_so_far  # it never becomes finite again
    return _quotient(fabric, total.item(), count)


def _batches(
    fabric: Fabric,
    windows: WindowBatches,
    batch_size: int,
    order: torch.Generator | None = None,
) -> DataLoader[Batch]:
    """Batches of windows on the device; shuffled where an order is given."""
    loader = DataLoader(
        windows,
        sampler=BatchSampler(len(windows), batch_size, order, fabric.world_size),
        batch_size=None,  # the sampler's batches of windows are gathered at once, by index
    )
    return cast(
        "DataLoader[Batch]", fabric.setup_dataloaders(loader, use_distributed_sampler=False)
    )


def _save(
    fabric: Fabric,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    checkpoint: Checkpoint,
    identity: str,
    progress: _Progress,
) -> None:
    state = {
        "identity": identity,
        "epoch": progress.epoch,
        "history": progress.history,
        "network": network,
        "optimizer": optimizer,
    }
    with told_if_unwritable(checkpoint.path):
        fabric.save(checkpoint.being_written(), state)
        if fabric.is_global_zero:
            checkpoint.complete()


def _read(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Read what :func:`_save` has written; None if the file is damaged, or would run code.

    Not by Fabric, which would wait for the other processes to read it, too.
    """
    try:
        content = io.BytesIO(checkpoint.content())
        kept: dict[str, Any] = torch.load(content, map_location="cpu", weights_only=True)
        return kept
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError):
        return None


def _resume_all(
    fabric: Fabric,
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    checkpoint: Checkpoint,
    identity: str,
    epochs: int,
) -> _Progress:
    """Let all processes go on from where the first one does."""
    progress = _Progress(0, [])
    if fabric.is_global_zero:
        progress = _resume(network, optimizer, checkpoint, identity, epochs)
    if fabric.world_size == 1:
        return progress
    of_first = torch.tensor(float(progress.epoch), device=fabric.device)
    epoch = int(cast("torch.Tensor", fabric.all_reduce(of_first, reduce_op="sum")).item())
    if epoch and not fabric.is_global_zero:
        progress = _resume(network, optimizer, checkpoint, identity, epochs)
    if progress.epoch != epoch:
        raise InputError(
            f"{checkpoint.path} is not there for all hosts that train together: the parameter "
            "storage has to be a place that each of them reaches by the same path or URL."
        )
    return progress


def _resume(
    network: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    checkpoint: Checkpoint,
    identity: str,
    epochs: int,
) -> _Progress:
    """Load the checkpoint if it is of the same training and not beyond its end."""
    if not checkpoint.exists():
        return _Progress(0, [])
    kept = _read(checkpoint)
    if kept is None:
        logger.warning(
            "%s is damaged; it is discarded, and the training starts anew.", checkpoint.path
        )
        checkpoint.clear()
        return _Progress(0, [])
    if kept.get("identity") != identity or kept["epoch"] > epochs:
        logger.info("An interrupted training of other settings or clips is discarded.")
        checkpoint.clear()
        return _Progress(0, [])
    network.load_state_dict(kept["network"])
    optimizer.load_state_dict(kept["optimizer"])
    logger.info("Going on with an interrupted training after epoch %d.", kept["epoch"])
    return _Progress(kept["epoch"], kept["history"])
