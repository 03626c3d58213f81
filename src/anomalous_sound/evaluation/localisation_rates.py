"""How often the localisation marks what is known to be a fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from anomalous_sound.scoring.localisation import FREQUENCY, TIME

_RATES = ("time_hit", "time_chance", "frequency_hit", "frequency_chance")


def hit_rates(
    found: pd.DataFrame,
    faults: pd.DataFrame,
    *,
    durations_s: Mapping[str, float],
    band_edges_hz: np.ndarray,
) -> dict[str, float]:
    """Measure how often what was marked lies where the fault sounds.

    Args:
        found: ``clip_id, axis, start, end``: the marked segments and bands.
        faults: ``file, intervals_s`` (``0.100-0.160;…``), ``low_hz, high_hz``, one row per faulty
            clip.
        durations_s: of each clip.
        band_edges_hz: of the mel bands.

    Returns:
        ``time_hit``: share of the marked time in which the fault sounds; ``frequency_hit``: share
        of the marked bands whose centre lies in the fault's band; ``time_chance`` and
        ``frequency_chance``: the same for marks set at random; ``clips``: how many clips count,
        those with marks in both. Empty if none does.
    """
    rates: dict[str, list[float]] = {name: [] for name in _RATES}
    centres = (band_edges_hz[1:] + band_edges_hz[:-1]) / 2
    marked = {str(clip_id): marks for clip_id, marks in found.groupby("clip_id")}
    places = faults[["file", "intervals_s", "low_hz", "high_hz"]]
    for clip_id, intervals_s, low_hz, high_hz in places.itertuples(index=False, name=None):
        if clip_id not in marked:
            continue
        marks = marked[clip_id]
        times = marks[marks.axis == TIME]
        bands = marks[marks.axis == FREQUENCY]
        if times.empty or bands.empty:
            continue
        intervals = _parsed(intervals_s)
        inside = (centres >= float(low_hz)) & (centres <= float(high_hz))
        marked_bands = np.isin(band_edges_hz[:-1], bands.start)
        sounding_s = [
            _sounding_s(start, end, intervals)
            for start, end in zip(times.start, times.end, strict=True)
        ]
        rates["time_hit"].append(sum(sounding_s) / (times.end - times.start).sum())
        duration_s = durations_s[clip_id]
        rates["time_chance"].append(_sounding_s(0.0, duration_s, intervals) / duration_s)
        rates["frequency_hit"].append(inside[marked_bands].mean())
        rates["frequency_chance"].append(inside.mean())
    if not rates["time_hit"]:
        return {}
    means = {name: float(np.mean(values)) for name, values in rates.items()}
    return means | {"clips": len(rates["time_hit"])}


def _parsed(intervals_s: str) -> list[tuple[float, float]]:
    """Parse intervals such as ``0.100-0.160;0.300-0.360``."""
    bounds = (interval.split("-") for interval in intervals_s.split(";"))
    return [(float(start), float(end)) for start, end in bounds]


def _sounding_s(start: float, end: float, intervals: Sequence[tuple[float, float]]) -> float:
    """Return for how long of a segment the fault sounds, s."""
    return sum(max(min(end, high) - max(start, low), 0.0) for low, high in intervals)
