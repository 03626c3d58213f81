import copy
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from anomalous_sound.compute.processor import FastestThreads
from anomalous_sound.methods.trained_network import build_network
from support import with_bfloat16

from anomalous_sound.compute import processor
from anomalous_sound.compute.threads import torch_threads
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.training import loop as training_module
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_network

SETTINGS = {
    "network": {"architecture": "lstm_predictor", "hidden_size": 8, "num_layers": 2},
    "log_mel": {"n_mels": 6},
    "corpus": {"fingerprint": "f"},
}
TRAINING = {
    "epochs": 4,
    "batch_size": 16,
    "learning_rate": 0.01,
    "accelerator": "cpu",
    "precision": "32-true",
    "seed": 3,
}


@pytest.fixture
def windows() -> WindowedFrames:
    rng = np.random.default_rng(0)
    index = pd.DataFrame({"clip_id": ["a", "b"], "first_frame": [0, 60], "frames": [60, 60]})
    frames = Frames(rng.random((120, 6)).astype(np.float32), index)
    listed = index_windows(index, length=10, next_frame=True, hop_length=512, sample_rate=16000)
    return WindowedFrames(frames, listed, {"method": "clip"}, length=10, next_frame=True)


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    return Checkpoint(tmp_path / "models" / "checkpoint.ckpt")


def train(windows, checkpoint, **changed):
    return train_network(
        windows, windows, settings=SETTINGS, training=TRAINING | changed, checkpoint=checkpoint
    )


def same(one, other) -> bool:
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_first_epoch_is_adam_on_the_mean_squared_error(windows, checkpoint):
    """Against Adam's equations (Kingma & Ba) written out, one batch at a time."""
    trained, history = train(windows, checkpoint, epochs=1, batch_size=len(windows))
    torch.manual_seed(TRAINING["seed"])
    network = build_network(SETTINGS)
    loss = network(torch.from_numpy(windows[np.arange(len(windows))])).mean()
    loss.backward()
    assert history.training_loss[0] == pytest.approx(loss.item(), rel=1e-5)
    for name, parameter in network.named_parameters():
        gradient = parameter.grad
        # after one step the moments are the gradient and its square
        expected = parameter.detach() - 0.01 * gradient / (gradient.abs() + 1e-8)
        clear = gradient.abs() > 1e-5  # below, the order of summation decides
        torch.testing.assert_close(
            trained.weights[name][clear], expected[clear], atol=1e-5, rtol=1e-4
        )


def test_training_learns(windows, checkpoint):
    _, history = train(windows, checkpoint, epochs=8)
    assert list(history.epoch) == list(range(1, 9))
    assert history.training_loss.iloc[-1] < 0.8 * history.training_loss.iloc[0]
    assert history.validation_loss.iloc[-1] < 0.8 * history.validation_loss.iloc[0]
    assert not checkpoint.exists()


def test_same_seed_same_network(windows, checkpoint):
    assert same(train(windows, checkpoint)[0], train(windows, checkpoint)[0])
    assert not same(train(windows, checkpoint)[0], train(windows, checkpoint, seed=4)[0])


def test_the_choice_of_threads_does_not_change_a_bit(windows, checkpoint, monkeypatch):
    """With clocks that make one number or another look fast, and the choice change all the time."""
    settings = SETTINGS | {"network": SETTINGS["network"] | {"hidden_size": 256}}
    trained, taken, set_number = [], [], torch.set_num_threads
    monkeypatch.setattr(torch, "set_num_threads", lambda n: (taken.append(n), set_number(n)))
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        fickle = partial(FastestThreads, clock=lambda random=random: 10 * random.random())
        monkeypatch.setattr(training_module, "FastestThreads", fickle)
        with torch_threads(4):
            network, _ = train_network(
                windows, windows, settings=settings, training=TRAINING, checkpoint=checkpoint
            )
        trained.append(network)
    assert same(*trained)
    assert len(set(taken)) > 1


class Interruption(KeyboardInterrupt):
    pass


def interrupt_in_epoch(monkeypatch, number):
    whole = training_module._train_epoch
    begun = []

    def train_epoch(*arguments):
        begun.append(1)
        if len(begun) == number:
            raise Interruption
        return whole(*arguments)

    monkeypatch.setattr(training_module, "_train_epoch", train_epoch)
    return begun


def test_an_interrupted_training_goes_on_to_the_same_network(windows, checkpoint, monkeypatch):
    unbroken, history = train(windows, checkpoint)
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, 3)
        with pytest.raises(Interruption):
            train(windows, checkpoint)
    assert checkpoint.exists()
    with monkeypatch.context() as patch:
        begun = interrupt_in_epoch(patch, 99)
        resumed, resumed_history = train(windows, checkpoint)
    assert len(begun) == 2  # epochs 3 and 4: the first two were not trained again
    assert same(resumed, unbroken)
    compared = ["epoch", "training_loss", "validation_loss"]
    pd.testing.assert_frame_equal(resumed_history[compared], history[compared])
    assert not checkpoint.exists()


