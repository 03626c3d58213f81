import numpy as np
import pytest
import torch
from support import describe_network

from anomalous_sound.methods.network import Batch, count_parameters


def network(decoder_input, masked_frames="none"):
    torch.manual_seed(0)
    return described(decoder_input, masked_frames).build().eval()


def described(decoder_input, masked_frames="none", n_mels=6, hidden_size=5):
    how = {"decoder_input": decoder_input, "masked_frames": masked_frames}
    sizes = {"hidden_size": hidden_size, "num_layers": 2}
    return describe_network("gru", sizes | how, n_mels=n_mels)


def loss(model, frames):
    return model(Batch(frames, torch.zeros(len(frames))))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_by_hand(weights, name, inputs):
    """The GRU's equations (Cho et al., 2014, in cuDNN's form), one step at a time."""
    for layer in range(2):
        hidden, outputs = np.zeros(5), []
        for frame in inputs:
            of_input = weights[f"{name}.weight_ih_l{layer}"] @ frame
            of_state = weights[f"{name}.weight_hh_l{layer}"] @ hidden
            inside = np.split(of_input + weights[f"{name}.bias_ih_l{layer}"], 3)
            before = np.split(of_state + weights[f"{name}.bias_hh_l{layer}"], 3)
            reset, update = (sigmoid(inside[gate] + before[gate]) for gate in (0, 1))
            new = np.tanh(inside[2] + reset * before[2])
            hidden = (1 - update) * new + update * hidden
            outputs.append(hidden)
        inputs = outputs
    return inputs


@pytest.mark.parametrize("decoder_input", ["states", "latent"])
def test_reconstructs_the_window_from_what_the_decoder_reads(decoder_input):
    model = network(decoder_input)
    weights = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    frames = torch.rand(3, 11, 6)
    for got, window in zip(model.expected(frames).detach(), frames[:, :10], strict=True):
        states = gru_by_hand(weights, "encoder", list(window.double().numpy()))
        read = states if decoder_input == "states" else [states[-1]] * 10
        decoded = gru_by_hand(weights, "decoder", read)
        expected = [weights["output.weight"] @ state + weights["output.bias"] for state in decoded]
        np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("decoder_input", ["states", "latent"])
def test_error_is_the_windows_and_ignores_the_next_frame(decoder_input):
    model = network(decoder_input)
    frames = torch.rand(4, 11, 6)
    reconstruction = model.expected(frames).detach()
    expected = ((reconstruction - frames[:, :10]) ** 2).mean(dim=1)
    torch.testing.assert_close(loss(model, frames).detach(), expected)
    changed = frames.clone()
    changed[:, 10] = 9
    assert torch.equal(loss(model, changed), loss(model, frames))
    assert described(decoder_input).network.target_frames(10) == (0, 9)


def test_latent_sees_the_future_and_states_do_not():
    """What each is: from ``states`` a frame is reconstructed from its past and itself alone."""
    frames = torch.rand(1, 11, 6)
    changed = frames.clone()
    changed[:, 9] += 1
    first = {name: network(name).expected(frames)[0, 0] for name in ("states", "latent")}
    after = {name: network(name).expected(changed)[0, 0] for name in ("states", "latent")}
    assert torch.equal(first["states"], after["states"])
    assert not torch.equal(first["latent"], after["latent"])


def test_size_of_the_reports_network():
    model = described("states", n_mels=128, hidden_size=256).build()
    layers = [(128, 256), (256, 256), (256, 256), (256, 256)]
    gates = sum(3 * units * (inputs + units + 2) for inputs, units in layers)
    assert count_parameters(model) == gates + 256 * 128 + 128


@pytest.mark.parametrize("decoder_input", ["states", "latent"])
def test_a_masked_centre_is_reconstructed_unseen(decoder_input):
    model = network(decoder_input, "centre")
    frames = torch.rand(3, 11, 6)
    assert described(decoder_input, "centre").network.target_frames(10) == (5, 5)
    assert torch.equal(model.target(frames), frames[:, 5:6])
    expected = model.expected(frames)
    assert expected.shape == (3, 1, 6)
    # it is what the plain network says of the sixth frame of a window with silence in its middle
    silent = frames.clone()
    silent[:, 5] = 0
    torch.testing.assert_close(expected, network(decoder_input).expected(silent)[:, 5:6])
    # whatever was there is not seen
    changed = frames.clone()
    changed[:, 5] = 7
    assert torch.equal(model.expected(changed), expected)
    np.testing.assert_allclose(
        loss(model, frames).detach(), ((expected - frames[:, 5:6]) ** 2)[:, 0].detach(), rtol=1e-6
    )


def test_the_frames_after_the_centre_help_only_through_the_latent_state():
    frames = torch.rand(3, 11, 6)
    changed = frames.clone()
    changed[:, 6:10] = 0.5
    for decoder_input, same in (("states", True), ("latent", False)):
        model = network(decoder_input, "centre")
        assert torch.equal(model.expected(frames), model.expected(changed)) == same
