"""One network that several processes of this machine train together."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import rank_work
import torch
from support import describe_network
from torch import nn

from anomalous_sound.compute.ranks import in_ranks
from anomalous_sound.configuration.compute import LOCAL
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_members, train_network

pytestmark = pytest.mark.slow

TWO = LOCAL.model_copy(update={"devices": 2})
SHARED = {"machine_ids": ("00",)}
METHODS = {
    "lstm": describe_network("lstm", {"hidden_size": 8, "num_layers": 2}),
    "autoencoder": describe_network(
        "autoencoder",
        {
            **{"hidden_size": 8, "bottleneck": 4, "depth": 1},
            **{"norm_momentum": 0.1, "norm_epsilon": 1e-3, "error": "selective_mahalanobis"},
        },
        length=5,
        next_frame=False,
    ),
}
TRAINING = TrainingSettings(
    epochs=4,
    batch_size=15,  # shares are of 8 and 7 windows, and the last batch is smaller
    learning_rate=0.01,
    stride=1,
    accelerator="cpu",
    precision="32-true",
    threads=1,
)
CLIPS = pd.DataFrame({"clip_id": ["a", "b"], "machine_id": ["00", "00"], "sha256": ["x", "y"]})


def windows_of(clip_ids, description) -> WindowedFrames:
    values = np.random.default_rng(0).random((120, 6)).astype(np.float32)
    frames = Frames.in_memory({"a": values[:60], "b": values[60:]})
    listed = index_windows(frames.index, description.windows, frame_s=0.032)
    chosen = listed[listed.clip_id.isin(list(clip_ids))]
    return WindowedFrames(frames, chosen, description.scaling, description.windows)


def train(checkpoint, engine, method="lstm", members=("",), **changed):
    of = METHODS[method]
    return train_members(
        {name: (windows_of("a", of), windows_of("b", of)) for name in members},
        clips=CLIPS,
        description=of,
        training=TRAINING.model_copy(update=changed),
        seed=3,
        checkpoint=checkpoint,
        jobs=1,
        engine=engine,
    )


def same(one, other) -> bool:
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "checkpoint.ckpt")


@pytest.mark.parametrize("method", list(METHODS))
def test_two_processes_learn_what_one_learns(checkpoint, method, caplog):
    """Of the same batches: only the order of summation differs, and with it the last digits.

    A bias before a batch normalisation has no gradient but rounding, which Adam makes a step of:
    it does not change what is trained on, but what the running means are, by which is validated.
    """
    one, history = train(checkpoint, LOCAL, method)
    with caplog.at_level("INFO"):
        two, of_two = train(checkpoint, TWO, method)
    assert f"Epoch 4 of 4: training loss {of_two.training_loss[3]:.6f}" in caplog.text
    np.testing.assert_allclose(of_two.training_loss, history.training_loss, rtol=1e-4)
    validated = {"lstm": 1e-4, "autoencoder": 0.1}[method]
    np.testing.assert_allclose(of_two.validation_loss, history.validation_loss, rtol=validated)
    assert list(two.weights) == list(one.weights)
    assert two.description == one.description
    assert not list(checkpoint.path.parent.iterdir())


def test_one_process_learns_the_same_to_the_bit(checkpoint):
    of = METHODS["lstm"]
    found, _ = train(checkpoint, LOCAL)
    expected, _ = train_network(
        windows_of("a", of),
        windows_of("b", of),
        clips=CLIPS,
        description=of,
        training=TRAINING,
        seed=3,
        checkpoint=checkpoint,
    )
    assert same(found, expected)


def test_networks_are_trained_one_after_the_other_by_processes_without_kedro(checkpoint):
    together, _ = train(checkpoint, TWO, members=("fold_0", "fold_1"))
    assert together.members() == ("fold_0", "fold_1")
    alone, _ = train(checkpoint, TWO)
    for name, values in alone.weights.items():
        assert torch.equal(together.weights[f"fold_1/{name}"], values)
    (imported,) = in_ranks([rank_work.modules], 2, backend="gloo", wait_s=60.0)
    assert "lightning_fabric" in imported
    assert not imported & {"kedro", "kedro_datasets", "kedro_mlflow", "mlflow"}


def test_batch_normalisation_is_that_of_the_whole_batch():
    torch.manual_seed(1)
    values, weights = torch.randn(9, 3) + 2, torch.randn(9, 3)
    layer, whole = nn.BatchNorm1d(3), values.clone().requires_grad_()
    expected = layer(whole)
    (expected * weights).sum().backward()
    ((found, others),) = in_ranks(
        [partial(rank_work.normalised, values, weights)], 2, backend="gloo", wait_s=60.0
    )
    torch.testing.assert_close(found, expected[::2])
    gradients = [whole.grad[::2], *(parameter.grad for parameter in layer.parameters())]
    for one, other in zip(others, [*gradients, *layer.state_dict().values()], strict=True):
        torch.testing.assert_close(one, other)


def test_a_batch_that_cannot_be_shared(checkpoint):
    with pytest.raises(InputError, match="2 processes cannot share a batch: .* is 1, and a netw"):
        train(checkpoint, TWO, batch_size=1)


def test_a_killed_process_ends_the_training_which_then_goes_on(checkpoint, tmp_path, caplog):
    unbroken, history = train(Checkpoint(tmp_path / "other.ckpt"), TWO)
    deadly = rank_work.DeadlyCheckpoint(checkpoint.path, rank="1", epoch=1)
    with pytest.raises(InputError, match="was killed, often because memory ran out") as raised:
        train(deadly, TWO)
    assert "\n" not in str(raised.value)
    kept = checkpoint.of_member("")
    assert torch.load(kept.path, weights_only=True)["epoch"] == 1
    kept_seconds = torch.load(kept.path, weights_only=True)["history"][0][3]
    found, resumed = train(checkpoint, TWO)
    assert resumed.seconds[0] == kept_seconds  # this epoch was not trained again
    assert same(found, unbroken)
    losses = ["epoch", "training_loss", "validation_loss"]
    pd.testing.assert_frame_equal(resumed[losses], history[losses])


def test_a_loss_that_is_not_finite_stops_all_processes(checkpoint):
    with pytest.raises(InputError, match="the loss has become .* in epoch 1 of 4"):
        train(checkpoint, TWO, learning_rate=1e30)
