"""The figures of a report. Each function returns a matplotlib figure and writes nothing."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.evaluation.metrics import labelled_test_clips, why_no_roc
from anomalous_sound.features.frames import Frames
from anomalous_sound.reporting.drawing import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    Figure,
    blank_roc,
    decibel_label,
    draw_spectrogram,
    label_mel_axis,
    legend_beside,
    mel_position,
    new_figure,
    say,
)
from anomalous_sound.reporting.facts import (
    CorpusFacts,
    DeployedThresholds,
    corpus_title,
    strategy_name,
    threshold_name,
)
from anomalous_sound.vocabulary import Label, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_GROUPS = (
    (Split.TRAIN, Label.NORMAL, "training, normal", BLUE),
    (Split.VALIDATION, Label.NORMAL, "validation, normal (held out)", GREEN),
    (Split.TEST, Label.NORMAL, "test, normal", ORANGE),
    (Split.TEST, Label.ANOMALOUS, "test, anomalous", VERMILION),
    (Split.TEST, Label.UNKNOWN, "test, no label", GREY),
)
_LEFT_OUT = "training, normal (each by what has not heard it)"
_STRATEGY_MARKERS = ("o", "s", "^", "D", "*", "P", "v", "X", "<", ">", "p", "h", "8", "d", "H")

_CHARACTERS_A_LINE = 100  # of a label below a figure


def roc_figure(
    clip_scores: pd.DataFrame,
    thresholds: pd.DataFrame,
    metrics: Mapping[str, Any],
    corpus: CorpusFacts,
) -> Figure:
    """Draw the ROC curve of the labelled test clips with every threshold marked.

    Args:
        clip_scores: ``split, label, score``, one row per clip.
        thresholds: ``strategy, kind, per, machine_id, deployed, threshold, fpr, tpr``; a threshold
            of one machine ID is drawn where it lies among the clips of that one.
        metrics: ``auc_pooled``, ``auc_pooled_interval`` and ``confidence``.
        corpus: named in the title.
    """
    figure, axes = blank_roc(f"ROC curve of the test clips – {corpus_title(corpus)}")
    is_anomalous, scores = labelled_test_clips(clip_scores)
    if reason := why_no_roc(is_anomalous):
        say(axes, f"The ROC cannot be computed:\n{reason}.")
        return figure
    from sklearn.metrics import roc_curve

    fprs, tprs, _ = roc_curve(is_anomalous, scores)
    low, high = metrics["auc_pooled_interval"]
    axes.plot(
        fprs,
        tprs,
        color=BLUE,
        linewidth=2,
        label=f"AUC {metrics['auc_pooled']:.3f} "
        f"({metrics['confidence']:.0%} interval {low:.3f} to {high:.3f})",
    )
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="chance")
    placed = thresholds.dropna(subset=["fpr", "tpr"])
    markers = itertools.cycle(_STRATEGY_MARKERS)
    for marker, row in zip(markers, placed.to_dict("records"), strict=False):
        is_oracle, is_deployed = row["kind"] == "oracle", row["deployed"]
        axes.plot(
            row["fpr"],
            row["tpr"],
            marker,
            markersize=13 if is_deployed else 9,
            markerfacecolor="white" if is_oracle else VERMILION,
            markeredgecolor=VERMILION if is_oracle else "black",
            markeredgewidth=1.4,
            linestyle="none",
            label=f"{threshold_name(row).removeprefix('oracle ')} "
            f"[{'deployed' if is_deployed else row['kind']}]\n"
            f"   threshold {_three_digits(row['threshold'])}, FPR {row['fpr']:.2f}, "
            f"TPR {row['tpr']:.2f}",
        )
    legend_beside(
        figure, axes, "filled: from normal clips only\nhollow: oracle, chosen with test labels"
    )
    return figure


def score_figure(
    clip_scores: pd.DataFrame, deployed: DeployedThresholds, unit: str, corpus: CorpusFacts
) -> Figure:
    """Draw a histogram of the anomaly scores for each split and label, one below the other.

    Args:
        clip_scores: ``split, label, score``, one row per clip.
        deployed: the thresholds that decide; drawn where all machine IDs share one.
        unit: what an anomaly score measures.
        corpus: named in the title.
    """
    in_folds = not (clip_scores.split == Split.VALIDATION).any()
    groups = [
        (_LEFT_OUT if in_folds and split == Split.TRAIN else name, colour, scores)
        for split, label, name, colour in _GROUPS
        if len(
            scores := clip_scores.score[
                (clip_scores.split == split) & (clip_scores.label == label)
            ].to_numpy()
        )
    ]
    threshold = deployed.shared
    figure = new_figure(8, 1.2 + 1.3 * len(groups))
    axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    bins = np.histogram_bin_edges(clip_scores.score.to_numpy(), bins=40).tolist()
    for panel, (name, colour, scores) in zip(axes, groups, strict=True):
        panel.hist(scores, bins=bins, color=colour)
        panel.set_ylabel("clips")
        title = f"{name}: {len(scores)} clips"
        if threshold is not None:
            panel.axvline(threshold, color="black", linestyle="--", linewidth=1.2)
            title += f", {np.mean(scores >= threshold):.0%} at or above the threshold"
        panel.set_title(title, loc="left", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
        panel.yaxis.get_major_locator().set_params(integer=True)
    axes[-1].set_xlabel(textwrap.fill(f"anomaly score ({unit})", _CHARACTERS_A_LINE))
    strategy = f"{strategy_name(deployed.strategy)}, normal-only"
    line = (
        f"each machine ID has its own deployed threshold ({strategy})"
        if threshold is None
        else f"dashed: deployed threshold {threshold:.3g} ({strategy})"
    )
    figure.suptitle(f"Anomaly scores – {corpus_title(corpus)}\n{line}", fontsize=11)
    return figure


def history_figure(history: pd.DataFrame, corpus: CorpusFacts) -> Figure:
    """Draw training and validation loss over the epochs.

    Args:
        history: ``epoch, training_loss, validation_loss``, one row per epoch.
        corpus: named in the title.
    """
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    axes.plot(history.epoch, history.training_loss, "o-", color=BLUE, label="training clips")
    axes.plot(
        history.epoch, history.validation_loss, "s-", color=GREEN, label="normal clips left out"
    )
    axes.set(
        title=f"Training history – {corpus_title(corpus)}",
        xlabel="epoch",
        ylabel="mean squared error of scaled log-mel values",
        yscale="log",
    )
    axes.locator_params(axis="x", integer=True)
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False)
    return figure


def timeline_figure(
    frames: Frames,
    errors: pd.DataFrame,
    maps: Mapping[str, np.ndarray],
    clips: pd.DataFrame,
    marks: pd.DataFrame,
    features: FeatureSettings,
    corpus: CorpusFacts,
) -> Figure:
    """Draw when and at which frequencies clips deviate from normal, one column per clip.

    From top to bottom, on one time axis: the map of deviations, the spectrogram, the window errors.
    The time segments and the mel bands that contribute most are marked.

    Args:
        frames: log-mel frames of all clips, dB.
        errors: ``clip_id, time_s, error``, one row per window.
        maps: for each clip drawn, windows × mel bands, in standard deviations above normal.
        clips: ``clip_id, split, label, score`` of the clips to draw.
        marks: ``clip_id, axis, start, end``: what contributes most, in s or Hz.
        features: how the frames were computed.
        corpus: named in the title.
    """
    count = len(clips)
    figure = new_figure(max(6 * count, 8), 8)
    axes = figure.subplots(
        3, count, sharex="col", sharey="row", squeeze=False, height_ratios=(3, 3, 2)
    )
    for column, clip in enumerate(clips.to_dict("records")):
        clip_id = clip["clip_id"]
        deviations, spectrogram, timeline = axes[:, column]
        of_clip = errors[errors.clip_id == clip_id]
        image = draw_spectrogram(spectrogram, frames.mean_clip(clip_id), features)
        heat = _draw_deviations(deviations, maps[clip_id], of_clip.time_s.to_numpy(), features)
        deviations.set_title(
            f"{clip_id}\n"
            f"{clip['split']} clip, label {clip['label']}, anomaly score {clip['score']:.3g}",
            fontsize=10,
        )
        for mark in marks[marks.clip_id == clip_id].to_dict("records"):
            start, end = mark["start"], mark["end"]
            if mark["axis"] == "time":
                for panel in (deviations, spectrogram, timeline):
                    panel.axvspan(start, end, fill=False, edgecolor=GREEN, linewidth=1.2)
            else:
                position = mel_position((start + end) / 2, features)
                for panel in (deviations, spectrogram):
                    at_the_edge = panel.get_yaxis_transform()
                    panel.plot(0.004, position, ">", color=GREEN, transform=at_the_edge)
        timeline.plot(of_clip.time_s, of_clip.error, color=VERMILION, linewidth=1)
        timeline.axhline(of_clip.error.mean(), color="black", linewidth=1, linestyle="--")
        timeline.set_xlabel("time in the clip (s)")
        timeline.grid(alpha=0.3)
    axes[0, 0].set_ylabel("frequency (Hz)")
    axes[1, 0].set_ylabel("frequency (Hz)")
    axes[2, 0].set_ylim(bottom=0)
    axes[2, 0].set_ylabel("window error\n(dashed: mean of the clip)")
    figure.colorbar(heat, ax=axes[0, :], label="error, std. dev. above normal", pad=0.01)
    figure.colorbar(image, ax=axes[1, :], label=decibel_label(features), pad=0.01)
    figure.suptitle(
        f"Deviation from normal in time and frequency – {corpus_title(corpus)}\n"
        "green: the time segments and mel bands that contribute most",
        fontsize=12,
    )
    return figure


def _draw_deviations(
    axes: Axes, deviations: np.ndarray, times_s: np.ndarray, features: FeatureSettings
) -> AxesImage:
    """Draw windows × mel bands where they lie in the clip."""
    half = features.frame_s / 2
    image = axes.imshow(
        deviations.T,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        vmin=-4,
        vmax=4,
        extent=(times_s[0] - half, times_s[-1] + half, -0.5, deviations.shape[1] - 0.5),
    )
    label_mel_axis(axes, features)
    return image


def _three_digits(value: float) -> str:
    """Write a number; what is nothing but rounding is 0.

    >>> _three_digits(-2.2e-17), _three_digits(0.0005114)
    ('0', '0.000511')
    """
    return f"{round(value, 9) + 0.0:.3g}"
