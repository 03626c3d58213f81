import numpy as np
import pytest
from features_of_report import FEATURES, features_with
from support import corpus_settings

from anomalous_sound.corpus import extraction
from anomalous_sound.corpus.clips import list_clips
from anomalous_sound.corpus.extraction import promise_log_mel
from anomalous_sound.datasets import AudioFolderDataset
from anomalous_sound.errors import InputError
from anomalous_sound.features.log_mel import log_mel_spectrogram

SETTINGS = corpus_settings()


@pytest.fixture
def corpus(dcase_folder):
    return AudioFolderDataset(audio_dir=str(dcase_folder)).load()


@pytest.fixture
def clips(corpus):
    return list_clips(corpus, SETTINGS, FEATURES, seed=1)[0]


def test_the_frames_of_every_clip_are_promised(corpus, clips):
    promised = promise_log_mel(corpus, clips, FEATURES)
    assert list(promised) == clips.clip_id.tolist()
    clip_id, promise = next(iter(promised.items()))
    expected = log_mel_spectrogram(corpus.mono_clip(clip_id, FEATURES.audio), FEATURES)
    np.testing.assert_array_equal(promise.compute(), expected)
    assert promise.n_bands == expected.shape[1]


def test_a_key_follows_bytes_settings_and_code(corpus, clips, monkeypatch):
    def keys(features=FEATURES, clips=clips):
        return {promise.key for promise in promise_log_mel(corpus, clips, features).values()}

    assert len(keys()) == len(clips)
    assert keys() == keys()
    for changed in ({"n_fft": 1024}, {"top_db": 60.0}, {"sample_rate": 8000}, {"channel": "mean"}):
        assert not keys() & keys(features_with(**changed))
    assert not keys() & keys(clips=clips.assign(sha256=clips.sha256.str.upper()))
    before = keys()
    monkeypatch.setattr(extraction, "extraction_identity", lambda: "of other code")
    assert not before & keys()


def test_a_file_that_has_changed_meanwhile_is_told(corpus, clips, dcase_folder, write_clip):
    promised = promise_log_mel(corpus, clips, FEATURES)
    clip_id = clips.clip_id[0]
    write_clip(dcase_folder / clip_id, seed=99)
    with pytest.raises(InputError, match=r"holds other audio than before; run again"):
        promised[clip_id].compute()
