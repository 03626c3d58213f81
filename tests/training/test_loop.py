import io
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd
import pytest
import torch
from support import corpus_summary, describe_network, with_bfloat16
from tqdm import tqdm

from anomalous_sound.compute import device
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.methods.network import Batch
from anomalous_sound.storage import identity
from anomalous_sound.training import loop as training_module
from anomalous_sound.training.batches import BatchSampler, WindowBatches
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_members, train_network

DESCRIPTION = describe_network(
    "lstm", {"hidden_size": 8, "num_layers": 2}, corpus=corpus_summary(fingerprint="f")
)
TRAINING = TrainingSettings(
    epochs=4,
    batch_size=16,
    learning_rate=0.01,
    stride=1,
    accelerator="cpu",
    precision="32-true",
    threads=1,
)
CLIPS = pd.DataFrame({"clip_id": ["a", "b"], "machine_id": ["00", "00"], "sha256": ["x", "y"]})
SEED = 3


def windows_of(clip_ids) -> WindowedFrames:
    values = np.random.default_rng(0).random((120, 6)).astype(np.float32)
    frames = Frames.in_memory({"a": values[:60], "b": values[60:]})
    listed = index_windows(frames.index, DESCRIPTION.windows, frame_s=0.032)
    chosen = listed[listed.clip_id.isin(list(clip_ids))]
    return WindowedFrames(frames, chosen, DESCRIPTION.scaling, DESCRIPTION.windows)


@pytest.fixture
def windows() -> WindowedFrames:
    return windows_of("ab")


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    return Checkpoint(tmp_path / "models" / "checkpoint.ckpt")


def train(windows, checkpoint, *, seed=SEED, clips=CLIPS, description=DESCRIPTION, **changed):
    return train_network(
        windows,
        windows,
        clips=clips,
        description=description,
        training=TRAINING.model_copy(update=changed),
        seed=seed,
        checkpoint=checkpoint,
    )


def same(one, other) -> bool:
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_first_epoch_is_adam_on_the_mean_squared_error(windows, checkpoint):
    """Against Adam's equations (Kingma & Ba) written out, one batch at a time."""
    trained, history = train(windows, checkpoint, epochs=1, batch_size=len(windows))
    torch.manual_seed(SEED)
    network = DESCRIPTION.build()
    frames = torch.from_numpy(windows[np.arange(len(windows))])
    loss = network(Batch(frames, torch.zeros(len(frames)))).mean()
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


@pytest.mark.parametrize("is_drawn", [True, False])
def test_the_loss_is_read_at_the_same_batches_with_and_without_a_bar(
    windows, checkpoint, monkeypatch, is_drawn
):
    """Processes that train together read it together, and only the first may draw a bar."""
    read = []
    quotient = training_module._quotient
    monkeypatch.setattr(
        training_module, "_quotient", lambda *sums: read.append(sums[2]) or quotient(*sums)
    )
    bar = partial(tqdm, file=io.StringIO())
    monkeypatch.setattr(
        training_module, "tqdm", lambda **options: bar(**options | {"disable": not is_drawn})
    )
    train(windows, checkpoint, epochs=2, batch_size=1)
    # of 100 windows, after 50 and 100 batches, at the end and for the validation
    assert read == [50, 100, 100, 100] * 2


def test_same_seed_same_network(windows, checkpoint):
    assert same(train(windows, checkpoint)[0], train(windows, checkpoint)[0])
    assert not same(train(windows, checkpoint)[0], train(windows, checkpoint, seed=4)[0])


def test_a_step_has_the_threads_that_are_asked_for(windows, checkpoint, monkeypatch):
    whole, seen = training_module._train_epoch, []

    def train_epoch(*arguments):
        seen.append(torch.get_num_threads())
        return whole(*arguments)

    monkeypatch.setattr(training_module, "_train_epoch", train_epoch)
    before = torch.get_num_threads()
    train(windows, checkpoint, epochs=1, threads=1)
    train(windows, checkpoint, epochs=1, threads=2)
    assert seen == [1, 2]
    assert torch.get_num_threads() == before


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


OTHER_FEATURES = DESCRIPTION.features.model_copy(
    update={"log_mel": DESCRIPTION.features.log_mel.model_copy(update={"n_fft": 1024})}
)


