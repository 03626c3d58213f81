"""What all figures share: colours, axes, legends and spectrograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.features.log_mel import mel_band_centres_hz

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Figure
    from matplotlib.image import AxesImage
else:
    Figure = Any  # Kedro resolves the hints of nodes; matplotlib is imported to draw, not before

# Okabe & Ito's palette, which colour-blind readers can tell apart
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#666666"

_SHOWN_DB = 80.0  # of a spectrogram that is not cut below its maximum
_TICKS_HZ = (100, 250, 500, 1000, 2000, 4000, 8000, 16000)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure; sizes are in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def blank_roc(title: str) -> tuple[Figure, Axes]:
    """Return a figure with the axes of a ROC curve."""
    figure = new_figure(9.5, 5.6)
    axes = figure.subplots()
    axes.set(
        title=title,
        xlabel="false-positive rate (normal clips called anomalous)",
        ylabel="true-positive rate (anomalous clips called anomalous)",
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


def say(axes: Axes, text: str) -> None:
    """Write in the middle of empty axes why they are empty."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, fontsize=12)


def draw_spectrogram(axes: Axes, decibels: np.ndarray, features: FeatureSettings) -> AxesImage:
    """Draw a log-mel spectrogram, frames × mel bands, with seconds and hertz on the axes."""
    lowest, highest = decibel_range(decibels, features)
    image = axes.imshow(
        decibels.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=lowest,
        vmax=highest,
        # frames are centred: frame n lies around n hops
        extent=(
            -features.frame_s / 2,
            (len(decibels) - 0.5) * features.frame_s,
            -0.5,
            features.log_mel.n_mels - 0.5,
        ),
    )
    label_mel_axis(axes, features)
    return image


def decibel_range(decibels: np.ndarray, features: FeatureSettings) -> tuple[float, float]:
    """Return the lowest and the highest value that a picture of a spectrogram shows, dB."""
    if features.log_mel.top_db is None:
        highest = float(decibels.max())
        return highest - _SHOWN_DB, highest
    return -features.log_mel.top_db, 0.0


def decibel_label(features: FeatureSettings) -> str:
    """Say what the values of a spectrogram are."""
    return "dB" if features.log_mel.top_db is None else "dB below the clip's maximum"


def label_mel_axis(axes: Axes, features: FeatureSettings) -> None:
    """Put round frequencies on a vertical axis of mel bands."""
    ticks = mel_ticks(features)
    axes.set_yticks([position for position, _ in ticks], [f"{hz:,}" for _, hz in ticks])


def mel_ticks(features: FeatureSettings) -> list[tuple[float, int]]:
    """Return round frequencies: where each lies on an axis of mel bands, and how many Hz it is."""
    centres = mel_band_centres_hz(features.log_mel.n_mels, features.audio.sample_rate)
    ticks = [hz for hz in _TICKS_HZ if centres[0] <= hz <= centres[-1]]
    return [(mel_position(hz, features), hz) for hz in ticks]


def mel_position(frequency_hz: float, features: FeatureSettings) -> float:
    """Return where a frequency lies on an axis of mel bands: band n has its centre at n."""
    n_mels = features.log_mel.n_mels
    centres = mel_band_centres_hz(n_mels, features.audio.sample_rate)
    return float(np.interp(frequency_hz, centres, np.arange(n_mels)))
