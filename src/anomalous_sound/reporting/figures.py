"""The figures of a report. Each function returns a matplotlib Figure and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anomalous_sound.decision.thresholds import NORMAL_ONLY
from anomalous_sound.evaluation.metrics import labelled_test_clips, why_no_roc
from anomalous_sound.features.frames import Frames
from anomalous_sound.features.log_mel import mel_band_centres_hz
from anomalous_sound.vocabulary import Label, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Figure = Any  # Kedro reads the hints of nodes; the class is imported when one is drawn

# Okabe & Ito's palette, which colour-blind readers can tell apart
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"

_GROUPS = (
    (Split.TRAIN, Label.NORMAL, "training, normal", BLUE),
    (Split.VALIDATION, Label.NORMAL, "validation, normal (held out)", GREEN),
    (Split.TEST, Label.NORMAL, "test, normal", ORANGE),
    (Split.TEST, Label.ANOMALOUS, "test, anomalous", VERMILION),
    (Split.TEST, "unknown", "test, no label", GREY),
)
_STRATEGY_MARKERS = ("o", "s", "^", "D", "*", "P", "v", "X", "<")
_TICK_HZ = (100, 250, 500, 1000, 2000, 4000, 8000, 16000)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, inches; matplotlib is imported when the first one is drawn."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def corpus_title(corpus: Mapping[str, Any]) -> str:
    """Name the corpus in a title; simulated sound is always called so."""
    name = corpus["name"]
    return f"{name} (simulated data)" if corpus["simulated"] else name


def strategy_name(strategy: str) -> str:
    """Turn the name of a threshold strategy into words."""
    return strategy.replace("_", " ").replace("plus", "+").replace("std", "std. dev.")


def roc_figure(
    clip_scores: pd.DataFrame,
    thresholds: pd.DataFrame,
    metrics: Mapping[str, Any],
    deployed: str,
) -> Figure:
    """Draw the ROC curve over the labelled test clips with every threshold marked.

    Args:
        clip_scores: ``split, label, score`` a clip.
        thresholds: the table of thresholds.
        metrics: ``auc_pooled``, its interval and ``corpus``.
        deployed: name of the deployed strategy.
    """
    figure, axes = blank_roc(f"ROC of the test clips – {corpus_title(metrics['corpus'])}")
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
    for marker, row in zip(_STRATEGY_MARKERS, placed.itertuples(), strict=False):
        normal_only = row.kind == NORMAL_ONLY
        note = "deployed" if row.strategy == deployed else row.kind
        axes.plot(
            row.fpr,
            row.tpr,
            marker,
            markersize=13 if row.strategy == deployed else 9,
            markerfacecolor=VERMILION if normal_only else "white",
            markeredgecolor="black" if normal_only else VERMILION,
            markeredgewidth=1.4,
            linestyle="none",
            label=f"{strategy_name(row.strategy).removeprefix('oracle ')} [{note}]\n"
            f"   threshold {row.threshold:.3g}, FPR {row.fpr:.2f}, TPR {row.tpr:.2f}",
        )
    legend_beside(
        figure, axes, "filled: from normal clips alone\nhollow: oracle (read off test labels)"
    )
    return figure


def blank_roc(title: str) -> tuple[Figure, Axes]:
    """Return a figure with the axes of a ROC curve."""
    figure = new_figure(9.5, 5.6)
    axes = figure.subplots()
    axes.set(
        title=title,
        xlabel="false-positive rate (normal clips called anomalous)",
        ylabel="true-positive rate (anomalous clips found)",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
    )
    axes.grid(alpha=0.3)
    return figure, axes


def legend_beside(figure: Figure, axes: Axes, title: str | None = None) -> None:
    """Put the legend of the axes to their right, where it hides nothing."""
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside right center",
        fontsize=9,
        frameon=False,
        title=title,
        title_fontsize=9,
        alignment="left",
        labelspacing=0.9,
    )


def score_figure(
    clip_scores: pd.DataFrame,
    threshold: float | None,
    deployed: str,
    unit: str,
    corpus: Mapping[str, Any],
) -> Figure:
    """Draw a histogram of the anomaly scores for each split and label, one below the other.

    Args:
        clip_scores: ``split, label, score`` a clip.
        threshold: the deployed threshold; None if each machine ID has its own.
        deployed: name of its strategy.
        unit: what a score counts.
        corpus: the corpus summary.
    """
    groups = [
        (name, colour, scores)
        for split, label, name, colour in _GROUPS
        if len(
            scores := clip_scores.score[
                (clip_scores.split == split) & (clip_scores.label == label)
            ].to_numpy()
        )
    ]
    figure = new_figure(8, 1.2 + 1.3 * len(groups))
    axes = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0]
    bins = np.histogram_bin_edges(clip_scores.score, bins=40)
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
    axes[-1].set_xlabel(f"anomaly score ({unit})")
    line = (
        f"each machine ID has a threshold of its own ({strategy_name(deployed)}, normal-only)"
        if threshold is None
        else f"dashed: deployed threshold {threshold:.3g} ({strategy_name(deployed)}, normal-only)"
    )
    figure.suptitle(f"Anomaly scores – {corpus_title(corpus)}\n{line}", fontsize=11)
    return figure


def history_figure(history: pd.DataFrame, corpus: Mapping[str, Any]) -> Figure:
    """Draw training and validation loss over the epochs.

    Args:
        history: ``epoch, training_loss, validation_loss`` an epoch.
        corpus: the corpus summary.
    """
    figure = new_figure(7, 4.2)
    axes = figure.subplots()
    axes.plot(history.epoch, history.training_loss, "o-", color=BLUE, label="training clips")
    axes.plot(
        history.epoch, history.validation_loss, "s-", color=GREEN, label="validation clips (normal)"
    )
    axes.set(
        title=f"Training history – {corpus_title(corpus)}",
        xlabel="epoch",
        ylabel="mean squared error of scaled log-mel values",
        yscale="log",
    )
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False)
    return figure


def timeline_figure(
    frames: Frames,
    errors: pd.DataFrame,
    maps: Mapping[str, np.ndarray],
    clips: pd.DataFrame,
    marks: pd.DataFrame,
    settings: Mapping[str, Any],
    corpus: Mapping[str, Any],
) -> Figure:
    """Draw when and at which frequencies clips deviate from normal, on one time axis each.

    From above: the map of deviations, the spectrogram, the window errors; the stretches of time
    and the mel bands that contribute most are marked.

    Args:
        frames: log-mel frames of all clips, dB.
        errors: ``clip_id, time_s, error`` a window.
        maps: windows × mel bands of each clip drawn, standard deviations above normal.
        clips: ``clip_id, split, label, score`` of the clips to draw, a column each.
        marks: ``clip_id, axis, start, end``: what contributes most, of test clips.
        settings: the network's settings.
        corpus: the corpus summary.
    """
    count = len(clips)
    figure = new_figure(max(6 * count, 8), 8)
    axes = figure.subplots(
        3, count, sharex="col", sharey="row", squeeze=False, height_ratios=(3, 3, 2)
    )
    for column, clip in enumerate(clips.itertuples()):
        deviations, spectrogram, timeline = axes[:, column]
        of_clip = errors[errors.clip_id == clip.clip_id]
        of_marks = marks[marks.clip_id == clip.clip_id]
        image = draw_spectrogram(spectrogram, frames.clip(clip.clip_id), settings)
        heat = _draw_deviations(deviations, maps[clip.clip_id], of_clip.time_s.to_numpy(), settings)
        deviations.set_title(
            f"{clip.clip_id}\n"
            f"{clip.split} clip, label {clip.label}, anomaly score {clip.score:.3g}",
            fontsize=10,
        )
        for mark in of_marks[of_marks.axis == "time"].itertuples():
            for panel in (deviations, spectrogram, timeline):
                panel.axvspan(mark.start, mark.end, fill=False, edgecolor=GREEN, linewidth=1.2)
        for mark in of_marks[of_marks.axis == "frequency"].itertuples():
            place = _mel_place((mark.start + mark.end) / 2, settings)
            for panel in (deviations, spectrogram):
                panel.plot(0.004, place, ">", color=GREEN, transform=panel.get_yaxis_transform())
        timeline.plot(of_clip.time_s, of_clip.error, color=VERMILION, linewidth=1)
        timeline.axhline(of_clip.error.mean(), color="black", linewidth=1, linestyle="--")
        timeline.set_xlabel("time in the clip (s)")
        timeline.grid(alpha=0.3)
    axes[0, 0].set_ylabel("frequency (Hz)")
    axes[1, 0].set_ylabel("frequency (Hz)")
    axes[2, 0].set_ylim(bottom=0)
    axes[2, 0].set_ylabel("window error\n(dashed: the clip's mean)")
    figure.colorbar(heat, ax=axes[0, :], label="error, std. dev. above normal", pad=0.01)
    figure.colorbar(image, ax=axes[1, :], label="dB below the clip's maximum", pad=0.01)
    figure.suptitle(
        f"When and where does it sound strange? – {corpus_title(corpus)}\n"
        "green: the stretches of time and the mel bands that contribute most",
        fontsize=12,
    )
    return figure


def _draw_deviations(
    axes: Axes, deviations: np.ndarray, times_s: np.ndarray, settings: Mapping[str, Any]
) -> Any:
    """Draw windows × mel bands where they lie in the clip."""
    half = settings["log_mel"]["hop_length"] / settings["audio"]["sample_rate"] / 2
    image = axes.imshow(
        deviations.T,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        vmin=-4,
        vmax=4,
        extent=(times_s[0] - half, times_s[-1] + half, -0.5, deviations.shape[1] - 0.5),
    )
    _label_frequencies(axes, settings)
    return image


def _mel_place(frequency_hz: float, settings: Mapping[str, Any]) -> float:
    """Return where a frequency lies on an axis of mel bands."""
    n_mels = settings["log_mel"]["n_mels"]
    centres = mel_band_centres_hz(n_mels, settings["audio"]["sample_rate"])
    return float(np.interp(frequency_hz, centres, np.arange(n_mels)))


def draw_spectrogram(axes: Axes, decibel: np.ndarray, settings: Mapping[str, Any]) -> Any:
    """Draw frames × mel bands with seconds and hertz on the axes."""
    frame_s = settings["log_mel"]["hop_length"] / settings["audio"]["sample_rate"]
    n_mels = settings["log_mel"]["n_mels"]
    image = axes.imshow(
        decibel.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=-settings["log_mel"]["top_db"],
        vmax=0,
        # frames are centred: frame n lies around n hops
        extent=(-frame_s / 2, (len(decibel) - 0.5) * frame_s, -0.5, n_mels - 0.5),
    )
    _label_frequencies(axes, settings)
    return image


def _label_frequencies(axes: Axes, settings: Mapping[str, Any]) -> None:
    centres = mel_band_centres_hz(settings["log_mel"]["n_mels"], settings["audio"]["sample_rate"])
    ticks = [hz for hz in _TICK_HZ if centres[0] <= hz <= centres[-1]]
    axes.set_yticks([_mel_place(hz, settings) for hz in ticks], [f"{hz:,}" for hz in ticks])


def say(axes: Axes, text: str) -> None:
    """Write in the middle of a figure why it shows nothing."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, fontsize=12)
