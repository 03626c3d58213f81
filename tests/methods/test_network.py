"""The interface carries networks of other kinds than those that are there."""

import pytest
import torch
from torch import nn

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.methods.network import Batch, ClipInput, InputShape, Network

SHAPE = InputShape(6, WindowSettings(length=10, next_frame=True), ("00", "02"))
FRAMES = torch.rand(40, 6, generator=torch.Generator().manual_seed(0))
CLIP = ClipInput(FRAMES, torch.arange(30), machine=1, batch_size=7)


class ToldTheMachine(Network):
    """Each machine ID has a level of its own; an unknown one has their mean."""

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        self.level = nn.Parameter(torch.rand(len(shape.machine_ids), shape.n_mels))

    def loss(self, batch):
        return (batch.frames[:, -1] - self.level[batch.machine]).square()

    def errors(self, clip):
        level = self.level.mean(dim=0) if clip.machine < 0 else self.level[clip.machine]
        return (clip.frames[clip.first_frames + 10] - level).square()


class Gaussian(Network):
    """It learns by the likelihood, and its error is the squared deviation in variances."""

    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        self.mean = nn.Parameter(torch.zeros(shape.n_mels))
        self.log_variance = nn.Parameter(torch.zeros(shape.n_mels))

    def _squares(self, frames):
        return (frames - self.mean).square() / self.log_variance.exp()

    def loss(self, batch):
        return (self._squares(batch.frames[:, -1]) + self.log_variance) / 2

    def errors(self, clip):
        return self._squares(clip.frames[clip.first_frames + 10])


class WholeClip(Network):
    """Its error is the distance from the mean of the whole clip."""

    def __init__(self, settings, shape):
        super().__init__(settings, shape)

    def loss(self, batch):
        return batch.frames.var(dim=1)

    def errors(self, clip):
        return (clip.frames[clip.first_frames] - clip.frames.mean(dim=0)).square()


@pytest.mark.parametrize("network_class", [ToldTheMachine, Gaussian, WholeClip])
def test_the_interface_carries(network_class):
    network = network_class(None, SHAPE)
    batch = Batch(FRAMES.unfold(0, 11, 1).movedim(-1, 1), torch.arange(30) % 2)
    assert torch.equal(network(batch), network.loss(batch))
    assert network.loss(batch).shape[0] == 30
    errors = network.errors(CLIP)
    assert errors.shape == (30, 6)
    assert (errors >= 0).all()


def test_the_machine_id_decides():
    network = ToldTheMachine(None, SHAPE)
    expected = (FRAMES[10:] - network.level[1]).square()
    torch.testing.assert_close(network.errors(CLIP), expected)
    unknown = network.errors(CLIP._replace(machine=-1))
    torch.testing.assert_close(unknown, (FRAMES[10:] - network.level.mean(dim=0)).square())
