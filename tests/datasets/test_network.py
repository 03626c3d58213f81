import json

import pytest
import torch
from safetensors import safe_open
from support import describe_network

from anomalous_sound.datasets import NetworkDataset
from anomalous_sound.errors import InputError
from anomalous_sound.methods.network import Batch
from anomalous_sound.methods.trained import TrainedNetworks

DESCRIPTION = describe_network("lstm", {"hidden_size": 8, "num_layers": 2})


def test_a_network_comes_back_and_predicts_the_same(tmp_path):
    network = DESCRIPTION.build().eval()
    dataset = NetworkDataset(filepath=str(tmp_path / "network"))
    assert not dataset.exists()
    dataset.save(TrainedNetworks(network.state_dict(), DESCRIPTION))
    assert dataset.exists()
    loaded = dataset.load()
    batch = Batch(torch.rand(2, 11, 6), torch.zeros(2))
    assert torch.equal(loaded.build()(batch), network(batch))
    assert loaded.description == DESCRIPTION


def test_the_folder_holds_safetensors_and_json_only(tmp_path):
    network = DESCRIPTION.build()
    networks = TrainedNetworks(network.state_dict(), DESCRIPTION)
    NetworkDataset(filepath=str(tmp_path / "n")).save(networks)
    assert sorted(path.name for path in (tmp_path / "n").iterdir()) == [
        "settings.json",
        "weights.safetensors",
    ]
    with safe_open(tmp_path / "n" / "weights.safetensors", "pt") as file:
        assert set(file.keys()) == set(network.state_dict())


def test_there_is_no_network(tmp_path):
    with pytest.raises(Exception, match="holds no network; train one first"):
        NetworkDataset(filepath=str(tmp_path / "none")).load()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("method"), "trained by an earlier version; train it again"),
        (lambda values: values.update(method="other"), "'other', which is not installed"),
    ],
)
def test_a_network_that_cannot_be_used(tmp_path, change, message):
    dataset = NetworkDataset(filepath=str(tmp_path / "n"))
    dataset.save(TrainedNetworks(DESCRIPTION.build().state_dict(), DESCRIPTION))
    values = json.loads((tmp_path / "n" / "settings.json").read_text())
    change(values)
    (tmp_path / "n" / "settings.json").write_text(json.dumps(values))
    with pytest.raises(Exception, match=message) as raised:
        dataset.load()
    assert isinstance(raised.value.__cause__ or raised.value, InputError)


@pytest.mark.parametrize("file", ["weights.safetensors", "settings.json"])
@pytest.mark.parametrize("damage", ["flipped", "torn", "empty"])
def test_a_damaged_network_is_not_used(tmp_path, file, damage):
    dataset = NetworkDataset(filepath=str(tmp_path / "n"))
    dataset.save(TrainedNetworks(DESCRIPTION.build().state_dict(), DESCRIPTION))
    path = tmp_path / "n" / file
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes({"flipped": content, "torn": content[:100], "empty": b""}[damage])
    with pytest.raises(Exception, match="is damaged.*train it again") as raised:
        dataset.load()
    assert isinstance(raised.value.__cause__ or raised.value, InputError)
