import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from support import describe_network, with_bfloat16

from anomalous_sound.compute.device import make_fabric
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames, index_windows
from anomalous_sound.methods.trained import TrainedNetworks, member_name
from anomalous_sound.scoring.band_errors import BandErrors
from anomalous_sound.scoring.errors import (
    WindowScoring,
    errors_of_clip,
    pool_errors,
    target_time_s,
)

DESCRIPTION = describe_network(
    "lstm", {"hidden_size": 8, "num_layers": 1}, machine_ids=("00", "02")
)
SCORING = ScoringSettings(batch_size=7, accelerator="cpu", precision="32-true")


def random_network(seed):
    torch.manual_seed(seed)
    return DESCRIPTION.build().eval()


INDEX = pd.DataFrame(
    {"clip_id": ["a", "b", "c"], "first_frame": [0, 30, 55], "frames": [30, 25, 11]}
)


@pytest.fixture
def frames() -> Frames:
    return Frames((-60 * np.random.default_rng(0).random((66, 6))).astype(np.float32), INDEX)


def scored(network, frames, machine_ids="xxx", batch_size=7):
    windows = index_windows(INDEX, length=10, next_frame=True, hop_length=512, sample_rate=16000)
    ids = dict(zip("abc", machine_ids, strict=True))
    scoring = SCORING.model_copy(update={"batch_size": batch_size})
    return {clip.clip_id: clip for clip in WindowScoring(network, frames, windows, ids, scoring, 2)}


def by_hand(network, clip):
    """Window by window, from the definition."""
    scaled = torch.from_numpy((clip - clip.min()) / (clip.max() - clip.min()))
    with torch.no_grad():
        expected = [
            network.expected(scaled[None, start : start + 11])[0, 0]
            for start in range(len(clip) - 10)
        ]
    return ((torch.stack(expected) - scaled[10:]) ** 2).numpy()


