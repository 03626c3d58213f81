"""What tests have ranks do; the processes import it."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from anomalous_sound.training.batch_norm import normalise_whole_batches
from anomalous_sound.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class DeadlyCheckpoint(Checkpoint):
    """A checkpoint that kills the process of one rank when it resumes or writes.

    Attributes:
        rank: whose process is killed.
        epoch: after which.
    """

    rank: str
    epoch: int

    def of_member(self, member: str) -> DeadlyCheckpoint:
        return DeadlyCheckpoint(super().of_member(member).path, self.rank, self.epoch)

    def being_written(self) -> Path:
        """Called once an epoch by every rank, and once more by the one that writes."""
        if os.environ["RANK"] == self.rank and self.path.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().being_written()


def modules() -> set[str]:
    """Say what this rank has imported, once a training has been done."""
    return {name.partition(".")[0] for name in sys.modules}


def normalised(values: Tensor, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Normalise this rank's rows, and return them with the gradients of a weighted sum of them."""
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    layer = nn.Sequential(nn.BatchNorm1d(values.shape[1]))
    normalise_whole_batches(layer)
    own = values[rank::ranks].clone().requires_grad_()
    found = layer(own)
    (found * weights[rank::ranks]).sum().backward()
    gradients = [own.grad, *(parameter.grad for parameter in layer.parameters())]
    for gradient in gradients[1:]:
        torch.distributed.all_reduce(gradient)
    return found.detach(), [*gradients, *layer.state_dict().values()]
