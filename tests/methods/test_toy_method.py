"""A method is one folder and one parameter file: a toy of somebody else's package shows it."""

import pytest

from anomalous_sound.methods import methods

TOY = '''
"""Expects every frame to be the mean of its window."""

from typing import Literal

from anomalous_sound.methods.base import Method, MethodSettings, NetworkSettings


class ToyNetworkSettings(NetworkSettings):
    architecture: Literal["window_mean"]

    def target_frames(self, length: int) -> tuple[int, int]:
        return length, length


class ToySettings(MethodSettings):
    network: ToyNetworkSettings


METHOD = Method(
    name="toy",
    title="Window mean",
    summary="expects the next frame to be the mean of the window",
    settings=ToySettings,
    network="toy_sound.network:WindowMean",
    next_frame=True,
)
'''
NETWORK = """
import torch
from torch import nn

from anomalous_sound.methods.network import Batch, ClipInput, Network


class WindowMean(Network):
    def __init__(self, settings, shape):
        super().__init__(settings, shape)
        self.shape = shape
        self.gain = nn.Parameter(torch.ones(()))

    def squared(self, frames):
        return (self.gain * frames[:, :-1].mean(dim=1) - frames[:, -1]).square()

    def loss(self, batch: Batch):
        return self.squared(batch.frames)

    def errors(self, clip: ClipInput):
        steps = torch.arange(self.shape.window.frames)
        return self.squared(clip.frames[clip.first_frames[:, None] + steps])
"""
PARAMETERS = """
toy:
  network:
    architecture: window_mean
  training:
    epochs: 1
    batch_size: 32
    learning_rate: 0.001
    stride: 1
    accelerator: cpu
    precision: auto
    threads: 1
  score: ${own_copy:${_profile.score}}
"""


@pytest.fixture
def toy_package(tmp_path, monkeypatch):
    """Install a package with a method, as pip would: a folder and its entry point."""
    site = tmp_path / "site"
    (site / "toy_sound").mkdir(parents=True)
    (site / "toy_sound" / "__init__.py").write_text(TOY)
    (site / "toy_sound" / "network.py").write_text(NETWORK)
    (site / "toy_sound-1.0.dist-info").mkdir()
    (site / "toy_sound-1.0.dist-info" / "METADATA").write_text("Name: toy-sound\nVersion: 1.0\n")
    (site / "toy_sound-1.0.dist-info" / "entry_points.txt").write_text(
        "[anomalous_sound.methods]\ntoy = toy_sound:METHOD\n"
    )
    monkeypatch.syspath_prepend(site)


@pytest.mark.slow
def test_a_toy_method_is_found_trained_and_compared(toy_package, project, dcase_folder):
    (project.path / "conf" / "base" / "parameters_toy.yml").write_text(PARAMETERS)
    assert list(methods())[:2] == ["lstm", "gru"]
    assert methods()["toy"].title == "Window mean"
    audio_dir = str(dcase_folder)
    project.run("toy", audio_dir=audio_dir)
    project.run("lstm", audio_dir=audio_dir)
    project.run("compare", audio_dir=audio_dir)
    comparison = project.load("compare.comparison").set_index("method")
    assert {"toy", "lstm", "persistence"} <= set(comparison.index)
    assert comparison.parameters["toy"] == 1
    # the mean of a window, worked out by hand
    scores = project.load("toy.clip_scores").set_index("clip_id").score
    gain = float(project.load("toy.network").weights["gain"])
    frames = project.load("log_mel")
    clip_id = scores.index[0]
    scaled = project.load("scaling").scaled(frames.clip(clip_id))
    errors = [
        ((gain * scaled[start : start + 10].mean(axis=0) - scaled[start + 10]) ** 2).mean()
        for start in range(len(scaled) - 10)
    ]
    assert scores[clip_id] == pytest.approx(sum(errors) / len(errors), rel=1e-4)
    project.run("score", audio_dir=audio_dir, inference={"method": "toy"})
    judged = project.load("score.clip_scores").set_index("clip_id").score
    assert judged[clip_id] == scores[clip_id]