@pytest.mark.parametrize("batch_size", [1, 7, 20, 1000])
def test_every_window_and_band_gets_its_error(frames, batch_size):
    network = random_network(0)
    trained = TrainedNetworks(network.state_dict(), DESCRIPTION)
    clips = scored(trained, frames, batch_size=batch_size)
    assert list(clips) == ["a", "b", "c"]
    for clip_id, values in frames.clips():
        expected = by_hand(network, values)
        np.testing.assert_allclose(clips[clip_id].band_errors, expected, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(clips[clip_id].window_errors, expected.mean(axis=1), rtol=1e-5)
    assert [len(clip.band_errors) for clip in clips.values()] == [20, 15, 1]


def test_bfloat16_moves_scores_by_less_than_two_thousandths(monkeypatch):
    rng = np.random.default_rng(1)
    index = pd.DataFrame(
        {"clip_id": [f"{n}" for n in range(12)], "first_frame": np.arange(12) * 60, "frames": 60}
    )
    frames = Frames((-60 * rng.random((720, 6)) ** rng.uniform(0.2, 5)).astype(np.float32), index)
    windows = index_windows(index, length=10, next_frame=True, hop_length=512, sample_rate=16000)
    trained = TrainedNetworks(random_network(0).state_dict(), DESCRIPTION)
    ids = dict.fromkeys(index.clip_id, "00")

    def scores(precision):
        scoring = ScoringSettings(batch_size=512, accelerator="cpu", precision=precision)
        clips = WindowScoring(trained, frames, windows, ids, scoring, 2)
        return np.array([clip.window_errors.mean() for clip in clips])

    with with_bfloat16(monkeypatch):
        half = scores("bf16-mixed")
    single = scores("32-true")
    assert not np.array_equal(single, half)
    np.testing.assert_allclose(half, single, rtol=2e-3)
    assert spearmanr(single, half).statistic > 0.999


def test_the_number_of_jobs_does_not_change_a_bit(frames):
    trained = TrainedNetworks(random_network(0).state_dict(), DESCRIPTION)
    windows = index_windows(INDEX, length=10, next_frame=True, hop_length=512, sample_rate=16000)
    ids = dict.fromkeys("abc", "00")
    one, other = (
        list(WindowScoring(trained, frames, windows, ids, SCORING, jobs)) for jobs in (1, 3)
    )
    for expected, clip in zip(one, other, strict=True):
        assert clip.clip_id == expected.clip_id
        assert np.array_equal(clip.band_errors, expected.band_errors)


def test_each_machine_id_is_judged_by_its_own_network(frames):
    networks = {"00": random_network(1), "02": random_network(2)}
    joined = TrainedNetworks.join(
        {
            member_name(name): TrainedNetworks(network.state_dict(), DESCRIPTION)
            for name, network in networks.items()
        }
    )
    clips = scored(joined, frames, machine_ids=["00", "02", "00"])
    for clip_id, machine_id in zip("abc", ["00", "02", "00"], strict=True):
        expected = by_hand(networks[machine_id], frames.clip(clip_id))
        np.testing.assert_allclose(clips[clip_id].band_errors, expected, rtol=1e-4, atol=1e-7)
    with pytest.raises(InputError, match=r"machine ID '05' has no .* \(there are id_00, id_02\)"):
        scored(joined, frames, machine_ids=["00", "05", "00"])


def test_several_networks_are_averaged(frames):
    networks = {f"seed_{seed}": random_network(seed) for seed in range(3)}
    joined = TrainedNetworks.join(
        {name: TrainedNetworks(one.state_dict(), DESCRIPTION) for name, one in networks.items()}
    )
    assert joined.members_of("05") == ("seed_0", "seed_1", "seed_2")
    clips = scored(joined, frames)
    for clip_id, values in frames.clips():
        expected = np.mean([by_hand(one, values) for one in networks.values()], axis=0)
        np.testing.assert_allclose(clips[clip_id].band_errors, expected, rtol=1e-4, atol=1e-7)


def test_one_clip_alone_has_the_same_errors_to_the_last_bit(frames):
    trained = TrainedNetworks(random_network(0).state_dict(), DESCRIPTION)
    clip = frames.clip("b")
    errors = errors_of_clip(
        [trained.build()],
        (clip - clip.min()) / (clip.max() - clip.min()),
        np.arange(15),
        machine=-1,
        batch_size=7,
        fabric=make_fabric("cpu", "32-true"),
    )
    assert np.array_equal(errors, scored(trained, frames)["b"].band_errors)


def errors_of(*clips):
    windows = [len(clip) for clip in clips]
    index = pd.DataFrame({"clip_id": list("ab")[: len(clips)], "windows": windows})
    index["first_window"] = index.windows.cumsum() - index.windows
    index["seconds"] = 0.1
    everything = np.concatenate(clips).astype(np.float32)
    return BandErrors(np.sqrt(everything).astype(np.float16), everything.mean(axis=1), index)


SCORE = {"pooling": "maximum", "percentile": 50.0, "decay": 0.5, "whitening": "none"}


def test_without_whitening_window_errors_are_pooled():
    errors = errors_of([[1, 3], [4, 2], [2, 2]], [[9, 1]])
    pooled = pool_errors(errors, SCORE)
    assert pooled.columns.tolist() == ["clip_id", "window"]
    assert pooled.clip_id.tolist() == ["a", "b"]
    assert pooled.window.tolist() == [3, 5]


def test_with_whitening_each_band_is_pooled():
    errors = errors_of([[1, 4], [4, 1], [1, 1]], [[9, 1]])
    pooled = pool_errors(errors, SCORE | {"whitening": "band"})
    assert pooled.columns.tolist() == ["clip_id", "band_0", "band_1"]
    assert pooled[["band_0", "band_1"]].to_numpy().tolist() == [[4, 4], [9, 1]]


def test_an_error_is_drawn_at_the_frame_it_belongs_to():
    # a window that starts at 1 s predicts the frame 10 hops of 32 ms later
    times = target_time_s(np.array([1.0]), DESCRIPTION)
    assert times[0] == pytest.approx(1.32)
