import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from support import describe_network, with_bfloat16

from anomalous_sound.compute.device import make_fabric
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.errors import InputError
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.windows import index_windows
from anomalous_sound.methods.trained import TrainedNetworks, member_name
from anomalous_sound.scoring.band_errors import roots, squared
from anomalous_sound.scoring.errors import (
    ClipScorer,
    WindowScoring,
    target_offset_s,
)
from anomalous_sound.scoring.torch_runner import errors_of_clip

DESCRIPTION = describe_network(
    "lstm", {"hidden_size": 8, "num_layers": 1}, machine_ids=("00", "02")
)
SCORING = ScoringSettings(batch_size=7, accelerator="cpu", precision="32-true")


def random_network(seed):
    torch.manual_seed(seed)
    return DESCRIPTION.build().eval()


@pytest.fixture
def frames() -> Frames:
    values = (-60 * np.random.default_rng(0).random((66, 6))).astype(np.float32)
    return Frames.in_memory({"a": values[:30], "b": values[30:55], "c": values[55:]})


def windows_of(frames):
    return index_windows(frames.index, DESCRIPTION.windows, frame_s=0.032)


def scored(network, frames, machine_ids="xxx", batch_size=7):
    ids = dict(zip("abc", machine_ids, strict=True))
    scoring = SCORING.model_copy(update={"batch_size": batch_size})
    clips = WindowScoring(network, frames, windows_of(frames), ids, scoring, 2)
    return {clip.clip_id: clip for clip in clips}


def precise_errors(networks, clip, batch_size=7):
    """Before they are rounded to what is kept of them."""
    return errors_of_clip(
        networks,
        (clip - clip.min()) / (clip.max() - clip.min()),
        np.arange(len(clip) - 10),
        machine=-1,
        batch_size=batch_size,
        fabric=make_fabric("cpu", "32-true"),
    )


def assert_errors(clip, precise, expected):
    """Check the errors of one clip (members first): as computed, and as float16 roots are kept."""
    np.testing.assert_allclose(precise, expected, rtol=1e-4, atol=1e-7)
    assert np.array_equal(clip.band_errors, squared(roots(precise)))
    np.testing.assert_allclose(clip.band_errors, expected, rtol=2**-9, atol=1e-7)
    np.testing.assert_allclose(clip.window_errors, np.mean(expected, axis=-1), rtol=1e-5)


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
        precise = precise_errors([network], values, batch_size)
        assert_errors(clips[clip_id], precise, [by_hand(network, values)])
    assert [clip.band_errors.shape[1] for clip in clips.values()] == [20, 15, 1]


def test_bfloat16_moves_scores_by_less_than_two_thousandths(monkeypatch):
    rng = np.random.default_rng(1)
    values = (-60 * rng.random((12, 60, 6)) ** rng.uniform(0.2, 5)).astype(np.float32)
    frames = Frames.in_memory({f"{number}": clip for number, clip in enumerate(values)})
    trained = TrainedNetworks(random_network(0).state_dict(), DESCRIPTION)
    ids = dict.fromkeys(frames.index.clip_id, "00")

    def scores(precision):
        scoring = ScoringSettings(batch_size=512, accelerator="cpu", precision=precision)
        clips = WindowScoring(trained, frames, windows_of(frames), ids, scoring, 2)
        return np.array([clip.window_errors.mean() for clip in clips])

    with with_bfloat16(monkeypatch):
        half = scores("bf16-mixed")
    single = scores("32-true")
    assert not np.array_equal(single, half)
    np.testing.assert_allclose(half, single, rtol=2e-3)
    assert spearmanr(single, half).statistic > 0.999


