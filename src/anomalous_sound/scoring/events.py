"""The events of a clip: boxes in time and frequency where it deviates more than normal clips do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from anomalous_sound.configuration.scoring import EventSettings

EVENT_COLUMNS = [
    "clip_id",
    "rank",
    "start_s",
    "end_s",
    "low_hz",
    "high_hz",
    "share",
    "peak_s",
    "peak_hz",
    "words",
]


@dataclass(frozen=True)
class EventLimits:
    """What a deviation must exceed to be an event, from the maps of normal clips.

    Attributes:
        level: of the smoothed map; cells above it that touch are one event.
        mass: the sum of an event's cells above which it counts: what is wide or lasts.
        peak: its highest cell above which it counts, too: what is short and strong.
        smooth_windows: windows that a cell is averaged over.
        smooth_bands: mel bands that a cell is averaged over.
    """

    level: float
    mass: float
    peak: float
    smooth_windows: int
    smooth_bands: int

    def to_json(self) -> dict[str, Any]:
        """Return the attributes."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EventLimits:
        """Rebuild from what :meth:`to_json` returned."""
        return cls(**values)

    def smoothed(self, deviations: np.ndarray) -> np.ndarray:
        """Average each cell of a map over its neighbours."""
        from scipy.ndimage import uniform_filter

        smoothed: np.ndarray = uniform_filter(
            deviations, (self.smooth_windows, self.smooth_bands), mode="nearest"
        )
        return smoothed


@dataclass(frozen=True)
class Event:
    """A box in time and frequency where a clip deviates from normal.

    Attributes:
        start_s: where it begins in the clip, s.
        end_s: where it ends, s.
        low_hz: lower edge of its lowest mel band, Hz.
        high_hz: upper edge of its highest mel band, Hz.
        share: of all that lies above normal in the clip's map.
        peak_s: the middle of the window that deviates most, s.
        peak_hz: the middle of the mel band that deviates most in it, Hz.
    """

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    share: float
    peak_s: float
    peak_hz: float


def fit_event_limits(
    maps: Callable[[], Iterable[np.ndarray]], settings: EventSettings
) -> EventLimits:
    """Find out what normal clips' maps look like at their worst.

    The level is a high quantile of their cells. Mass and peak are what the heaviest and the highest
    event of a normal clip exceed, each in no more than half of ``false_event_rate`` of them: the
    maximum over a map corrects for how many places in it could stand out by chance (the cluster
    mass test of Maris & Oostenveld, J. Neurosci. Methods 164, 2007).

    Args:
        maps: returns the maps of normal clips, windows × mel bands each; it is called twice.
        settings: of events.
    """
    smoothing = EventLimits(0.0, 0.0, 0.0, settings.smooth_windows, settings.smooth_bands)
    quantiles = [np.quantile(smoothing.smoothed(one), settings.quantile) for one in maps()]
    level = float(np.mean(quantiles))
    worst = []
    for deviations in maps():
        _, masses, peaks = _components(smoothing.smoothed(deviations), level)
        worst.append((masses.max(initial=0.0), peaks.max(initial=0.0)))
    # with few clips, the worst of all
    quantile = 1 - settings.false_event_rate / 2
    mass, peak = np.quantile(worst, quantile, axis=0, method="higher").tolist()
    return replace(smoothing, level=level, mass=mass, peak=peak)


def find_events(
    deviations: np.ndarray,
    limits: EventLimits,
    *,
    times_s: np.ndarray,
    band_edges_hz: np.ndarray,
    count: int,
) -> list[Event]:
    """Find the events of a clip, heaviest first.

    Cells of the smoothed map above the level that touch belong together; the box and the peak are
    those of the map itself within them, so that smoothing makes no event longer.

    Args:
        deviations: windows × mel bands; see
            :meth:`anomalous_sound.scoring.localisation.WindowReference.deviation_map`.
        limits: of normal clips.
        times_s: where each window's error lies in the clip, s.
        band_edges_hz: lower edge of each mel band, and upper edge of the last, Hz.
        count: how many events are returned at most.
    """
    smoothed = limits.smoothed(deviations)
    numbers, masses, peaks = _components(smoothed, limits.level)
    counts = (masses > limits.mass) | (peaks > limits.peak)
    whole = np.maximum(smoothed, 0).sum() or 1.0
    half_step = np.median(np.diff(times_s)) / 2 if len(times_s) > 1 else 0.0
    events = []
    for index in [index for index in np.argsort(-masses, kind="stable") if counts[index]][:count]:
        inside = numbers == index + 1
        above = inside & (deviations > limits.level)
        windows, bands = np.nonzero(above if above.any() else inside)
        peak = np.unravel_index(np.where(inside, deviations, -np.inf).argmax(), inside.shape)
        events.append(
            Event(
                start_s=float(times_s[windows.min()] - half_step),
                end_s=float(times_s[windows.max()] + half_step),
                low_hz=float(band_edges_hz[bands.min()]),
                high_hz=float(band_edges_hz[bands.max() + 1]),
                share=float(masses[index] / whole),
                peak_s=float(times_s[peak[0]]),
                peak_hz=float(band_edges_hz[peak[1] : peak[1] + 2].mean()),
            )
        )
    return events


def _components(smoothed: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which event each cell belongs to (0: none), and each event's mass and peak."""
    from scipy.ndimage import label, maximum, sum_labels

    numbers, count = label(smoothed > max(level, 0.0))
    if not count:
        return numbers, np.empty(0), np.empty(0)
    each = np.arange(1, count + 1)
    return (
        numbers,
        np.asarray(sum_labels(smoothed, numbers, each), dtype=float),
        np.asarray(maximum(smoothed, numbers, each), dtype=float),
    )
