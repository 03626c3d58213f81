"""Batch normalisation over a batch that several processes share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn


def normalise_whole_batches(network: nn.Module) -> None:
    """Let the batch normalisation of a network see the windows of all processes.

    ``torch.nn.SyncBatchNorm`` does so on GPUs alone. Weights and buffers stay the same tensors.
    """
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.__class__ = _WholeBatchNorm


class _WholeBatchNorm(nn.BatchNorm1d):
    """What ``BatchNorm1d`` does with windows × values, over those of all processes."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        assert self.momentum is not None
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        with torch.autocast(input.device.type, enabled=False):
            values = input.float()
            windows = _sum_over_ranks(values.new_tensor([float(len(values))]))
            mean = _sum_over_ranks(values.sum(dim=0)) / windows
            deviations = values - mean
            variance = _sum_over_ranks(deviations.square().sum(dim=0)) / windows
            normal = deviations / (variance + self.eps).sqrt() * self.weight + self.bias
            with torch.no_grad():
                unbiased = variance * windows / (windows - 1)
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(unbiased, self.momentum)
                self.num_batches_tracked += 1
            return normal.to(input.dtype)


def _sum_over_ranks(values: Tensor) -> Tensor:
    summed: Tensor = _SumOverRanks.apply(values)  # type: ignore[no-untyped-call]
    return summed


class _SumOverRanks(torch.autograd.Function):
    """The sum over all processes; the gradient of their losses, too, is a sum over all."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        summed = values.clone()
        distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].clone()
        distributed.all_reduce(summed)
        return summed
