"""Where in time, and in which mel bands, a clip deviates from normal sound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from anomalous_sound.configuration.scoring import EventSettings, LocalisationSettings
from anomalous_sound.scoring.events import EventLimits, fit_event_limits

LOCALISATION_COLUMNS = ["clip_id", "axis", "rank", "start", "end", "share"]
TIME, FREQUENCY = "time", "frequency"

_SMALLEST_ERROR = 1e-12  # of a squared error; its logarithm stays finite


class Place(NamedTuple):
    """A segment of time or a mel band that stands out.

    Attributes:
        axis: TIME or FREQUENCY.
        rank: counted from 1, on its axis.
        start: of the segment, s, or the lower edge of the band, Hz.
        end: of the segment, s, or the upper edge of the band, Hz.
        share: of the clip's whole contribution on this axis, 0 to 1.
    """

    axis: str
    rank: int
    start: float
    end: float
    share: float


@dataclass(frozen=True, eq=False)
class NormalErrors:
    """How large the errors of the windows of normal clips are, one value a mel band.

    Attributes:
        means: of the logarithm of the errors.
        deviations: standard deviations of the logarithm of the errors.
        peaks: mean over clips of the band's peak over time.
    """

    means: np.ndarray
    deviations: np.ndarray
    peaks: np.ndarray

    def deviation_map(self, errors: np.ndarray) -> np.ndarray:
        """Return by how many standard deviations each window and band is above normal."""
        deviations: np.ndarray = (_logarithms(errors) - self.means) / self.deviations
        return deviations

    def to_json(self) -> dict[str, list[float]]:
        """Return the attributes as lists."""
        return {
            "means": self.means.tolist(),
            "deviations": self.deviations.tolist(),
            "peaks": self.peaks.tolist(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, list[float]]) -> NormalErrors:
        """Rebuild from what :meth:`to_json` returned."""
        return cls(**{name: np.array(value) for name, value in values.items()})


@dataclass(frozen=True, eq=False)
class WindowReference:
    """What the errors of a clip's windows and mel bands are compared with.

    Attributes:
        machine_ids: the errors of the normal clips of each machine ID.
        all: those of all normal clips, for a machine ID that has none.
        peak_deviations: standard deviation of each band's peak from clip to clip of a machine ID.
        peak_percentile: the percentile of a band's errors over time that is its peak.
        event_limits: what an event exceeds in normal clips.
        channels: that stand side by side in the errors. Each is compared with itself, and what is
            said of a window or mel band is what the channel says that deviates most there.
    """

    machine_ids: Mapping[str, NormalErrors]
    all: NormalErrors
    peak_deviations: np.ndarray
    peak_percentile: float
    event_limits: EventLimits
    channels: int = 1

    def deviation_map(self, errors: np.ndarray, machine_id: str) -> np.ndarray:
        """Return by how many standard deviations each window and band is above normal.

        z = (log e - m) / s, with e the squared error, m and s the mean and standard deviation of
        log e over the windows of normal training clips of the same machine ID.

        Args:
            errors: windows × mel bands.
            machine_id: of the clip; one without normal clips is compared with all.

        Returns:
            Windows × mel bands; around 0 ± 1 where the sound is normal.
        """
        return _most(self._normal(machine_id).deviation_map(errors), self.channels)

    def peak_deviation(self, errors: np.ndarray, machine_id: str) -> np.ndarray:
        """Return by how many standard deviations the peak over time of each band is above normal.

        (p - m) / s, with p the peak of the band, m the mean of p over normal clips of the machine
        ID and s its standard deviation.

        Args:
            errors: windows × mel bands.
            machine_id: of the clip; one without normal clips is compared with all.

        Returns:
            One value a mel band.
        """
        above = _peaks(errors, self.peak_percentile) - self._normal(machine_id).peaks
        return _most(above / self.peak_deviations, self.channels)

    def _normal(self, machine_id: str) -> NormalErrors:
        return self.machine_ids.get(machine_id, self.all)

    def to_json(self) -> dict[str, Any]:
        """Return the attributes as JSON values; no bit is lost."""
        values = {
            "peak_percentile": self.peak_percentile,
            "event_limits": self.event_limits.to_json(),
            "peak_deviations": self.peak_deviations.tolist(),
            "all": self.all.to_json(),
            "machine_ids": {name: normal.to_json() for name, normal in self.machine_ids.items()},
        }
        # not of one channel: detectors of before several could be judged stay as they are
        return values | ({"channels": self.channels} if self.channels > 1 else {})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> WindowReference:
        """Rebuild a reference from what :meth:`to_json` returned."""
        of_ids = values["machine_ids"].items()
        return cls(
            machine_ids={name: NormalErrors.from_json(normal) for name, normal in of_ids},
            all=NormalErrors.from_json(values["all"]),
            peak_deviations=np.array(values["peak_deviations"]),
            peak_percentile=values["peak_percentile"],
            event_limits=EventLimits.from_json(values["event_limits"]),
            channels=values.get("channels", 1),
        )


def fit_window_reference(
    errors: Callable[[], Iterable[tuple[str, np.ndarray]]],
    *,
    peak_percentile: float,
    events: EventSettings,
    channels: int = 1,
) -> WindowReference:
    """Find how large the error of a window usually is in each mel band, for each machine ID.

    Args:
        errors: returns machine ID and errors (windows × mel bands) of normal training clips, one
            clip at a time; it is called several times.
        peak_percentile: which percentile of a band's errors over time is its peak in a clip.
        events: how events are told from what normal clips show.
        channels: that stand side by side in the errors.
    """
    of_all = _Moments()
    of_ids: dict[str, _Moments] = {}
    peaks: dict[str, list[np.ndarray]] = {}
    for machine_id, of_clip in errors():
        peaks.setdefault(machine_id, []).append(_peaks(of_clip, peak_percentile))
        logarithms = _logarithms(of_clip)
        of_ids.setdefault(machine_id, _Moments()).add(logarithms)
        of_all.add(logarithms)
    every_peak = [peak for of_id in peaks.values() for peak in of_id]
    machine_ids = {name: _normal_errors(of_ids[name], peaks[name]) for name in of_ids}

    def maps() -> Iterable[np.ndarray]:
        return (
            _most(machine_ids[name].deviation_map(of_clip), channels) for name, of_clip in errors()
        )

    return WindowReference(
        machine_ids=machine_ids,
        all=_normal_errors(of_all, every_peak),
        peak_deviations=_within_deviations(peaks),
        peak_percentile=peak_percentile,
        event_limits=fit_event_limits(maps, events),
        channels=channels,
    )


def localise(
    errors: np.ndarray,
    reference: WindowReference,
    machine_id: str,
    *,
    times_s: np.ndarray,
    band_edges_hz: np.ndarray,
    settings: LocalisationSettings,
) -> list[Place]:
    """Find the segments of time and the mel bands that deviate most.

    The contribution of a time is the sum over the bands of z² of
    :meth:`WindowReference.deviation_map`, where z is above 0. That of a band is the square of
    :meth:`WindowReference.peak_deviation`, where it is above 0. Segments are ranked by the mean
    over their windows, bands by their contribution; what contributes nothing is not named.

    Args:
        errors: windows × mel bands.
        reference: the errors of normal clips.
        machine_id: of the clip.
        times_s: where each window's error lies in the clip, s.
        band_edges_hz: lower edge of each mel band, and upper edge of the last, Hz.
        settings: how long a segment is, and how many segments and bands to name.

    Returns:
        Segments, then bands; those that deviate most first.
    """
    segment_s = settings.segment_s
    above = np.maximum(reference.deviation_map(errors, machine_id), 0) ** 2
    segment_numbers = (times_s // segment_s).astype(int)
    by_time = np.bincount(segment_numbers, weights=above.sum(axis=1))
    # segments differ by a window: by the sum, the longer ones would win
    mean_by_time = by_time / np.maximum(np.bincount(segment_numbers), 1)
    by_band = np.maximum(reference.peak_deviation(errors, machine_id), 0) ** 2
    places = []
    for rank, number in enumerate(_highest(mean_by_time, settings.segments), start=1):
        start = number * segment_s
        share = float(by_time[number] / by_time.sum())
        places.append(Place(TIME, rank, float(start), float(start + segment_s), share))
    for rank, band in enumerate(_highest(by_band, settings.bands), start=1):
        low, high = band_edges_hz[band : band + 2]
        share = float(by_band[band] / by_band.sum())
        places.append(Place(FREQUENCY, rank, float(low), float(high), share))
    return places


class _Moments:
    """Running mean and standard deviation of rows, one a column."""

    def __init__(self) -> None:
        self.count = 0

    def add(self, rows: np.ndarray) -> None:
        if not self.count:
            # sums around a first guess, so that squares lose no digits
            self.guess = rows.mean(axis=0)
            self.sums = self.squares = np.zeros_like(self.guess)
        difference = rows - self.guess
        self.count += len(rows)
        self.sums = self.sums + difference.sum(axis=0)
        self.squares = self.squares + (difference**2).sum(axis=0)

    def mean(self) -> np.ndarray:
        mean: np.ndarray = self.guess + self.sums / self.count
        return mean

    def deviation(self) -> np.ndarray:
        mean = self.sums / self.count
        deviation: np.ndarray = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0))
        return deviation


def _normal_errors(moments: _Moments, peaks: list[np.ndarray]) -> NormalErrors:
    return NormalErrors(moments.mean(), _without_zeros(moments.deviation()), np.mean(peaks, axis=0))


def _within_deviations(peaks: Mapping[str, list[np.ndarray]]) -> np.ndarray:
    """Return the standard deviation of each band around the means of the machine IDs."""
    rest = np.concatenate([np.array(of_id) - np.mean(of_id, axis=0) for of_id in peaks.values()])
    return _without_zeros(np.sqrt((rest**2).sum(axis=0) / max(len(rest) - len(peaks), 1)))


def _most(deviations: np.ndarray, channels: int) -> np.ndarray:
    """Return the largest deviation of each mel band over the channels, the last axis."""
    if channels == 1:
        return deviations
    largest: np.ndarray = deviations.reshape(*deviations.shape[:-1], channels, -1).max(axis=-2)
    return largest


def _without_zeros(deviations: np.ndarray) -> np.ndarray:
    # a band that never varies is not rescaled
    return np.where(deviations > 0, deviations, 1.0)


def _logarithms(errors: np.ndarray) -> np.ndarray:
    logarithms: np.ndarray = np.log(errors.astype(np.float64) + _SMALLEST_ERROR)
    return logarithms


def _peaks(errors: np.ndarray, percentile: float) -> np.ndarray:
    return np.percentile(errors.astype(np.float64), percentile, axis=0)


def _highest(values: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the highest values above 0, highest first."""
    return np.argsort(-values, kind="stable")[: min(count, np.count_nonzero(values > 0))]
