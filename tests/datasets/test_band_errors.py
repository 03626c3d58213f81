import numpy as np
import pytest
from kedro.io import DatasetError

from anomalous_sound.datasets import BandErrorsDataset
from anomalous_sound.scoring.band_errors import ClipErrors


@pytest.fixture
def dataset(tmp_path) -> BandErrorsDataset:
    return BandErrorsDataset(path=str(tmp_path / "band_errors"))


@pytest.fixture
def clips() -> list[ClipErrors]:
    rng = np.random.default_rng(0)
    errors = {
        name: (10 ** rng.uniform(-9, 1, (windows, 8))).astype(np.float32)
        for name, windows in (("a", 303), ("b", 1), ("c", 40))
    }
    return [ClipErrors(name, e, e.mean(axis=1), 0.25) for name, e in errors.items()]


def test_errors_come_back_clip_by_clip(dataset, clips):
    dataset.save(clips)
    errors = dataset.load()
    assert errors.index.clip_id.tolist() == ["a", "b", "c"]
    assert errors.index.seconds.sum() == 0.75
    for clip, loaded in zip(clips, errors, strict=True):
        assert loaded.clip_id == clip.clip_id
        band_errors = loaded.band_errors
        assert band_errors.dtype == np.float32
        # half a float16 step of the root is 2^-11 of it: twice that of its square
        np.testing.assert_allclose(band_errors, clip.band_errors, rtol=2.02 * 2**-11, atol=1e-12)


def test_window_errors_are_kept_exactly(dataset, clips):
    dataset.save(clips)
    expected = np.concatenate([clip.band_errors.mean(axis=1) for clip in clips])
    np.testing.assert_array_equal(dataset.load().window_errors, expected)


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
