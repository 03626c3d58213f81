"""The plain way of the benchmarks does the same job as the project; no times are asserted."""

import numpy as np
import pytest

from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.scoring.errors import WindowScoring
from benchmarks.corpora import Corpus
from benchmarks.harness import CEILING, OURS, PLAIN, Row, compared, in_turns, table
from benchmarks.plain.features import log_mel
from benchmarks.plain.scoring import score_clip
from benchmarks.plain.training import MODELS
from benchmarks.stages.features import promised_log_mel
from benchmarks.stages.networks import untrained

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:audioread")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    return Corpus(tmp_path_factory.mktemp("benchmarks"), clips=8)


def test_the_plain_features_are_ours(corpus):
    file, ours = corpus.files[0], promised_log_mel(corpus)[0]
    np.testing.assert_allclose(log_mel(file), ours(), atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_the_plain_scores_are_ours(corpus, model):
    network = untrained(corpus, model)
    plain = MODELS[model]()
    plain.load_state_dict(network.weights)
    expected = [score_clip(plain, clip) for clip in corpus.scaled_clips("test")]
    windows = corpus.windows_of("test")
    machine_ids = dict.fromkeys(corpus.clip_table.clip_id, "00")
    settings = ScoringSettings(batch_size=512, accelerator="cpu", precision="32-true")
    scoring = WindowScoring(network, corpus.frames, windows, machine_ids, settings, jobs=2)
    actual = [clip.window_errors.mean() for clip in scoring]
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_ways_take_turns_and_ratios_are_of_one_turn():
    order = []
    seconds = in_turns({name: lambda n=name: order.append(n) for name in (PLAIN, OURS)}, 2)
    assert order == [PLAIN, OURS] * 3
    assert {name: len(times) for name, times in seconds.items()} == {PLAIN: 2, OURS: 2}
    row = compared("s", "w", {PLAIN: [2.0, 9.0, 8.0], OURS: [1.0, 3.0, 2.0]}, work=6, unit="clips")
    assert row.ratios == [2, 3, 4]
    assert "| 0.75 clips/s | 3 clips/s | ×3.00 (2.00 to 4.00) | – |" in table([row])
    assert CEILING not in (PLAIN, OURS)
    assert "| – | 25% |" in table([Row("s", "w", "–", "–", [], 0.25)])
