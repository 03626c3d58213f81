"""The device that networks run on, and their precision there."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from anomalous_sound.compute.ranks import ranks_of_a_host
from anomalous_sound.configuration.base import Accelerator, Precision
from anomalous_sound.errors import InputError

ChosenPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]

if TYPE_CHECKING:
    import torch
    from lightning_fabric import Fabric


def make_fabric(accelerator: Accelerator, precision: Precision) -> Fabric:
    """Choose device and precision; in one of several processes that are joined, for all of them.

    Args:
        accelerator: ``cpu``, ``cuda``, ``mps``; ``auto`` takes CUDA or MPS where there is one.
        precision: Fabric's name of one; see :func:`chosen_precision` for ``auto``.

    Raises:
        InputError: the accelerator that was asked for is not there, or cannot do that precision.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    devices, num_nodes = ranks_of_a_host()
    try:
        device = Fabric(accelerator=accelerator, devices=1).device
        chosen = chosen_precision(precision, device)
        if devices * num_nodes == 1:
            return Fabric(accelerator=accelerator, devices=1, precision=chosen)
        return _make_joined_fabric(accelerator, chosen, devices, num_nodes)
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        raise InputError(
            f"accelerator '{accelerator}' with precision '{precision}' cannot be used on this "
            f"machine: {error}"
        ) from error


def _make_joined_fabric(
    accelerator: Accelerator, precision: ChosenPrecision, devices: int, num_nodes: int
) -> Fabric:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=num_nodes,
        precision=precision,
        strategy=DDPStrategy(),
        plugins=[TorchElasticEnvironment()],
    )
    fabric.launch()
    return fabric


def chosen_precision(precision: Precision, device: torch.device) -> ChosenPrecision:
    """Return the precision itself, or for ``auto`` the fastest of the device.

    That is ``bf16-mixed`` on a processor that multiplies bfloat16 itself, else ``32-true``: a GPU
    has done the products of networks of this size before it has the next, and conversions are more
    of them (H200: an epoch of the LSTM takes 7.5 s with ``bf16-mixed`` and 5.7 s without).

    Raises:
        ValueError: bfloat16 is asked of a CPU without it, where it is slow or does not run.
    """
    is_cpu = device.type == "cpu"
    if precision == "bf16-mixed" and is_cpu and not _has_bfloat16():
        raise ValueError("the processor does not multiply bfloat16; 'auto' takes what is best")
    if precision == "auto":
        return "bf16-mixed" if is_cpu and _has_bfloat16() else "32-true"
    return precision


def processor_features() -> list[str]:
    """Name what of the processor arithmetic depends on: its kind, its vectors, bfloat16.

    The same training gives other last digits where these are others.
    """
    import torch

    vectors = torch.backends.cpu.get_cpu_capability()
    return [platform.machine(), vectors, *(["bfloat16"] if _has_bfloat16() else [])]


def _has_bfloat16() -> bool:
    """Return whether the processor multiplies bfloat16."""
    return bool({"avx512_bf16", "amx_bf16"} & _processor_flags())


def _processor_flags() -> set[str]:
    """Return the names of the processor's instructions; empty where Linux does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.partition(":")[2].split())
