import torch
from anomalous_sound.methods.trained_network import TrainedNetwork, build_network
from safetensors import safe_open

from anomalous_sound.datasets import NetworkDataset

SETTINGS = {
    "network": {"architecture": "lstm_predictor", "hidden_size": 8, "num_layers": 2},
    "log_mel": {"n_mels": 6},
}


def test_a_network_comes_back_and_predicts_the_same(tmp_path):
    network = build_network(SETTINGS).eval()
    dataset = NetworkDataset(path=str(tmp_path / "network"))
    assert not dataset.exists()
    dataset.save(TrainedNetwork(network.state_dict(), SETTINGS))
    assert dataset.exists()
    loaded = dataset.load()
    frames = torch.rand(2, 11, 6)
    assert torch.equal(loaded.build()(frames), network(frames))
    assert loaded.settings == SETTINGS


def test_the_folder_holds_safetensors_and_json_only(tmp_path):
    network = build_network(SETTINGS)
    NetworkDataset(path=str(tmp_path / "n")).save(TrainedNetwork(network.state_dict(), SETTINGS))
    assert sorted(path.name for path in (tmp_path / "n").iterdir()) == [
        "settings.json",
        "weights.safetensors",
    ]
    with safe_open(tmp_path / "n" / "weights.safetensors", "pt") as file:
        assert set(file.keys()) == set(network.state_dict())
