"""Bootstrap intervals of averaged AUCs, against brute force and closed forms."""

import numpy as np
import pandas as pd
import pytest

from anomalous_sound.evaluation.metrics import auc
from experiments.intervals import ResampledCorpora, draw_counts, interval, resampled_auc

ANOMALOUS, NORMAL = 5, 9  # clips; the normal ones are tested in three folds


def tested():
    """Three folds of one corpus; the anomalous clips are in each of them."""
    rows = []
    for fold in range(3):
        rows += [(f"faulty {number}", fold, True) for number in range(ANOMALOUS)]
        rows += [(f"normal {number}", fold, False) for number in range(fold, NORMAL, 3)]
    return pd.DataFrame(rows, columns=["clip_id", "fold", "is_anomalous"])


def test_a_clip_is_drawn_as_often_in_every_fold_that_tests_it():
    counts = draw_counts(tested(), 200, seed=0)
    assert counts.index.is_unique
    assert len(counts) == ANOMALOUS + NORMAL
    assert (counts["all"] == 1).all()
    for _, fold in tested().groupby("fold"):
        drawn = counts.loc[fold.clip_id]
        is_anomalous = fold.is_anomalous.to_numpy()
        # every resample of a fold has as many of each label
        assert (drawn[is_anomalous].sum() == ANOMALOUS).all()
        assert (drawn[~is_anomalous].sum() == NORMAL / 3).all()


def test_resampled_auc_is_that_of_the_clips_written_out():
    rng = np.random.default_rng(0)
    is_anomalous = np.arange(14) < 5
    scores = rng.integers(0, 6, 14).astype(float)  # with ties
    counts = rng.integers(1, 4, (14, 20))
    found = resampled_auc(is_anomalous, scores, counts)
    for resample in range(20):
        clips = np.repeat(np.arange(14), counts[:, resample])
        assert found[resample] == pytest.approx(auc(is_anomalous[clips], scores[clips]))


def test_the_interval_of_one_anomalous_clip_is_binomial():
    """The AUC is the share of normal clips below it: of 40, drawn anew, 30 are on average."""
    is_anomalous = np.array([True] + [False] * 40)
    table = pd.DataFrame(
        {
            "clip_id": [str(number) for number in range(41)],
            "fold": 0,
            "is_anomalous": is_anomalous,
            "score": np.array([29.5, *range(40)]),
        }
    )
    corpora = ResampledCorpora({("a", "lstm", "4"): table}, 20_000)
    value, low, high = interval(corpora.of("a", "lstm", "4", "score"))
    assert value == 30 / 40
    from scipy.stats import binom

    expected = binom(40, 30 / 40).ppf([0.025, 0.975]) / 40
    np.testing.assert_allclose([low, high], expected, atol=1 / 40)
    spread = corpora.of("a", "lstm", "4", "score")[1:].std()
    assert spread == pytest.approx(np.sqrt(0.75 * 0.25 / 40), rel=0.03)


def of_corpora(rng):
    """Two corpora of one machine type and one of another, two methods, two scores."""
    tables = {}
    for corpus in "abc":
        for method in ("lstm", "gru"):
            table = tested()
            faulty = table.is_anomalous.to_numpy()
            tables[corpus, method, "4"] = table.assign(
                good=rng.normal(size=len(table)) + 1.5 * faulty, bad=rng.normal(size=len(table))
            )
    return tables, {"fan": ["a", "b"], "pump": ["c"]}


def test_means_are_over_folds_then_corpora_then_machine_types_then_methods():
    tables, types = of_corpora(np.random.default_rng(1))

    def of(corpus, method):
        folds = tables[corpus, method, "4"].groupby("fold")
        return np.mean([auc(fold.is_anomalous.to_numpy(), fold.good) for _, fold in folds])

    expected = np.mean(
        [
            (((of("a", method) + of("b", method)) / 2) + of("c", method)) / 2
            for method in ("lstm", "gru")
        ]
    )
    corpora = ResampledCorpora(tables, 500)
    found = corpora.mean("good", methods=("lstm", "gru"), networks="4", machine_types=types)
    value, low, high = interval(found)
    assert value == pytest.approx(expected)
    assert low < value < high


def test_differences_are_paired():
    """A score that is another by a constant differs by nothing in any resample."""
    tables, types = of_corpora(np.random.default_rng(2))
    shifted = {key: table.assign(bad=table.good + 3) for key, table in tables.items()}
    corpora = ResampledCorpora(shifted, 100)
    good, same = (
        corpora.mean(score, methods=["lstm"], networks="4", machine_types=types)
        for score in ("good", "bad")
    )
    assert (good == same).all()
    assert good[1:].std() > 0


def test_a_perfect_score_has_an_interval_of_one_value():
    table = tested().assign(score=lambda of: of.is_anomalous * 1.0)
    corpora = ResampledCorpora({("a", "lstm", "4"): table}, 100)
    assert interval(corpora.of("a", "lstm", "4", "score")) == (1, 1, 1)
