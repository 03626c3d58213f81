import numpy as np
import pytest
import torch
from support import describe_network

from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import index_windows
from anomalous_sound.methods.network import Batch, ClipInput
from anomalous_sound.methods.trained import TrainedNetworks
from anomalous_sound.scoring.errors import WindowScoring

SIZES = {"hidden_size": 5, "num_layers": 2}
DESCRIPTION = describe_network("lstm_dense", SIZES)
SCORING = ScoringSettings(batch_size=7, accelerator="cpu", precision="32-true")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return DESCRIPTION.build().eval()


def test_every_frame_after_the_tenth_is_predicted_from_all_before_it(network):
    """Frame by frame, the state carried along by hand."""
    frames = torch.rand(2, 25, 6)
    expected = network.expected(frames)
    assert expected.shape == (2, 15, 6)
    state = None
    for number in range(24):
        output, state = network.lstm(frames[:, number : number + 1], state)
        if number >= 9:
            torch.testing.assert_close(expected[:, number - 9], network.output(output)[:, 0])
    assert torch.equal(network.target(frames), frames[:, 10:])


def test_the_first_prediction_is_the_windowed_one(network):
    """After ten frames both have heard the same."""
    windowed = describe_network("lstm", SIZES).build().eval()
    windowed.load_state_dict(network.state_dict())
    frames = torch.rand(3, 25, 6)
    torch.testing.assert_close(network.expected(frames)[:, :1], windowed.expected(frames[:, :11]))
    later = windowed.expected(frames[:, 1:12])
    assert not torch.allclose(network.expected(frames)[:, 1:2], later)


def test_the_loss_is_over_all_predicted_frames(network):
    frames = torch.rand(4, 25, 6)
    expected = (network.expected(frames) - frames[:, 10:]).square().mean()
    torch.testing.assert_close(network(Batch(frames, torch.zeros(4))).mean(), expected)


def test_a_clip_is_scored_in_one_pass_with_an_error_for_every_window(network):
    values = np.random.default_rng(0).random((51, 6)).astype(np.float32)
    frames = Frames.in_memory({"a": values[:40], "b": values[40:]})
    windows = index_windows(frames.index, DESCRIPTION.windows, frame_s=0.032)
    trained = TrainedNetworks(network.state_dict(), DESCRIPTION)
    clips = list(WindowScoring(trained, frames, windows, {"a": "00", "b": "00"}, SCORING, 2))
    assert [clip.band_errors.shape[1] for clip in clips] == [30, 1]
    assert windows.clip_id.value_counts().to_dict() == {"a": 30, "b": 1}
    for clip in clips:
        own = frames.clip(clip.clip_id)
        scaled = torch.from_numpy((own - own.min()) / (own.max() - own.min()))[None]
        with torch.no_grad():
            expected = (network.expected(scaled) - scaled[:, 10:]).square()[0]
        np.testing.assert_allclose(clip.window_errors[0], expected.mean(dim=1), rtol=1e-5)
        # kept as float16 roots
        np.testing.assert_allclose(clip.band_errors[0], expected, rtol=2**-9, atol=1e-7)
        scaled_clip = ClipInput(scaled[0], torch.arange(len(own) - 10), machine=0, batch_size=7)
        with torch.no_grad():
            np.testing.assert_allclose(network.errors(scaled_clip), expected, rtol=1e-5)