@pytest.mark.parametrize(
    ("settings", "training"),
    [
        ({"corpus": {"fingerprint": "other clips"}}, {}),
        ({"log_mel": {"n_mels": 6, "n_fft": 1024}}, {}),
        ({}, {"learning_rate": 0.02}),
        ({}, {"seed": 4}),
        ({}, {"epochs": 1}),
    ],
)
def test_a_checkpoint_of_another_training_is_not_used(
    windows, checkpoint, monkeypatch, settings, training
):
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, 3)
        with pytest.raises(Interruption):
            train(windows, checkpoint)
    changed = copy.deepcopy(SETTINGS) | settings
    begun = interrupt_in_epoch(monkeypatch, 99)
    train_network(
        windows, windows, settings=changed, training=TRAINING | training, checkpoint=checkpoint
    )
    assert len(begun) == training.get("epochs", 4)


def test_a_half_written_checkpoint_is_not_trusted(windows, checkpoint):
    checkpoint.being_written().write_bytes(b"half")
    assert not checkpoint.exists()
    _, history = train(windows, checkpoint)
    assert len(history) == 4


def test_a_checkpoint_cannot_run_code(windows, checkpoint, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"fingerprint": Payload()}, checkpoint.being_written())
    checkpoint.complete()
    with pytest.raises(Exception, match="weights_only|Weights only"):
        train(windows, checkpoint)
    assert not (tmp_path / "ran").exists()


def test_every_window_is_trained_on_once_an_epoch(windows, checkpoint, monkeypatch):
    seen = []
    gather = WindowedFrames.__getitem__

    def remember(self, numbers):
        seen.append(list(numbers))
        return gather(self, numbers)

    monkeypatch.setattr(WindowedFrames, "__getitem__", remember)
    monkeypatch.setattr(training_module, "_numbers_of_threads", lambda *_: [1])  # looks at windows
    train(windows, checkpoint, epochs=2)
    batches = -(-len(windows) // 16)
    epochs = [seen[: 2 * batches], seen[2 * batches :]]  # training and validation batches
    orders = [list(chain.from_iterable(epoch[:batches])) for epoch in epochs]
    for order, epoch in zip(orders, epochs, strict=True):
        assert sorted(order) == list(range(len(windows)))
        assert order != sorted(order)
        assert list(chain.from_iterable(epoch[batches:])) == list(range(len(windows)))
    assert orders[0] != orders[1]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_an_accelerator_that_is_not_there(windows, checkpoint):
    with pytest.raises(InputError, match="accelerator 'cuda'"):
        train(windows, checkpoint, accelerator="cuda")


@pytest.mark.parametrize("batch_size", [1, 7, 16, 33, 99, 100, 200])
def test_every_window_is_in_one_batch_of_an_epoch_unless_it_is_left_alone(batch_size):
    order = torch.Generator().manual_seed(1)
    batches = list(training_module._Batches(100, batch_size, order))
    seen = np.concatenate(batches)
    # 100 = 3 * 33 + 1 = 99 + 1: the last one cannot be normalised over its batch
    assert len(set(seen)) == len(seen) == (99 if batch_size in (33, 99) else 100)
    assert not np.array_equal(seen, np.sort(seen))
    in_order = np.concatenate(list(training_module._Batches(100, batch_size, None)))
    assert np.array_equal(in_order, np.arange(100))
    alone = list(training_module._Batches(1, batch_size, order))
    assert [batch.tolist() for batch in alone] == [[0]]


def test_bfloat16_where_the_processor_has_it(windows, checkpoint, monkeypatch):
    with with_bfloat16(monkeypatch):
        half, half_history = train(windows, checkpoint, precision="bf16-mixed")
        assert same(train(windows, checkpoint, precision="auto")[0], half)
    single, history = train(windows, checkpoint)
    assert not same(single, half)
    assert all(value.dtype == torch.float32 for value in half.weights.values())
    # eight bits of mantissa
    np.testing.assert_allclose(half_history.training_loss, history.training_loss, rtol=2**-7)


def test_no_bfloat16_where_the_processor_has_it_not(windows, checkpoint, monkeypatch):
    monkeypatch.setattr(processor, "_processor_flags", lambda: {"avx2"})
    auto, _ = train(windows, checkpoint, precision="auto")
    assert same(train(windows, checkpoint)[0], auto)
    with pytest.raises(InputError, match="does not multiply bfloat16; 'auto' takes what is best"):
        train(windows, checkpoint, precision="bf16-mixed")
