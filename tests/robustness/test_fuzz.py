"""No file, however damaged, ends a run or fills the memory.

``make fuzz FUZZ_COUNT=10000 FUZZ_SEED=2`` looks at more of them.
"""

import os
import resource

import numpy as np
import pandas as pd
import pytest
import soundfile
from robustness.fuzz import fuzz
from robustness.mutants import mutants
from support import AUDIO_BOUNDS, corpus_settings, noise

from anomalous_sound.configuration.features import AudioSettings, FeatureSettings, LogMelSettings
from anomalous_sound.corpus.clips import list_clips
from anomalous_sound.corpus.extraction import promise_log_mel
from anomalous_sound.datasets import AudioFolderDataset, CSVDataset
from anomalous_sound.reporting.pages import markdown_table

COUNT = int(os.environ.get("FUZZ_COUNT", "150"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
BATCH = 500
MEMORY = 3 * 2**30  # bytes; a clip of a gibibyte, resampled, is two
FEATURES = FeatureSettings(
    audio=AudioSettings(sample_rate=16000, channel=0, **AUDIO_BOUNDS),
    log_mel=LogMelSettings(n_fft=2048, hop_length=512, n_mels=128, top_db=80.0),
)


@pytest.mark.parametrize("segment_s", [None, 0.4])
@pytest.mark.parametrize("batch", range(-(-COUNT // BATCH)))
def test_clips_found_are_clips_used_and_clips_rejected(tmp_path, batch, segment_s):
    folder = tmp_path / "pump"
    folder.mkdir()
    for number in range(4):
        soundfile.write(folder / f"good{number}.wav", noise(number), 16000)
    written = 4
    for name, content in mutants(SEED + batch, min(BATCH, COUNT - batch * BATCH)):
        (folder / name).write_bytes(content)
        written += 1
    corpus = AudioFolderDataset(audio_dir=str(folder)).load()
    clips, rejected = list_clips(corpus, corpus_settings(segment_s=segment_s), FEATURES, seed=1)
    if segment_s is None:
        assert len(clips) + len(rejected) == written
    places = rejected.clip_id.str.replace(r"@\d{6}\.\d{3}$", "", regex=True)
    assert {*clips.recording, *places} == set(corpus.recordings)
    assert not set(clips.clip_id) & set(rejected.clip_id)
    assert rejected.reason.str.len().between(5, 300).all()
    for promised in promise_log_mel(corpus, clips, FEATURES).values():
        assert np.isfinite(promised.compute()).all()
    # a row a clip, also on disk and on a page
    CSVDataset(filepath=str(tmp_path / "r.csv"), save_args={"index": False}).save(rejected)
    assert pd.read_csv(tmp_path / "r.csv").clip_id.tolist() == rejected.clip_id.tolist()
    assert len(markdown_table(rejected).splitlines()) == len(rejected) + 2
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert kibibytes * 1024 < MEMORY


@pytest.mark.slow
def test_a_detector_scores_or_rejects_each(simulated_run, tmp_path):
    detector = simulated_run.load("lstm.detector")
    found = fuzz(detector, tmp_path, seed=SEED, count=60, say=lambda _: None)
    assert found.failures == []
    assert found.scored + found.rejected.total() == found.written == 60
    assert min(found.scored, found.rejected.total()) > 10