@pytest.mark.parametrize(
    "changed",
    [
        {"description": replace(DESCRIPTION, corpus=corpus_summary(fingerprint="g"))},
        {"description": replace(DESCRIPTION, features=OTHER_FEATURES)},
        {"clips": CLIPS.assign(sha256=["x", "z"])},
        {"clips": CLIPS.assign(machine_id=["00", "02"])},
        {"learning_rate": 0.02},
        {"seed": 4},
        {"epochs": 1},
    ],
)
def test_a_checkpoint_of_another_training_is_not_used(windows, checkpoint, monkeypatch, changed):
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, 3)
        with pytest.raises(Interruption):
            train(windows, checkpoint)
    begun = interrupt_in_epoch(monkeypatch, 99)
    train(windows, checkpoint, **changed)
    assert len(begun) == changed.get("epochs", 4)


def test_a_checkpoint_of_other_clips_or_folds_is_not_used(checkpoint, monkeypatch):
    """Of the same corpus and the same settings, but other clips are trained and validated on."""
    one, other = windows_of("a"), windows_of("b")

    def train_on(trained_on, validated_on):
        return train_network(
            trained_on,
            validated_on,
            clips=CLIPS,
            description=DESCRIPTION,
            training=TRAINING,
            seed=SEED,
            checkpoint=checkpoint,
        )

    for clips, epochs in [((other, one), 4), ((one, one), 4), ((one, other), 2)]:
        with monkeypatch.context() as patch:
            interrupt_in_epoch(patch, 3)
            with pytest.raises(Interruption):
                train_on(one, other)
        with monkeypatch.context() as patch:
            begun = interrupt_in_epoch(patch, 99)
            train_on(*clips)
        assert len(begun) == epochs


@pytest.mark.parametrize(
    ("module", "epochs"),
    [
        ("anomalous_sound.features.frames", 4),
        ("anomalous_sound.features.scaling", 4),
        ("anomalous_sound.features.windows", 4),
        ("anomalous_sound.training.batches", 4),
        ("anomalous_sound.training.loop", 4),
        ("anomalous_sound.methods.network", 4),
        ("anomalous_sound.methods.lstm", 4),
        ("anomalous_sound.methods.lstm.network", 4),
        ("anomalous_sound.methods.gru", 2),  # another method's: the last two epochs are left
    ],
)
def test_a_checkpoint_of_other_code_is_not_used(windows, checkpoint, monkeypatch, module, epochs):
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, 3)
        with pytest.raises(Interruption):
            train(windows, checkpoint)
    read = identity._sources

    def edited(code):
        name = code if isinstance(code, str) else code.__name__
        return read(code) | ({"edited.py": ""} if name == module else {})

    monkeypatch.setattr(identity, "_sources", edited)
    begun = interrupt_in_epoch(monkeypatch, 99)
    train(windows, checkpoint)
    assert len(begun) == epochs


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
    _, history = train(windows, checkpoint)
    assert len(history) == 4
    assert not (tmp_path / "ran").exists()


def test_every_window_is_trained_on_once_an_epoch(windows, checkpoint, monkeypatch):
    seen = []
    gather = WindowedFrames.__getitem__

    def remember(self, numbers):
        seen.append(list(numbers))
        return gather(self, numbers)

    monkeypatch.setattr(WindowedFrames, "__getitem__", remember)
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
    batches = list(BatchSampler(100, batch_size, order))
    seen = np.concatenate(batches)
    # 100 = 3 * 33 + 1 = 99 + 1: the last one cannot be normalised over its batch
    assert len(set(seen)) == len(seen) == (99 if batch_size in (33, 99) else 100)
    assert not np.array_equal(seen, np.sort(seen))
    in_order = np.concatenate(list(BatchSampler(100, batch_size, None)))
    assert np.array_equal(in_order, np.arange(100))
    alone = list(BatchSampler(1, batch_size, order))
    assert [batch.tolist() for batch in alone] == [[0]]


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_processes_share_each_batch_and_all_of_it(windows, ranks):
    whole = WindowBatches(windows, [0, 1], [False, True], torch.device("cpu"))
    numbers = np.array([7, 3, 90, 41, 5, 66, 12])
    shares = [whole.shared_by(ranks, rank)[numbers] for rank in range(ranks)]
    batch = whole[numbers]
    assert batch.weight == 1.0
    assert sum(share.weight for share in shares) / ranks == pytest.approx(1.0)
    for rank, share in enumerate(shares):
        assert torch.equal(share.frames, batch.frames[rank::ranks])
        assert torch.equal(share.machine, batch.machine[rank::ranks])
        assert torch.equal(share.target, batch.target[rank::ranks])
    # the mean over the batch is the mean over the shares, by their weights
    means = torch.stack([share.weight * share.frames.mean() for share in shares])
    torch.testing.assert_close(means.mean(), batch.frames.mean())


