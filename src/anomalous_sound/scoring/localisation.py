"""Where in time and in which mel bands a clip deviates from normal sound, as a map and as numbers.

No Kedro and no PyTorch in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

_SMALLEST_ERROR = 1e-12  # of a squared error; its logarithm stays finite
_ALL = None  # no machine ID is called so

LOCALISATION_COLUMNS = ["clip_id", "axis", "rank", "start", "end", "share"]
TIME, FREQUENCY = "time", "frequency"


def fit_window_reference(
    errors: Iterable[tuple[str, np.ndarray]], *, peak_percentile: float
) -> dict[str, Any]:
    """Find how large the error of a window usually is in each mel band, for each machine ID.

    Args:
        errors: machine ID and errors (windows × mel bands) of normal training clips, one clip at a
            time.
        peak_percentile: which percentile of a band's errors over time is its peak in a clip.

    Returns:
        JSON values: for each of the ``machine_ids``, and for ``all`` together, ``means`` and
        ``deviations`` of the logarithm of the errors, one a mel band, and ``peaks``: the mean over
        clips of each band's peak; ``peak_deviations``: how much those vary from clip to clip of a
        machine ID; and ``peak_percentile``.
    """
    sums: dict[str | None, list[Any]] = {}
    peaks: dict[str | None, list[np.ndarray]] = {}
    for machine_id, of_clip in errors:
        peaks.setdefault(machine_id, []).append(_peaks(of_clip, peak_percentile))
        logarithms = np.log(of_clip.astype(np.float64) + _SMALLEST_ERROR)
        # around a first guess, so that squares lose no digits
        for name in (machine_id, _ALL):
            count, guess, first, second = sums.get(name, [0, logarithms.mean(axis=0), 0.0, 0.0])
            difference = logarithms - guess
            first, second = first + difference.sum(axis=0), second + (difference**2).sum(axis=0)
            sums[name] = [count + len(difference), guess, first, second]
    peak_deviations = _within_deviations(peaks)
    peaks[_ALL] = [peak for of_id in list(peaks.values()) for peak in of_id]
    groups = {}
    for name, (count, guess, first, second) in sums.items():
        mean = first / count
        deviation = np.sqrt(np.maximum(second / count - mean**2, 0))
        groups[name] = {
            "means": (guess + mean).tolist(),
            "deviations": np.where(deviation > 0, deviation, 1.0).tolist(),
            "peaks": np.mean(peaks[name], axis=0).tolist(),
        }
    return {
        "peak_percentile": peak_percentile,
        "peak_deviations": peak_deviations.tolist(),
        "all": groups.pop(_ALL),
        "machine_ids": groups,
    }


def _peaks(errors: np.ndarray, percentile: float) -> np.ndarray:
    return np.percentile(errors.astype(np.float64), percentile, axis=0)


def _usual(reference: Mapping[str, Any], machine_id: str) -> Mapping[str, Any]:
    return reference["machine_ids"].get(machine_id, reference["all"])


def _within_deviations(peaks: Mapping[str, list[np.ndarray]]) -> np.ndarray:
    """Return the standard deviation of each band around the means of the machine IDs."""
    rest = np.concatenate([np.array(of_id) - np.mean(of_id, axis=0) for of_id in peaks.values()])
    deviations = np.sqrt((rest**2).sum(axis=0) / max(len(rest) - len(peaks), 1))
    return np.where(deviations > 0, deviations, 1.0)


def deviation_map(errors: np.ndarray, reference: Mapping[str, Any], machine_id: str) -> np.ndarray:
    """Return by how many standard deviations each window and band is above normal.

    z = (log e - m) / s, with e the squared error, m and s the mean and standard deviation of log e
    over the windows of normal training clips of the same machine ID.

    Args:
        errors: windows × mel bands.
        reference: as :func:`fit_window_reference` returns it.
        machine_id: one without normal clips is compared with all.

    Returns:
        windows × mel bands; around 0 ± 1 where the sound is normal.
    """
    usual = _usual(reference, machine_id)
    logarithms = np.log(errors.astype(np.float64) + _SMALLEST_ERROR)
    return (logarithms - np.array(usual["means"])) / np.array(usual["deviations"])


def localise(
    errors: np.ndarray,
    reference: Mapping[str, Any],
    machine_id: str,
    *,
    times_s: np.ndarray,
    band_edges_hz: np.ndarray,
    stretch_s: float,
    stretches: int,
    bands: int,
) -> pd.DataFrame:
    """Find the stretches of time and the mel bands that deviate most.

    The contribution of a time is the sum over the bands of z² of :func:`deviation_map`, where z is
    above 0. That of a band is the square of (p - m) / s, where p, its peak over time, is above m,
    the mean of p over normal clips of the machine ID; s is its standard deviation there.

    Args:
        errors: windows × mel bands.
        reference: as :func:`fit_window_reference` returns it.
        machine_id: of the clip.
        times_s: where each window's error lies in the clip, s.
        band_edges_hz: lower edge of each mel band, and upper edge of the last, Hz.
        stretch_s: length of a stretch, s.
        stretches: how many to name.
        bands: how many to name.

    Returns:
        ``axis`` (``time``, in s, or ``frequency``, in Hz), ``rank``, ``start``, ``end`` and
        ``share`` of the whole contribution; highest first.
    """
    above = np.maximum(deviation_map(errors, reference, machine_id), 0) ** 2
    numbers = (times_s // stretch_s).astype(int)
    by_time = np.bincount(numbers, weights=above.sum(axis=1))
    by_time /= by_time.sum() or 1.0
    beyond = _peaks(errors, reference["peak_percentile"]) - _usual(reference, machine_id)["peaks"]
    excess = np.maximum(beyond / np.array(reference["peak_deviations"]), 0)
    by_band = excess**2 / ((excess**2).sum() or 1.0)
    rows = []
    for rank, number in enumerate(_highest(by_time, stretches), start=1):
        start = number * stretch_s
        rows.append((TIME, rank, start, start + stretch_s, by_time[number]))
    for rank, band in enumerate(_highest(by_band, bands), start=1):
        rows.append((FREQUENCY, rank, band_edges_hz[band], band_edges_hz[band + 1], by_band[band]))
    return pd.DataFrame(rows, columns=LOCALISATION_COLUMNS[1:])


def _highest(values: np.ndarray, count: int) -> np.ndarray:
    return np.argsort(-values, kind="stable")[:count]


def hit_rates(
    found: pd.DataFrame,
    faults: pd.DataFrame,
    *,
    durations_s: Mapping[str, float],
    band_edges_hz: np.ndarray,
) -> dict[str, float]:
    """Measure how often what was marked lies where the fault sounds.

    Args:
        found: ``clip_id, axis, start, end``: the marked stretches and bands.
        faults: ``file, intervals_s`` (``0.100-0.160;…``), ``low_hz, high_hz`` a faulty clip.
        durations_s: of each clip.
        band_edges_hz: of the mel bands.

    Returns:
        ``time_hit``: part of the marked time in which the fault sounds; ``frequency_hit``: part of
        the marked bands whose middle lies in the fault's band; ``time_chance`` and
        ``frequency_chance``: the same of marks set blindly; ``clips`` that were looked at. Empty if
        none was.
    """
    hits: dict[str, list[float]] = {name: [] for name in _HITS}
    marked = dict(list(found.groupby("clip_id")))
    for fault in faults.itertuples():
        if fault.file not in marked:
            continue
        group = marked[fault.file]
        times = group[group.axis == TIME]
        bands = group[group.axis == FREQUENCY]
        intervals = [
            tuple(map(float, interval.split("-"))) for interval in fault.intervals_s.split(";")
        ]
        middles = (band_edges_hz[1:] + band_edges_hz[:-1]) / 2
        inside = (middles >= float(fault.low_hz)) & (middles <= float(fault.high_hz))
        marked_bands = np.isin(band_edges_hz[:-1], bands.start)
        sounding = [_sounding(row.start, row.end, intervals) for row in times.itertuples()]
        hits["time_hit"].append(sum(sounding) / (times.end - times.start).sum())
        duration = durations_s[fault.file]
        hits["time_chance"].append(_sounding(0.0, duration, intervals) / duration)
        hits["frequency_hit"].append(inside[marked_bands].mean())
        hits["frequency_chance"].append(inside.mean())
    if not hits["time_hit"]:
        return {}
    rates = {name: float(np.mean(values)) for name, values in hits.items()}
    return rates | {"clips": len(hits["time_hit"])}


_HITS = ("time_hit", "time_chance", "frequency_hit", "frequency_chance")


def _sounding(start: float, end: float, intervals: Sequence[tuple[float, float]]) -> float:
    """Return for how long of a stretch the fault sounds, s."""
    return sum(max(min(end, high) - max(start, low), 0.0) for low, high in intervals)
