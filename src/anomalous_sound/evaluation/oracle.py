"""Oracle thresholds: read off the test labels, to show what a threshold could reach at best.

Nothing that decides may import this module.
"""

from __future__ import annotations

import numpy as np

ORACLE_STRATEGIES = ("oracle_nearest_corner", "oracle_given_tpr")


def oracle_thresholds(
    is_anomalous: np.ndarray, scores: np.ndarray, *, tpr: float
) -> dict[str, float]:
    """Read thresholds off the test ROC: they have seen the labels that they are judged by.

    ``oracle_nearest_corner``: the ROC point nearest to (FPR 0, TPR 1). ``oracle_given_tpr``: the
    highest threshold, so the lowest FPR, that reaches the TPR asked for.

    Args:
        is_anomalous: labels of the test clips; both classes must be there.
        scores: their anomaly scores.
        tpr: the true-positive rate to reach, above 0 and at most 1.

    Returns:
        The threshold of each of ORACLE_STRATEGIES.
    """
    from sklearn.metrics import roc_curve

    fprs, tprs, thresholds = roc_curve(is_anomalous, scores, drop_intermediate=False)
    distance = np.hypot(fprs, 1 - tprs)
    reached = np.flatnonzero(tprs >= tpr - 1e-12)
    return {
        # the first point of a ROC is "no clip at all", at an infinite threshold; skip it
        "oracle_nearest_corner": float(thresholds[1:][np.argmin(distance[1:])]),
        "oracle_given_tpr": float(thresholds[reached[0]]),
    }