def test_no_process_is_left_without_a_share():
    order = torch.Generator().manual_seed(1)
    seen = [len(batch) for batch in BatchSampler(35, 16, order, ranks=4)]
    assert seen == [16, 16]  # not the 3 that are left for 4
    assert [len(batch) for batch in BatchSampler(36, 16, order, ranks=4)] == [16, 16, 4]
    assert sum(len(batch) for batch in BatchSampler(35, 16, None, ranks=4)) == 35


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
    monkeypatch.setattr(device, "_processor_flags", lambda: {"avx2"})
    auto, _ = train(windows, checkpoint, precision="auto")
    assert same(train(windows, checkpoint)[0], auto)
    with pytest.raises(InputError, match="does not multiply bfloat16; 'auto' takes what is best"):
        train(windows, checkpoint, precision="bf16-mixed")


MEMBERS = {"fold_0": ("a", "b"), "fold_1": ("b", "a"), "fold_2": ("ab", "ab")}


def train_all(checkpoint, jobs, members=MEMBERS, **changed):
    return train_members(
        {name: (windows_of(on), windows_of(by)) for name, (on, by) in members.items()},
        clips=CLIPS,
        description=DESCRIPTION,
        training=TRAINING.model_copy(update=changed),
        seed=SEED,
        checkpoint=checkpoint,
        jobs=jobs,
    )


@pytest.mark.slow
def test_side_by_side_each_network_is_the_one_trained_alone(checkpoint, caplog):
    with caplog.at_level("INFO"):
        together, history = train_all(checkpoint, 2)
    assert "Network fold_2 (3 of 3) is trained" in caplog.text
    in_turn, expected = train_all(checkpoint, 1)
    assert together.members() == in_turn.members() == tuple(MEMBERS)
    assert same(together, in_turn)
    for name, (on, by) in MEMBERS.items():
        alone, _ = train_network(
            windows_of(on),
            windows_of(by),
            clips=CLIPS,
            description=DESCRIPTION,
            training=TRAINING,
            seed=SEED,
            checkpoint=checkpoint,
        )
        for tensor, values in alone.weights.items():
            assert torch.equal(together.weights[f"{name}/{tensor}"], values)
    losses = ["epoch", "training_loss", "validation_loss"]
    pd.testing.assert_frame_equal(history[losses], expected[losses])
    assert not list(checkpoint.path.parent.iterdir())


@pytest.mark.slow
def test_a_killed_training_side_by_side_goes_on_from_the_members_checkpoints(checkpoint):
    """The first member was finished, the second not begun, when all were killed."""
    first = train_network(
        windows_of("a"),
        windows_of("b"),
        clips=CLIPS,
        description=DESCRIPTION,
        training=TRAINING,
        seed=SEED,
        checkpoint=checkpoint.of_member("fold_0"),
        keep_checkpoint=True,
    )
    kept = checkpoint.of_member("fold_0").path
    written = kept.stat().st_mtime_ns
    seconds = first[1].seconds.sum()
    _, history = train_all(checkpoint, 2, {"fold_0": ("a", "b"), "fold_1": ("b", "a")})
    assert written
    assert history.seconds.sum() >= seconds  # its epochs are those of before
    assert not list(checkpoint.path.parent.iterdir())


