"""Graphs give the errors of their networks, whatever the clip."""

import numpy as np
import pytest
import torch
from support import describe_network

from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.errors import InputError
from anomalous_sound.methods.export import export_networks
from anomalous_sound.methods.network import Network
from anomalous_sound.methods.trained import NetworkDescription, TrainedNetworks
from anomalous_sound.scoring.runner import make_runner

NORM = {"norm_momentum": 0.1, "norm_epsilon": 1e-5}
FORMS = {
    "lstm": [{"hidden_size": 5, "num_layers": 2}],
    "lstm_dense": [{"hidden_size": 5, "num_layers": 2}],
    "gru": [
        {"hidden_size": 5, "num_layers": 2, "decoder_input": read, "masked_frames": masked}
        for read in ("states", "latent")
        for masked in ("none", "centre")
    ],
    "autoencoder": [
        {"hidden_size": 7, "depth": 2, "bottleneck": 3, "error": error, **NORM}
        for error in ("squared", "selective_mahalanobis")
    ],
}


def settings(batch_size):
    return ScoringSettings(batch_size=batch_size, accelerator="cpu", precision="32-true")


def two_members(description):
    """Two networks, one for each machine ID, with weights of their own."""
    members = {}
    for seed, name in enumerate(("id_00", "id_02")):
        torch.manual_seed(seed)
        network = description.build()
        for buffer in network.buffers():  # those of batch normalisation
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)
        members[name] = TrainedNetworks(network.state_dict(), description)
    return TrainedNetworks.join(members)


def test_every_method_is_here():
    from anomalous_sound.methods.discovery import trained_methods

    assert set(FORMS) == set(trained_methods())


@pytest.mark.parametrize(
    ("method", "form"), [(method, form) for method, forms in FORMS.items() for form in forms]
)
def test_a_graph_gives_the_errors_of_its_network(method, form):
    description = describe_network(
        method, form, machine_ids=("00", "02"), next_frame=method != "autoencoder"
    )
    trained = two_members(description)
    exported = export_networks(trained)
    assert exported.members() == trained.members() == ("id_00", "id_02")
    # the clip that a network is traced with has 20 windows
    for windows, batch_size in ((1, 1024), (20, 7), (133, 1024), (133, 50)):
        frames = np.random.default_rng(windows).random((windows + 10, 6), dtype=np.float32)
        arguments = (trained.members(), frames, np.arange(windows))
        expected = make_runner(trained, settings(batch_size)).errors(*arguments, machine=1)
        found = make_runner(exported, settings(batch_size)).errors(*arguments, machine=1)
        assert found.dtype == np.float32
        assert found.shape == expected.shape == (2, windows, 6)
        assert not np.allclose(expected[0], expected[1])
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_graph_is_the_same_each_time():
    trained = two_members(describe_network("lstm", FORMS["lstm"][0], machine_ids=("00", "02")))
    assert export_networks(trained) == export_networks(trained)


class _Told(Network):
    """Each machine ID has a level of its own."""

    def __init__(self, *_):
        super().__init__(None, None)
        self.level = torch.nn.Parameter(torch.tensor([0.25, 0.5]))

    def loss(self, batch):
        raise AssertionError("it is not trained")

    def errors(self, clip):
        return (clip.frames[clip.first_frames] - self.level[clip.machine]).square()


class _Unspeakable(_Told):
    def errors(self, clip):
        return torch.linalg.eigvals(clip.frames.T @ clip.frames).real.expand(20, -1)


def of_network(monkeypatch, network):
    monkeypatch.setattr(NetworkDescription, "build", lambda _: network())
    description = describe_network("lstm", FORMS["lstm"][0], machine_ids=("00", "02"))
    return TrainedNetworks(network().state_dict(), description)


def test_a_network_may_be_told_the_machine(monkeypatch):
    exported = export_networks(of_network(monkeypatch, _Told))
    assert not exported.windows_alone  # as nothing is said of it
    runner = make_runner(exported, settings(2))
    frames = np.ones((5, 6), np.float32)
    for machine, level in ((0, 0.25), (1, 0.5)):
        found = runner.errors([""], frames, np.arange(5), machine=machine)
        np.testing.assert_array_equal(found, np.full((1, 5, 6), (1 - level) ** 2))


def test_what_onnx_has_no_word_for_is_told(monkeypatch):
    with pytest.raises(InputError, match="the network _Unspeakable cannot be written as ONNX"):
        export_networks(of_network(monkeypatch, _Unspeakable))
