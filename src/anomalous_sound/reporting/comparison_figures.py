"""The figures of a comparison of methods. Each function returns a figure and writes nothing."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anomalous_sound.evaluation.metrics import labelled_test_clips, why_no_roc
from anomalous_sound.reporting.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    Figure,
    blank_roc,
    legend_beside,
    new_figure,
    say,
)
from anomalous_sound.reporting.facts import CorpusFacts, corpus_title, machine_id_name
from anomalous_sound.vocabulary import Label, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = (BLUE, VERMILION, GREEN, ORANGE, "#CC79A7", "#56B4E9", "black", GREY)
_PAIRS_IN_A_ROW = 3


def roc_figure(
    scores: Mapping[str, pd.DataFrame], comparison: pd.DataFrame, corpus: CorpusFacts
) -> Figure:
    """Draw the ROC curves of all methods over the same test clips.

    Args:
        scores: for each method ``split, label, score``, one row per clip.
        comparison: ``method, kind`` and, where they could be computed, AUC and its interval.
        corpus: named in the title.
    """
    from sklearn.metrics import roc_curve

    figure, axes = blank_roc(f"ROC curves of all methods – {corpus_title(corpus)}")
    for colour, row in zip(itertools.cycle(_COLOURS), comparison.to_dict("records"), strict=False):
        is_anomalous, values = labelled_test_clips(scores[row["method"]])
        if reason := why_no_roc(is_anomalous):
            say(axes, f"The ROC cannot be computed:\n{reason}.")
            return figure
        fprs, tprs, _ = roc_curve(is_anomalous, values)
        interval = f"{row['auc_pooled_low']:.3f} to {row['auc_pooled_high']:.3f}"
        axes.plot(
            fprs,
            tprs,
            color=colour,
            linewidth=2 if row["kind"] != "no training" else 1.2,
            linestyle="-" if row["kind"] != "no training" else "--",
            label=f"{row['method']}: AUC {row['auc_pooled']:.3f}\n   ({interval})",
        )
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="chance")
    legend_beside(figure, axes, "in brackets: bootstrap interval\ndashed: no training")
    return figure


def auc_figure(comparison: pd.DataFrame, corpus: CorpusFacts, confidence: float) -> Figure:
    """Draw the pooled AUC of each method with its interval, and its AUC for each machine ID.

    Args:
        comparison: one row per method.
        corpus: named in the title.
        confidence: of the intervals.
    """
    figure = new_figure(8.5, 1.6 + 0.55 * len(comparison))
    axes = figure.subplots()
    axes.set_title(f"AUC of each method – {corpus_title(corpus)}")
    if "auc_pooled" not in comparison:
        say(axes, "No AUC can be computed: it needs normal and anomalous test clips.")
        return figure
    rows = np.arange(len(comparison))[::-1]
    pooled = comparison.auc_pooled
    reach = [pooled - comparison.auc_pooled_low, comparison.auc_pooled_high - pooled]
    axes.errorbar(
        pooled,
        rows,
        xerr=np.array(reach),
        fmt="o",
        color=BLUE,
        capsize=4,
        label=f"all clips, {confidence:.0%} interval",
    )
    columns = [name for name in comparison.columns if name.startswith("auc_id_")]
    for marker, name in zip(itertools.cycle("xs^Dv*"), columns, strict=False):
        machine_id = machine_id_name(name.removeprefix("auc_id_"))
        axes.plot(
            comparison[name].astype(float),
            rows - 0.22,
            marker,
            color=ORANGE,
            markersize=6,
            label=f"machine ID {machine_id}",
        )
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
    axes.set_yticks(rows, comparison.method)
    axes.set_ylim(-0.7, len(comparison) - 0.3)
    axes.set_xlabel("AUC (dotted: chance)")
    axes.grid(alpha=0.3, axis="x")
    legend_beside(figure, axes)
    return figure


def agreement_figure(
    scores: Mapping[str, pd.DataFrame],
    thresholds: Mapping[str, Mapping[str, float]],
    corpus: CorpusFacts,
) -> Figure:
    """Draw the scores of each method against another's, clip by clip, over the test clips.

    Args:
        scores: for each method ``clip_id, split, label, score``, one row per clip.
        thresholds: the deployed threshold of each method and machine ID.
        corpus: named in the title.
    """
    pairs = list(itertools.combinations(scores, 2))
    columns = min(max(len(pairs), 1), _PAIRS_IN_A_ROW)
    rows = max(-(-len(pairs) // columns), 1)
    figure = new_figure(max(1.2 + 4.3 * columns, 7), 1 + 4 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for empty in panels[max(len(pairs), 1) :]:
        empty.remove()
    figure.suptitle(
        f"Agreement of the methods – {corpus_title(corpus)}\n"
        "test clips; dashed: deployed thresholds\n"
        "in the upper left and lower right, the methods decide differently",
        fontsize=11,
    )
    if not pairs:
        say(panels[0], "At least two methods are needed; only one has been run.")
        return figure
    for axes, (method, other) in zip(panels, pairs, strict=False):
        _draw_pair(axes, scores[method], scores[other])
        for value in set(thresholds[method].values()):
            axes.axvline(value, color="black", linestyle="--", linewidth=1)
        for value in set(thresholds[other].values()):
            axes.axhline(value, color="black", linestyle="--", linewidth=1)
        axes.set(xlabel=f"anomaly score, {method}", ylabel=f"anomaly score, {other}")
        axes.ticklabel_format(style="sci", scilimits=(-2, 2))
        axes.grid(alpha=0.3)
    panels[0].legend(frameon=False, loc="best", fontsize=9)
    return figure


def _draw_pair(axes: Axes, one: pd.DataFrame, other: pd.DataFrame) -> None:
    both = one.merge(other[["clip_id", "score"]], on="clip_id", suffixes=("", "_other"))
    test = both[both.split == Split.TEST]
    for label, colour, marker in ((Label.NORMAL, BLUE, "o"), (Label.ANOMALOUS, VERMILION, "^")):
        group = test[test.label == label]
        axes.scatter(
            group.score,
            group.score_other,
            s=22,
            color=colour,
            marker=marker,
            alpha=0.7,
            label=label,
        )
    unknown = test[~test.label.isin([Label.NORMAL, Label.ANOMALOUS])]
    if len(unknown):
        axes.scatter(unknown.score, unknown.score_other, s=22, color=GREY, label="no label")
