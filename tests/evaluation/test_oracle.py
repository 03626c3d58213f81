import numpy as np
import pytest

from anomalous_sound.evaluation.oracle import oracle_thresholds


@pytest.mark.parametrize("seed", range(5))
def test_oracle_thresholds_by_trying_every_score(seed):
    rng = np.random.default_rng(seed)
    is_anomalous = rng.random(80) < 0.5
    scores = np.round(rng.normal(size=80) + 0.8 * is_anomalous, 1)
    tried = []
    for threshold in np.unique(scores):
        decided = scores >= threshold
        fpr, tpr = decided[~is_anomalous].mean(), decided[is_anomalous].mean()
        tried.append((threshold, fpr, tpr))
    found = oracle_thresholds(is_anomalous, scores, tpr=0.8)
    distance = {threshold: np.hypot(fpr, 1 - tpr) for threshold, fpr, tpr in tried}
    assert distance[found["oracle_nearest_corner"]] == pytest.approx(min(distance.values()))
    enough = max(threshold for threshold, _, tpr in tried if tpr >= 0.8)
    assert found["oracle_given_tpr"] == enough
