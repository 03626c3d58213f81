"""The score of a clip: the mean error over its windows, clip by clip."""

import torch
from torch.utils.data import DataLoader

from benchmarks.plain.training import Windows


@torch.no_grad()
def score_clip(model, clip, *, batch_size=32):
    """Return the mean squared error over all windows of a clip scaled to [0, 1]."""
    model.eval()
    batches = DataLoader(Windows([clip]), batch_size=batch_size)
    return torch.cat([model.errors(*batch) for batch in batches]).mean().item()
