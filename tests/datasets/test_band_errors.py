from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from anomalous_sound.datasets import BandErrorsDataset
from anomalous_sound.scoring.band_errors import BandErrors, ClipErrors, ErrorStores
from anomalous_sound.storage.array_store import ArrayStore


@pytest.fixture
def dataset(tmp_path) -> BandErrorsDataset:
    return BandErrorsDataset(filepath=str(tmp_path / "band_errors"))


@pytest.fixture
def computed() -> dict[str, np.ndarray]:
    """Squared errors as a network gives them."""
    rng = np.random.default_rng(0)
    return {
        name: (10 ** rng.uniform(-9, 1, (members, windows, 8))).astype(np.float32)
        for name, members, windows in (("train/a.wav", 1, 303), ("b", 3, 1), ("../c", 2, 40))
    }


@pytest.fixture
def clips(computed) -> list[ClipErrors]:
    return [
        ClipErrors.kept(name, [f"fold_{number}" for number in range(len(errors))], errors, 0.25)
        for name, errors in computed.items()
    ]


def test_errors_come_back_clip_by_clip(dataset, clips, computed):
    assert not dataset.exists()
    dataset.save(clips)
    assert dataset.exists()
    errors = dataset.load()
    assert errors.index.clip_id.tolist() == list(computed)
    assert errors.index.first_window.tolist() == [0, 303, 306]
    assert errors.index.seconds.sum() == 0.75
    for loaded, (name, of_clip) in zip(errors, computed.items(), strict=True):
        assert loaded.clip_id == name
        assert loaded.members == tuple(f"fold_{number}" for number in range(len(of_clip)))
        band_errors = loaded.band_errors
        assert band_errors.dtype == np.float32
        # half a float16 step of the root is 2^-11 of it: twice that of its square
        np.testing.assert_allclose(band_errors, of_clip, rtol=2.02 * 2**-11, atol=1e-12)


def test_window_errors_are_kept_exactly(dataset, clips, computed):
    dataset.save(clips)
    for loaded, of_clip in zip(dataset.load(), computed.values(), strict=True):
        np.testing.assert_array_equal(loaded.window_errors, of_clip.mean(axis=2))


def test_the_mean_over_members_of_one_member_is_its_errors(dataset, clips, computed):
    dataset.save(clips)
    mean = dataset.load().mean_window_errors()
    assert len(mean) == 303 + 1 + 40
    np.testing.assert_array_equal(mean[:303], computed["train/a.wav"].mean(axis=2)[0])
    np.testing.assert_allclose(mean[304:], computed["../c"].mean(axis=(0, 2)), rtol=1e-6)


@pytest.mark.parametrize("saved", [0, 1, 2])
def test_saving_and_loading_changes_nothing(dataset, clips, saved):
    """Whoever uses errors at once gets the numbers of who reads them, or saves them again."""
    errors = BandErrors.in_memory(clips)
    for _ in range(saved):
        dataset.save(errors)
        errors = dataset.load()
    for clip, again in zip(clips, errors, strict=True):
        assert (again.clip_id, again.seconds) == (clip.clip_id, clip.seconds)
        for name in ("band_errors", "window_errors"):
            before, after = getattr(clip, name), getattr(again, name)
            assert after.dtype == before.dtype == np.float32
            assert after.tobytes() == before.tobytes()
        assert errors.clip(clip.clip_id).tobytes() == clip.band_errors.tobytes()


def test_every_float16_root_comes_back():
    """All that a root can be: the smallest, the largest, and what is beyond."""
    roots = np.arange(2**15, dtype=np.uint16).view(np.float16).astype(np.float32)
    of_clip = np.square(roots[~np.isnan(roots)])[None, None]
    kept = ClipErrors.kept("a", [""], of_clip, 0.0)
    np.testing.assert_array_equal(kept.band_errors, of_clip)


def test_one_clip_is_asked_for_at_a_time(dataset, clips):
    class Promised:
        asked = 0

        def __iter__(self):
            for clip in clips:
                self.asked += 1
                yield clip

    promised = Promised()
    dataset.save(promised)
    assert promised.asked == 3


def test_a_failed_writing_leaves_what_was_there(dataset, clips):
    dataset.save(clips)

    def failing():
        yield clips[0]
        raise OSError("disk full")

    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(failing())
    assert len(dataset.load().index) == 3


@pytest.mark.parametrize("of", ["roots", "windows"])
def test_a_clip_whose_errors_were_damaged_is_scored_again(tmp_path, of):
    stores = ErrorStores(ArrayStore(tmp_path / "roots"), ArrayStore(tmp_path / "windows"))
    errors = np.full((2, 30, 8), 0.25, np.float32)
    clip = ClipErrors.kept("a.wav", ["fold_0", "fold_1"], errors, seconds=0.5)
    stores.write_clip(clip, "key")
    assert stores.read_clip("a.wav", clip.members, "key").seconds == 0.5
    path = Path(getattr(stores, of).path("key"))
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    assert stores.read_clip("a.wav", clip.members, "key") is None