def test_the_number_of_jobs_does_not_change_a_bit(frames):
    trained = TrainedNetworks(random_network(0).state_dict(), DESCRIPTION)
    windows, ids = windows_of(frames), dict.fromkeys("abc", "00")
    one, other = (
        list(WindowScoring(trained, frames, windows, ids, SCORING, jobs)) for jobs in (1, 3)
    )
    for expected, clip in zip(one, other, strict=True):
        assert clip.clip_id == expected.clip_id
        assert np.array_equal(clip.band_errors, expected.band_errors)
        assert np.array_equal(clip.window_errors, expected.window_errors)


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
        network, values = networks[machine_id], frames.clip(clip_id)
        precise = precise_errors([network], values)
        assert clips[clip_id].members == (member_name(machine_id),)
        assert_errors(clips[clip_id], precise, [by_hand(network, values)])
    with pytest.raises(InputError, match=r"machine ID '05' has no .* \(there are id_00, id_02\)"):
        scored(joined, frames, machine_ids=["00", "05", "00"])


def folds_of(machine_id=None, count=3):
    """Networks of folds with random weights, and the same joined."""
    networks = {member_name(machine_id, fold): random_network(fold) for fold in range(count)}
    return networks, {
        name: TrainedNetworks(one.state_dict(), DESCRIPTION) for name, one in networks.items()
    }


def test_each_of_several_networks_has_its_own_errors(frames):
    networks, parts = folds_of()
    joined = TrainedNetworks.join(parts)
    assert joined.members_of("05") == ("fold_0", "fold_1", "fold_2")
    clips = scored(joined, frames)
    for clip_id, values in frames.clips():
        assert clips[clip_id].members == tuple(networks)
        expected = [by_hand(one, values) for one in networks.values()]
        assert_errors(clips[clip_id], precise_errors(list(networks.values()), values), expected)


def test_a_normal_clip_is_scored_by_the_network_that_has_not_heard_it(frames):
    networks, parts = folds_of()
    joined, ids = TrainedNetworks.join(parts), dict.fromkeys("abc", "00")
    scoring = WindowScoring(joined, frames, windows_of(frames), ids, SCORING, 2, {"a": 2, "b": 0})
    clips = {clip.clip_id: clip for clip in scoring}
    assert list(clips) == list("abc")
    assert [clip.members for clip in clips.values()] == [("fold_2",), ("fold_0",), tuple(networks)]
    for clip_id, members in [("a", ["fold_2"]), ("b", ["fold_0"])]:
        values = frames.clip(clip_id)
        used = [networks[name] for name in members]
        expected = [by_hand(network, values) for network in used]
        assert_errors(clips[clip_id], precise_errors(used, values), expected)


def test_folds_of_each_machine_id():
    _, first = folds_of("00", 2)
    _, second = folds_of("02", 3)
    joined = TrainedNetworks.join(first | second)
    assert joined.members_of("00") == ("id_00/fold_0", "id_00/fold_1")
    assert joined.members_of("02", left_out_of=2) == ("id_02/fold_2",)
    assert not joined.shared


def test_one_network_judges_what_was_held_out_of_its_training():
    one = TrainedNetworks(random_network(0).state_dict(), DESCRIPTION)
    assert one.members_of("00", left_out_of=0) == ("",)


def test_one_clip_alone_has_the_same_errors_to_the_last_bit(frames):
    trained = TrainedNetworks(random_network(0).state_dict(), DESCRIPTION)
    one_of_several = scored(trained, frames)["b"]
    clip = frames.clip("b")
    errors = precise_errors([trained.build()], clip)
    alone = ClipScorer(trained, SCORING).errors("b", clip, np.arange(15), "x")
    assert alone.clip_id == "b"
    for found in (one_of_several, alone):
        assert np.array_equal(found.band_errors, squared(roots(errors)))
        assert np.array_equal(found.window_errors, errors.mean(axis=2))


def test_an_error_is_drawn_at_the_frame_it_belongs_to():
    # a window that starts at 1 s predicts the frame 10 hops of 32 ms later
    assert 1 + target_offset_s(DESCRIPTION) == pytest.approx(1.32)