def test_a_network_of_other_folds_is_not_gone_on_with(checkpoint, monkeypatch):
    """Of two folds the first was trained on a and b; of three it must not have heard b."""
    with monkeypatch.context() as patch:
        interrupt_in_epoch(patch, 6)  # in the second network
        with pytest.raises(Interruption):
            train_all(checkpoint, 1, {"fold_0": ("ab", "b"), "fold_1": ("b", "a")})
    begun = interrupt_in_epoch(monkeypatch, 99)
    found, _ = train_all(checkpoint, 1, {"fold_0": ("a", "b"), "fold_1": ("b", "a")})
    assert len(begun) == 4 + 3  # the second is the same, and its first epoch is not repeated
    assert same(found, train_all(checkpoint, 1, {"fold_0": ("a", "b"), "fold_1": ("b", "a")})[0])


def test_no_process_is_started_for_one_network(checkpoint, monkeypatch):
    import joblib

    monkeypatch.setattr(joblib, "Parallel", None)
    found, _ = train_all(checkpoint, 2, {"id_00": ("a", "b")})
    assert found.members() == ("id_00",)


@pytest.fixture
def interrupted(windows, checkpoint, monkeypatch):
    """A checkpoint after the second of four epochs."""
    whole = training_module._save

    def save(*arguments):
        whole(*arguments)
        if arguments[-1].epoch == 2:
            raise Interruption

    with monkeypatch.context() as patch:
        patch.setattr(training_module, "_save", save)
        with pytest.raises(Interruption):
            train(windows, checkpoint)
    return checkpoint


def test_no_bit_of_a_checkpoint_is_flipped_in_silence(checkpoint):
    # a zip archive has bits that make it another one: encrypted, compressed, of other names
    state = {"identity": "one", "weights": torch.arange(6.0)}
    torch.save(state, checkpoint.being_written())
    checkpoint.complete()
    assert training_module._read(checkpoint)["identity"] == "one"
    whole = checkpoint.path.read_bytes()
    for place in range(0, 8 * len(whole), 63):  # of all bits of a byte
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        checkpoint.path.write_bytes(content)
        assert training_module._read(checkpoint) is None


@pytest.mark.parametrize("damage", ["empty", "torn", "flipped", "text"])
def test_a_damaged_checkpoint_is_discarded(windows, interrupted, tmp_path, caplog, damage):
    content = bytearray(interrupted.path.read_bytes())
    content[len(content) // 2] ^= 1
    half = content[: len(content) // 2]
    damaged = {"empty": b"", "torn": half, "flipped": content, "text": b"text"}[damage]
    interrupted.path.write_bytes(damaged)
    trained, history = train(windows, interrupted)
    assert "checkpoint.ckpt is damaged; it is discarded" in caplog.text
    assert list(history.epoch) == [1, 2, 3, 4]
    assert same(trained, train(windows, Checkpoint(tmp_path / "other.ckpt"))[0])


def test_a_loss_that_is_not_finite_ends_the_training(windows, checkpoint, monkeypatch):
    losses = iter([0.5, 0.25, float("nan")])
    monkeypatch.setattr(training_module, "_train_epoch", lambda *arguments: next(losses))
    with pytest.raises(
        InputError,
        match=r"become nan in epoch 3 of 4: the learning rate .*training\.learning_rate.* 0\.01",
    ):
        train(windows, checkpoint)


@pytest.mark.slow
def test_side_by_side_a_loss_that_is_not_finite_is_told_the_same(checkpoint):
    with pytest.raises(InputError) as told:
        train_all(checkpoint, 2, learning_rate=1e30)
    assert str(told.value).startswith("the loss has become ")
    assert "in epoch 1 of 4: the learning rate" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_side_by_side_a_damaged_checkpoint_is_discarded(checkpoint):
    expected, _ = train_all(checkpoint, 2)
    damaged = checkpoint.of_member("fold_1").path
    damaged.write_bytes(b"text")
    found, history = train_all(checkpoint, 2)
    assert list(history.epoch) == [1, 2, 3, 4]
    assert same(found, expected)
    assert not damaged.exists()


def test_a_learning_rate_that_is_far_too_high_ends_the_training(windows, checkpoint):
    with pytest.raises(InputError, match="in epoch 1 of 4"):
        train(windows, checkpoint, learning_rate=1e30)
