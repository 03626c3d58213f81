"""The figures of the raw recordings: normal against anomalous clips, machine ID by machine ID.

Each function returns a matplotlib figure and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.features.frames import Frames
from anomalous_sound.reporting.drawing import (
    BLUE,
    GREY,
    VERMILION,
    Figure,
    decibel_label,
    draw_spectrogram,
    new_figure,
)
from anomalous_sound.reporting.exploration import ShownClips, choose_machine_ids
from anomalous_sound.reporting.facts import CorpusFacts, corpus_title
from anomalous_sound.vocabulary import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WAVEFORM_POINTS = 1500  # more than a panel has pixels

_COLOURS: dict[str, str] = {Label.NORMAL: BLUE, Label.ANOMALOUS: VERMILION}
_Sharing = bool | Literal["none", "all", "row", "col"]
_LOWEST_HZ = 20
_TICKS_HZ = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000)
_DYNAMIC_RANGE_DB = 100  # what lies further below the loudest frequency is cut off
_TITLE_CHARACTERS = 48  # a longer clip ID loses its beginning


def waveform_figure(
    waveforms: Mapping[str, tuple[float, np.ndarray, np.ndarray]],
    shown: ShownClips,
    corpus: CorpusFacts,
) -> Figure:
    """Draw waveforms; the clips of a machine ID share one amplitude axis.

    Args:
        waveforms: for each clip ID shown: its duration (s), and the lowest and highest amplitude
            in each of up to WAVEFORM_POINTS steps of it.
        shown: the clips.
        corpus: named in the title.
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
    corpus: CorpusFacts,
) -> Figure:
    """Draw the spectrum of each clip; that of the normal clip lies behind the anomalous one's.

    Args:
        spectra: for each clip ID shown: frequencies (Hz) and power spectral density (dB).
        shown: the clips.
        corpus: named in the title.
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
    frames: Frames, features: FeatureSettings, shown: ShownClips, corpus: CorpusFacts
) -> Figure:
    """Draw the log-mel spectrograms of the clips, all on the same colour scale.

    Args:
        frames: log-mel frames of all clips, dB.
        features: how the frames were computed.
        shown: the clips.
        corpus: named in the title.
    """

    def draw(axes: Axes, clip_id: str, label: str) -> None:
        draw_spectrogram(axes, frames.mean_clip(clip_id), features)
        axes.tick_params(axis="y", labelsize=8)

    figure, grid = _clip_grid(shown, draw, row_inches=2.8, sharey=True)
    image = next(axes.images[0] for axes in grid.flat if axes.images)
    aspect = max(20, 8 * len(grid))  # as wide beside many rows as beside few
    figure.colorbar(image, ax=grid, label=decibel_label(features), pad=0.01, aspect=aspect)
    _label_edges(grid, "time in the clip (s)", "frequency (Hz)")
    figure.suptitle(_title("Log-mel spectrograms", corpus, shown.note))
    return figure


def average_spectrum_figure(
    average_spectra: pd.DataFrame,
    corpus: CorpusFacts,
    bands_per_octave: int,
    at_most: int,
) -> Figure:
    """Draw the mean spectra of normal and anomalous clips with their spread.

    Args:
        average_spectra: ``machine_id, label, clips, frequency_hz, mean_db, std_db``, one row per
            machine ID, label and frequency band.
        corpus: named in the title.
        bands_per_octave: of the frequency bands.
        at_most: how many machine IDs are shown.
    """
    chosen, left_out = choose_machine_ids(average_spectra, at_most)
    machine_ids = sorted(chosen.machine_id.unique())
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
        axes.set_title(_machine_name(machine_id) or corpus.machine_type, fontsize=10, loc="left")
    for axes in grid.flat[len(machine_ids) :]:
        axes.set_axis_off()
    ends = [chosen.mean_db - chosen.std_db.fillna(0), chosen.mean_db + chosen.std_db.fillna(0)]
    _frequency_axes(grid, [(chosen.frequency_hz.to_numpy(), end.to_numpy()) for end in ends])
    _label_edges(grid, "frequency (Hz)", "power density\n(dBFS per Hz)")
    subject = (
        f"mean ± one standard deviation over clips, in dB; {bands_per_octave} bands per octave"
    )
    note = "\n".join(filter(None, [subject, left_out]))
    figure.suptitle(_title("Average spectra", corpus, note))
    return figure


def _clip_grid(
    shown: ShownClips,
    draw: Callable[[Axes, str, str], None],
    *,
    row_inches: float,
    sharex: _Sharing = False,
    sharey: _Sharing = False,
) -> tuple[Figure, np.ndarray]:
    """Draw each clip, in one row per machine ID and one column per label."""
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
    """Set the shared axes of all panels: hertz on a logarithmic scale, and decibels that fit."""
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
    """Label the leftmost panel drawn in each row and the lowest in each column."""
    for row in grid:
        leftmost = next(axes for axes in row if axes.axison)
        leftmost.set_ylabel(ylabel)
        leftmost.tick_params(labelleft=True)
    for column in grid.T:
        lowest = next(axes for axes in column[::-1] if axes.axison)
        lowest.set_xlabel(xlabel)
        lowest.tick_params(labelbottom=True)


def _title(what: str, corpus: CorpusFacts, note: str) -> str:
    return f"{what} – {corpus_title(corpus)}\n{note}"


def _machine_name(machine_id: str) -> str:
    return f"ID {machine_id}" if machine_id else ""


def _shortened(clip_id: str) -> str:
    return clip_id if len(clip_id) <= _TITLE_CHARACTERS else f"…{clip_id[1 - _TITLE_CHARACTERS :]}"
