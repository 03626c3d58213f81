from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from support import describe_network

from anomalous_sound.configuration.features import WindowSettings
from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.features.windows import WindowedFrames, index_windows
from anomalous_sound.methods.network import Batch, ClipInput, count_parameters
from anomalous_sound.training.checkpoint import Checkpoint
from anomalous_sound.training.loop import train_network

NORM = {"norm_momentum": 0.1, "norm_epsilon": 1e-5}


def training(epochs):
    return TrainingSettings(
        epochs=epochs,
        batch_size=8,
        learning_rate=0.001,
        stride=1,
        accelerator="cpu",
        precision="32-true",
        threads=1,
    )


def describe(n_mels, error="squared", norm=NORM, **sizes):
    network = {**sizes, **norm, "error": error}
    return describe_network("autoencoder", network, n_mels=n_mels, length=5, next_frame=False)


def test_size_of_the_baseline():
    """DCASE 2020's baseline: 640-128-128-128-128-8-128-128-128-128-640."""
    model = describe(128, hidden_size=128, depth=4, bottleneck=8).build()
    widths = [640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640]
    dense = sum((a + 1) * b for a, b in pairwise(widths))
    normalisation = sum(2 * width for width in widths[1:-1])
    assert count_parameters(model) == dense + normalisation
    names = [type(layer).__name__ for layer in model.layers]
    assert names == ["Linear", "BatchNorm1d", "ReLU"] * 9 + ["FrameOutput"]


def test_all_frames_are_reconstructed():
    description = describe(6, hidden_size=8, depth=2, bottleneck=3)
    model = description.build().eval()
    frames = torch.rand(4, 5, 6)
    stacked = model.layers(frames.reshape(4, 30)).detach()
    expected = ((stacked - frames.reshape(4, 30)) ** 2).reshape(4, 5, 6).mean(dim=1)
    torch.testing.assert_close(model(Batch(frames, torch.zeros(4))).detach(), expected)
    assert description.network.target_frames(5) == (0, 4)


def windows_of(frames_of_clip, length, next_frame):
    form = WindowSettings(length=length, next_frame=next_frame)
    frames = Frames.in_memory({"a": frames_of_clip.astype(np.float32)})
    return WindowedFrames(
        frames, index_windows(frames.index, form, frame_s=0.032), Scaling("clip"), form
    )


def test_309_windows_of_five_frames_in_ten_seconds():
    assert len(windows_of(np.random.default_rng(0).random((313, 6)), 5, False)) == 309


@pytest.mark.parametrize("frames", [21, 20, 19])
def test_a_last_batch_of_one_window_does_not_stop_batch_normalisation(tmp_path, frames):
    """21 frames are 17 windows: two batches of 8 and one window."""
    windows = windows_of(np.random.default_rng(0).random((frames, 6)), 5, False)
    _, history = train_network(
        windows,
        windows,
        clips=pd.DataFrame({"clip_id": ["a"], "machine_id": ["00"], "sha256": ["a"]}),
        description=describe(6, hidden_size=4, depth=1, bottleneck=2),
        training=training(epochs=2),
        seed=0,
        checkpoint=Checkpoint(tmp_path / "checkpoint.ckpt"),
    )
    assert np.isfinite(history.training_loss).all()


def test_batch_normalisation_of_keras():
    """The baselines' momentum of .99 there is one of .01 in PyTorch."""
    norm = {"norm_momentum": 0.01, "norm_epsilon": 1e-3}
    model = describe(6, norm=norm, hidden_size=4, depth=1, bottleneck=2).build()
    norms = [layer for layer in model.layers if isinstance(layer, torch.nn.BatchNorm1d)]
    assert {(layer.momentum, layer.eps) for layer in norms} == {(0.01, 1e-3)}


def selective(seed=0):
    torch.manual_seed(seed)
    sizes = {"hidden_size": 8, "depth": 1, "bottleneck": 3}
    return describe(4, "selective_mahalanobis", **sizes).build().eval()


def residuals_of(model, windows):
    """Windows × frames × bands, by the network's layers alone."""
    with torch.no_grad():
        return (windows - model.layers(windows.flatten(1)).view_as(windows)).numpy().astype(float)


def learnt(model, domains):
    """Let a network learn of windows of both domains, in two batches."""
    rng = np.random.default_rng(1)
    windows = torch.from_numpy(rng.standard_normal((40, 5, 4)).astype(np.float32))
    windows[~domains] *= torch.tensor([3.0, 0.3, 1, 1])
    windows[domains] *= torch.tensor([0.3, 3.0, 1, 1])
    batches = [Batch(windows[n::2], torch.zeros(20), domains[n::2]) for n in range(2)]
    with torch.no_grad():
        model.after_training(iter(batches))
    return batches


def covariance(model, batches, target):
    """Centred in each batch; over the windows, less one, as the baseline's code has it."""
    products, windows = 0, 0
    for batch in batches:
        own = residuals_of(model, batch.frames)[(batch.target == target).numpy()]
        rows = own.reshape(-1, 4)
        products = products + (rows - rows.mean(axis=0)).T @ (rows - rows.mean(axis=0))
        windows += len(own)
    return products / (windows - 1)


