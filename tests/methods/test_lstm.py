import numpy as np
import pytest
import torch
from support import describe_network

from anomalous_sound.methods.network import Batch, count_parameters

SIZES = {"hidden_size": 5, "num_layers": 2}


@pytest.fixture
def network():
    torch.manual_seed(0)
    return describe_network("lstm", SIZES).build().eval()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_by_hand(network, window):
    """The LSTM's equations (Hochreiter & Schmidhuber, with forget gate), one step at a time."""
    weights = {name: value.detach().double().numpy() for name, value in network.named_parameters()}
    inputs = list(window)
    for layer in range(2):
        hidden = cell = np.zeros(5)
        outputs = []
        for frame in inputs:
            gates = (
                weights[f"lstm.weight_ih_l{layer}"] @ frame
                + weights[f"lstm.bias_ih_l{layer}"]
                + weights[f"lstm.weight_hh_l{layer}"] @ hidden
                + weights[f"lstm.bias_hh_l{layer}"]
            )
            enter, forget, new, leave = np.split(gates, 4)
            cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(new)
            hidden = sigmoid(leave) * np.tanh(cell)
            outputs.append(hidden)
        inputs = outputs
    return weights["output.weight"] @ inputs[-1] + weights["output.bias"]


def test_predicts_the_next_frame_from_the_window(network):
    frames = torch.rand(3, 11, 6)
    expected = np.stack([lstm_by_hand(network, window[:10].double().numpy()) for window in frames])
    np.testing.assert_allclose(network.expected(frames)[:, 0].detach(), expected, atol=1e-6)
    assert torch.equal(network.target(frames)[:, 0], frames[:, 10])


def test_the_next_frame_is_not_seen(network):
    frames = torch.rand(2, 11, 6)
    changed = frames.clone()
    changed[:, 10] = 7
    assert torch.equal(network.expected(frames), network.expected(changed))


def test_error_is_the_squared_difference_of_each_band(network):
    frames = torch.rand(4, 11, 6)
    errors = network(Batch(frames, torch.zeros(4))).detach().numpy()
    expected = (network.expected(frames)[:, 0].detach().numpy() - frames[:, 10].numpy()) ** 2
    np.testing.assert_allclose(errors, expected, rtol=1e-6)


def test_size_of_the_reports_network():
    network = describe_network("lstm", SIZES | {"hidden_size": 256}, n_mels=128).build()
    first = 4 * 256 * (128 + 256 + 2)
    second = 4 * 256 * (256 + 256 + 2)
    assert count_parameters(network) == first + second + 256 * 128 + 128


def test_the_error_belongs_to_the_frame_after_the_window():
    assert describe_network("lstm", SIZES).network.target_frames(10) == (10, 10)
