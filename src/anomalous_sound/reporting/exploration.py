"""Figures and page of a look at the raw sound: normal against anomalous, machine ID by machine ID.

Each figure function returns a matplotlib Figure and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anomalous_sound.features.frames import Frames
from anomalous_sound.reporting.figures import (
    BLUE,
    GREY,
    VERMILION,
    corpus_title,
    draw_spectrogram,
    new_figure,
)
from anomalous_sound.reporting.page import corpus_section, markdown_table
from anomalous_sound.vocabulary import Label, Split

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FIGURES = {
    "waveform_figure.png": "Waveforms of normal and anomalous clips",
    "spectrum_figure.png": "Frequency spectra of normal and anomalous clips",
    "spectrogram_figure.png": "Log-mel spectrograms of normal and anomalous clips",
    "average_spectrum_figure.png": "Average spectra of normal and anomalous clips",
}
WAVEFORM_POINTS = 1500  # more than a panel has pixels

_COLOURS = {Label.NORMAL: BLUE, Label.ANOMALOUS: VERMILION}
_SPLITS, _LABELS = (
    (Split.TRAIN, Split.VALIDATION, Split.TEST),
    (Label.NORMAL, Label.ANOMALOUS, Label.UNKNOWN),
)
_LOWEST_HZ = 20
_TICKS_HZ = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
_DYNAMIC_RANGE_DB = 100  # what lies further below the loudest frequency is cut off
_TITLE_CHARACTERS = 48  # a longer clip ID loses its beginning


@dataclass(frozen=True)
class ShownClips:
    """The clips that figures show.

    Attributes:
        clip_ids: the clip ID by machine ID and label.
        note: what is shown and what is not, for the titles.
    """

    clip_ids: Mapping[tuple[str, str], str]
    note: str

    @property
    def machine_ids(self) -> list[str]:
        """The machine IDs, each a row of a figure."""
        return sorted({machine_id for machine_id, _ in self.clip_ids})

    @property
    def labels(self) -> list[str]:
        """The labels, each a column of a figure."""
        return [label for label in _COLOURS if label in {label for _, label in self.clip_ids}]


def choose_clips(clips: pd.DataFrame, at_most: int) -> ShownClips:
    """Choose the first clip, by clip ID, of each machine ID and label.

    Args:
        clips: ``clip_id, machine_id, label`` a clip; those without a label are not shown.
        at_most: how many machine IDs are shown.
    """
    labelled = clips[clips.label.isin(_COLOURS)]
    machine_ids, note = _first_machine_ids(labelled.machine_id, at_most)
    chosen = labelled[labelled.machine_id.isin(machine_ids)]
    first = chosen.groupby(["machine_id", "label"]).clip_id.min()
    subject = "the first clip of each machine ID and label"
    return ShownClips(first.to_dict(), _note(subject, note, _missing_label(chosen)))


def tabulate_clips(clips: pd.DataFrame, clip_levels: pd.DataFrame) -> pd.DataFrame:
    """Sum up the clips of each machine ID, split and label.

    Args:
        clips: the table of clips.
        clip_levels: ``clip_id, rms_dbfs, peak_dbfs`` a clip.

    Returns:
        One row a machine ID, split and label: how many clips, how long (s, and minutes in all), how
        loud (dB relative to full scale), and in which sample rates (Hz) and channel counts.
    """
    table = (
        clips.merge(clip_levels, on="clip_id", validate="one_to_one")
        .assign(
            split=lambda measured: pd.Categorical(measured.split, _SPLITS, ordered=True),
            label=lambda measured: pd.Categorical(measured.label, _LABELS, ordered=True),
        )
        .groupby(["machine_id", "split", "label"], observed=True)
        .agg(
            clips=("clip_id", "size"),
            minutes=("duration_s", lambda seconds: seconds.sum() / 60),
            duration_min_s=("duration_s", "min"),
            duration_median_s=("duration_s", "median"),
            duration_max_s=("duration_s", "max"),
            rms_min_dbfs=("rms_dbfs", "min"),
            rms_median_dbfs=("rms_dbfs", "median"),
            rms_max_dbfs=("rms_dbfs", "max"),
            peak_max_dbfs=("peak_dbfs", "max"),
            sample_rates=("sample_rate", _listed),
            channels=("channels", _listed),
        )
        .reset_index()
    )
    return table.astype({"split": str, "label": str})


def waveform_figure(
    waveforms: Mapping[str, tuple[float, np.ndarray, np.ndarray]],
    shown: ShownClips,
    corpus: Mapping[str, Any],
) -> Figure:
    """Draw the waveforms; the two of a machine ID have one amplitude axis.

    Args:
        waveforms: for each shown clip ID its length (s) and envelope.
        shown: the clips.
        corpus: the corpus summary.
    """

    def draw(axes: Axes, clip_id: str, label: str) -> None:
        duration_s, low, high = waveforms[clip_id]
        time_s = (np.arange(len(low)) + 0.5) / len(low) * duration_s
        axes.fill_between(time_s, low, high, color=_COLOURS[label], linewidth=0.4)
        axes.set_xlim(0, duration_s)
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)

    figure, grid = _clip_grid(shown, draw, row_inches=1.7, sharey="row")
    _label_edges(grid, "time in the clip (s)", "amplitude\n(full scale 1)")
    figure.suptitle(_title("Waveforms", corpus, shown.note))
    return figure


def spectrum_figure(
    spectra: Mapping[str, tuple[np.ndarray, np.ndarray]],
    shown: ShownClips,
    corpus: Mapping[str, Any],
) -> Figure:
    """Draw the spectra of the clips; behind an anomalous clip lies the normal one's.

    Args:
        spectra: for each shown clip ID its frequencies (Hz) and power spectral density (dB).
        shown: the clips.
        corpus: the corpus summary.
    """
    machine_id_of = {clip_id: key[0] for key, clip_id in shown.clip_ids.items()}

    def draw(axes: Axes, clip_id: str, label: str) -> None:
        normal = shown.clip_ids.get((machine_id_of[clip_id], Label.NORMAL))
        if label != Label.NORMAL and normal:
            axes.plot(*spectra[normal], color=GREY, linewidth=0.8, label="the normal clip")
        axes.plot(*spectra[clip_id], color=_COLOURS[label], linewidth=0.8, label=f"{label} clip")
        if label != Label.NORMAL:
            axes.legend(edgecolor="none", fontsize=8, loc="best")

    figure, grid = _clip_grid(shown, draw, row_inches=2.3, sharex=True, sharey=True)
    _frequency_axes(grid, spectra.values())
    _label_edges(grid, "frequency (Hz)", "power density\n(dBFS per Hz)")
    figure.suptitle(_title("Frequency spectra", corpus, shown.note))
    return figure


def spectrogram_figure(
    frames: Frames, settings: Mapping[str, Any], shown: ShownClips, corpus: Mapping[str, Any]
) -> Figure:
    """Draw the log-mel spectrograms of the clips, all on one scale of colours.

    Args:
        frames: log-mel frames of all clips, dB.
        settings: ``audio`` and ``log_mel``.
        shown: the clips.
        corpus: the corpus summary.
    """

    def draw(axes: Axes, clip_id: str, label: str) -> None:
        draw_spectrogram(axes, frames.clip(clip_id), settings)
        axes.tick_params(axis="y", labelsize=8)

    figure, grid = _clip_grid(shown, draw, row_inches=2.8, sharey=True)
    image = next(axes.images[0] for axes in grid.flat if axes.images)
    aspect = max(20, 8 * len(grid))  # as wide beside many rows as beside few
    figure.colorbar(image, ax=grid, label="dB below the clip's maximum", pad=0.01, aspect=aspect)
    _label_edges(grid, "time in the clip (s)", "frequency (Hz)")
    figure.suptitle(_title("Log-mel spectrograms", corpus, shown.note))
    return figure


def average_spectrum_figure(
    average_spectra: pd.DataFrame,
    corpus: Mapping[str, Any],
    bands_per_octave: int,
    at_most: int,
) -> Figure:
    """Draw the mean spectrum of normal and of anomalous clips with its spread.

    Args:
        average_spectra: ``machine_id, label, clips, frequency_hz, mean_db, std_db`` a frequency
            band.
        corpus: the corpus summary.
        bands_per_octave: how wide the bands are.
        at_most: how many machine IDs are shown.
    """
    labelled = average_spectra[average_spectra.label.isin(_COLOURS)]
    machine_ids, note = _first_machine_ids(labelled.machine_id, at_most)
    chosen = labelled[labelled.machine_id.isin(machine_ids)]
    columns = min(len(machine_ids), 2)
    rows = -(-len(machine_ids) // columns)
    figure = new_figure(2 + 5 * columns, 1.1 + 2.8 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, machine_id in zip(grid.flat, machine_ids, strict=False):
        for label, colour in _COLOURS.items():
            group = chosen[(chosen.machine_id == machine_id) & (chosen.label == label)]
            if group.empty:
                continue
            count = group.clips.iloc[0]
            name = f"{label}: {count} clip{'s' if count > 1 else ', no spread'}"
            axes.plot(group.frequency_hz, group.mean_db, color=colour, linewidth=1, label=name)
            low, high = group.mean_db - group.std_db, group.mean_db + group.std_db
            axes.fill_between(group.frequency_hz, low, high, color=colour, alpha=0.25, linewidth=0)
        axes.legend(edgecolor="none", fontsize=9, loc="best")
        axes.set_title(_machine_name(machine_id) or corpus["machine_type"], fontsize=10, loc="left")
    for axes in grid.flat[len(machine_ids) :]:
        axes.set_axis_off()
    ends = [chosen.mean_db - chosen.std_db.fillna(0), chosen.mean_db + chosen.std_db.fillna(0)]
    _frequency_axes(grid, [(chosen.frequency_hz.to_numpy(), end.to_numpy()) for end in ends])
    _label_edges(grid, "frequency (Hz)", "power density\n(dBFS per Hz)")
    subject = f"mean over clips ± one standard deviation, in dB; {bands_per_octave} bands an octave"
    note = _note(subject, note, _missing_label(chosen))
    figure.suptitle(_title("Average spectra", corpus, note))
    return figure


def exploration_page(
    *,
    corpus: Mapping[str, Any],
    clip_table: pd.DataFrame,
    rejected_clips: pd.DataFrame,
    audio: Mapping[str, Any],
) -> str:
    """Write the page of a look at a corpus.

    Args:
        corpus: the corpus summary.
        clip_table: as :func:`tabulate_clips` returns it.
        rejected_clips: ``clip_id, reason``.
        audio: the form in which clips are read.

    Returns:
        Markdown; it expects the figures in the same folder.
    """
    channel = audio["channel"]
    read = "the mean of all channels" if channel == "mean" else f"channel {channel}"
    parts = [
        f"# The raw sound: {corpus_title(corpus)}",
        corpus_section(corpus, rejected_clips),
        "## Clips\n\n"
        f"{clip_table.minutes.sum():.1f} minutes in all. Levels are those of {read} at "
        f"{audio['sample_rate']} Hz, in dB relative to full scale (a full-scale sine has an RMS "
        "level of -3 dB; a peak near 0 dB may be clipped); durations, sample rates and channels "
        "are those of the files. Three values are minimum, median and maximum.\n\n"
        + markdown_table(_readable(clip_table)),
        "## Figures\n\n" + "\n\n".join(f"![{text}]({file})" for file, text in FIGURES.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _first_machine_ids(machine_ids: pd.Series, at_most: int) -> tuple[list[str], str]:
    """Return the first machine IDs, and a note if there are more."""
    present = sorted(machine_ids.unique())
    left_out = len(present) > at_most
    note = f"the first {at_most} of {len(present)} machine IDs" if left_out else ""
    return present[:at_most], note


def _missing_label(chosen: pd.DataFrame) -> str:
    """Say which label no clip has."""
    missing = [label for label in _COLOURS if label not in set(chosen.label)]
    return f"there is no {missing[0]} clip" if missing else ""


def _note(subject: str, *left_out: str) -> str:
    """Say what is shown and, in a second line, what is not."""
    return "\n".join(filter(None, [subject, "; ".join(filter(None, left_out))]))


def _clip_grid(
    shown: ShownClips,
    draw: Callable[[Axes, str, str], None],
    *,
    row_inches: float,
    sharex: bool | str = False,
    sharey: bool | str = False,
) -> tuple[Figure, np.ndarray]:
    """Lay out a row a machine ID and a column a label, and draw each clip."""
    rows, columns = len(shown.machine_ids), len(shown.labels)
    figure = new_figure(3 + 4.7 * columns, 1.1 + row_inches * rows)
    grid = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    for row, machine_id in enumerate(shown.machine_ids):
        for column, label in enumerate(shown.labels):
            axes = grid[row, column]
            clip_id = shown.clip_ids.get((machine_id, label))
            name = ", ".join(filter(None, [_machine_name(machine_id), label]))
            if clip_id is None:
                axes.set_axis_off()
                axes.set_title(f"{name}: no such clip", loc="left", fontsize=10)
                continue
            draw(axes, clip_id, label)
            axes.set_title(f"{name}: {_shortened(clip_id)}", loc="left", fontsize=10)
    return figure, grid


def _frequency_axes(grid: np.ndarray, spectra: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
    """Give all panels, which share axes, hertz on a logarithmic axis and decibels that fit."""
    frequencies_hz, decibel = (np.concatenate(part) for part in zip(*spectra, strict=True))
    positive = frequencies_hz[frequencies_hz > 0]
    lowest, highest = max(_LOWEST_HZ, positive.min()), positive.max()
    visible = decibel[frequencies_hz >= lowest]
    bottom = max(visible.min(), visible.max() - _DYNAMIC_RANGE_DB)
    margin = 0.04 * (visible.max() - bottom) + 0.5
    ticks = [hz for hz in _TICKS_HZ if lowest <= hz <= highest]
    for axes in grid.flat:
        axes.set(xscale="log", xlim=(lowest, highest))
        axes.set_ylim(bottom - margin, visible.max() + margin)
        axes.set_xticks(ticks, [f"{hz:,}" for hz in ticks])
        axes.grid(alpha=0.3)


def _label_edges(grid: np.ndarray, xlabel: str, ylabel: str) -> None:
    """Label the leftmost panel of each row and the lowest of each column; some may be empty."""
    for row in grid:
        leftmost = next(axes for axes in row if axes.axison)
        leftmost.set_ylabel(ylabel)
        leftmost.tick_params(labelleft=True)
    for column in grid.T:
        lowest = next(axes for axes in column[::-1] if axes.axison)
        lowest.set_xlabel(xlabel)
        lowest.tick_params(labelbottom=True)


def _title(what: str, corpus: Mapping[str, Any], note: str) -> str:
    return f"{what} – {corpus_title(corpus)}\n{note}"


def _machine_name(machine_id: str) -> str:
    return f"ID {machine_id}" if machine_id else ""


def _shortened(clip_id: str) -> str:
    return clip_id if len(clip_id) <= _TITLE_CHARACTERS else f"…{clip_id[1 - _TITLE_CHARACTERS :]}"


def _listed(values: pd.Series) -> str:
    return ", ".join(map(str, sorted(values.unique())))


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    """Turn the table of clips into text of fewer columns."""

    def between(name: str, unit: str) -> list[str]:
        ends = table[[f"{name}_{end}_{unit}" for end in ("min", "median", "max")]]
        texts = [[f"{value:.1f}" for value in row] for row in ends.itertuples(index=False)]
        return [" / ".join(row) if len(set(row)) > 1 else row[0] for row in texts]

    return pd.DataFrame(
        {
            "machine ID": table.machine_id.replace("", "(none given)"),
            "split": table.split,
            "label": table.label,
            "clips": table.clips,
            "minutes": [f"{value:.1f}" for value in table.minutes],
            "duration (s)": between("duration", "s"),
            "RMS level (dBFS)": between("rms", "dbfs"),
            "highest peak (dBFS)": [f"{value:.1f}" for value in table.peak_max_dbfs],
            "sample rates (Hz)": table.sample_rates,
            "channels": table.channels,
        }
    )