DOMAINS = torch.arange(40) % 5 == 0  # a fifth is of the target domain


def clip_of(*shift):
    values = np.random.default_rng(2).standard_normal((30, 4)).astype(np.float32) + shift
    return ClipInput(torch.from_numpy(values.astype(np.float32)), torch.arange(26), 0, 1024)


CLIPS = [clip_of(0, 0, 0, 0), clip_of(5, 0, 0, 0), clip_of(0, 5, 0, 0)]


@pytest.mark.parametrize("clip", CLIPS)
def test_the_mean_error_is_the_smaller_distance_of_the_mean_residual(clip):
    model = selective()
    batches = learnt(model, DOMAINS)
    windows = clip.frames.unfold(0, 5, 1).movedim(-1, 1)
    mean = residuals_of(model, windows).mean(axis=(0, 1))
    # the baseline sums over all pairs of frames: the same as the distance of the mean
    rows = residuals_of(model, windows).reshape(-1, 4)
    distances = []
    for target in (False, True):
        inverse = np.linalg.inv(covariance(model, batches, target))
        distances.append((rows @ inverse @ rows.T).sum() / len(rows) ** 2)
        assert distances[-1] == pytest.approx(mean @ inverse @ mean)
    with torch.no_grad():
        errors = model.errors(clip)
        again = model.errors(clip._replace(batch_size=7))
        at_once = model.errors_at_once(clip)
    assert errors.shape == (26, 4)
    assert (errors >= 0).all()
    assert errors.mean().item() * 4 == pytest.approx(min(distances), rel=1e-4)
    torch.testing.assert_close(again, errors)
    torch.testing.assert_close(at_once, errors)
    # over time each band's errors are as its squared residuals are
    squares = (residuals_of(model, windows) ** 2).mean(axis=1)
    ratio = errors.numpy() / squares
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-4)


def test_each_domain_is_the_nearer_one_of_some_clip():
    """The source domain varies in the first band, the target domain in the second one."""
    model = selective()
    batches = learnt(model, DOMAINS)
    for clip, nearer in zip(CLIPS[1:], (False, True), strict=True):
        windows = clip.frames.unfold(0, 5, 1).movedim(-1, 1)
        mean = residuals_of(model, windows).mean(axis=(0, 1))
        inverse = np.linalg.inv(covariance(model, batches, nearer))
        with torch.no_grad():
            found = model.errors(clip).mean().item() * 4
        assert found == pytest.approx(mean @ inverse @ mean, rel=1e-4)


@pytest.mark.parametrize("target", [False, True])
def test_where_one_domain_alone_is_known_its_covariance_is_that_of_both(target):
    model = selective()
    batches = learnt(model, torch.full((40,), target))
    found = model.whiteners.double().numpy()
    expected = np.linalg.inv(covariance(model, batches, target))
    for domain in range(2):
        np.testing.assert_allclose(found[domain] @ found[domain], expected, rtol=1e-4)
        np.testing.assert_allclose(found[domain], found[domain].T, atol=1e-6)


def test_windows_of_no_known_domain_are_of_the_source_domain():
    model = selective()
    batches = learnt(model, torch.zeros(40, dtype=torch.bool))
    expected = model.whiteners.clone()
    with torch.no_grad():
        model.after_training([batch._replace(target=None) for batch in batches])
    torch.testing.assert_close(model.whiteners, expected)


def test_fewer_frames_than_bands_give_finite_errors():
    model = selective()
    windows = torch.rand(1, 5, 4)
    with torch.no_grad():
        model.after_training([Batch(windows, torch.zeros(1))])
        assert torch.isfinite(model.errors(CLIPS[0])).all()


def test_after_a_training_the_covariances_are_among_the_weights(tmp_path):
    """A clip of each domain; whatever was trained, the squared errors' weights are the same."""
    rng = np.random.default_rng(0)
    frames = Frames.in_memory({name: rng.random((30, 6)).astype(np.float32) for name in ("a", "b")})
    form = WindowSettings(length=5, next_frame=False)
    listed = index_windows(frames.index, form, frame_s=0.032)
    windows = WindowedFrames(frames, listed, Scaling("none"), form)

    def trained(error, domains):
        network, _ = train_network(
            windows,
            windows,
            clips=pd.DataFrame(
                {"clip_id": ["a", "b"], "machine_id": "00", "sha256": "a", "domain": domains}
            ),
            description=describe(6, error, hidden_size=4, depth=1, bottleneck=2),
            training=training(epochs=1),
            seed=0,
            checkpoint=Checkpoint(tmp_path / "checkpoint.ckpt"),
        )
        return network.weights

    squared = trained("squared", ["source", "target"])
    both = trained("selective_mahalanobis", ["source", "target"])
    alone = trained("selective_mahalanobis", ["source", ""])
    assert set(both) == {*squared, "whiteners"}
    for name, value in squared.items():
        torch.testing.assert_close(both[name], value, rtol=0, atol=0)
    source, target = both["whiteners"]
    assert source.any()
    assert not torch.allclose(source, target)
    assert torch.equal(*alone["whiteners"])
