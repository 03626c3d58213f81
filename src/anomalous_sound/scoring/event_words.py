"""Events in words that claim no more than the deviation and the clip's own spectrogram show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from anomalous_sound.configuration.scoring import EventSettings, EventWordSettings
from anomalous_sound.scoring.band_levels import BandLevels
from anomalous_sound.scoring.events import Event, EventLimits, find_events

_LASTS = "all the time"


def list_events(
    deviations: np.ndarray,
    decibels: np.ndarray,
    limits: EventLimits,
    *,
    times_s: np.ndarray,
    frame_s: float,
    band_edges_hz: np.ndarray,
    levels: BandLevels | None,
    settings: EventSettings,
) -> list[dict[str, Any]]:
    """Find the events of a clip, and say what each is like.

    Args:
        deviations: windows × mel bands; see :func:`.events.find_events`.
        decibels: the clip's log-mel spectrogram, frames × mel bands, dB.
        limits: of normal clips.
        times_s: where each window's error lies in the clip, s.
        frame_s: from one frame to the next, s.
        band_edges_hz: lower edge of each mel band, and upper edge of the last, Hz.
        levels: what the clip's bands are compared with; None: with nothing.
        settings: how many are named, and with which words.

    Returns:
        EVENT_COLUMNS without ``clip_id``, the heaviest event first.
    """
    found = find_events(
        *(deviations, limits),
        times_s=times_s,
        band_edges_hz=band_edges_hz,
        count=settings.count,
    )
    words = describe(
        *(found, decibels),
        frame_s=frame_s,
        band_edges_hz=band_edges_hz,
        levels=levels,
        settings=settings.words,
    )
    return [
        {"rank": rank, **asdict(event), "words": text}
        for rank, (event, text) in enumerate(zip(found, words, strict=True), start=1)
    ]


def describe(
    events: Sequence[Event],
    decibels: np.ndarray,
    *,
    frame_s: float,
    band_edges_hz: np.ndarray,
    levels: BandLevels | None,
    settings: EventWordSettings,
) -> list[str]:
    """Say in words what each event of a clip is like.

    That a clip differs from normal says nothing of louder or quieter. So something is called a tone
    only if it is narrow, goes on for a while, and rises above the bands beside it, and a burst only
    if it is short and rises above what is around it; anything else just "differs".

    Args:
        events: those of one clip.
        decibels: its log-mel spectrogram, frames × mel bands, dB.
        frame_s: from one frame to the next, s; frame n lies around n × frame_s.
        band_edges_hz: lower edge of each mel band, and upper edge of the last, Hz.
        levels: the clip's mean spectrum and those of normal clips; None: nothing is called louder
            or quieter.
        settings: what is called narrow, lasting, regular and risen.

    Returns:
        A few words for each event; the events of a series, and others that are alike, share theirs.
    """
    spectrogram = _Spectrogram(decibels, frame_s, band_edges_hz)
    each = [_of_one(event, spectrogram, levels, settings) for event in events]
    alike = Counter(what for what, _ in each)
    words = [
        f"{what} {when}".strip() if alike[what] == 1 else _several(what) for what, when in each
    ]
    for members in _series(events, settings):
        ordered = sorted((events[index] for index in members), key=lambda event: event.start_s)
        period_s = _period_s([event.start_s for event in ordered], settings.irregularity)
        if period_s is None or max(event.end_s - event.start_s for event in ordered) >= period_s:
            continue
        risen = spectrogram.rise_over_time_db(ordered) >= settings.rise_db
        of_series = (
            f"{'bursts' if risen else 'differs'} {_how_often(period_s)} "
            f"{_where(_common(ordered), spectrogram, settings)}"
        )
        for index in members:
            words[index] = of_series
    return words


def in_hertz(frequency_hz: float) -> str:
    """Write a frequency with two significant digits, in Hz or kHz."""
    rounded = float(f"{frequency_hz:.2g}")
    return f"{rounded / 1000:.2g} kHz" if rounded >= 1000 else f"{rounded:.0f} Hz"


def frequency_range(low_hz: float, high_hz: float, lowest_hz: float, highest_hz: float) -> str:
    """Name a range of frequencies; one that reaches the end of all of them is open there.

    Args:
        low_hz: its lower end.
        high_hz: its upper end.
        lowest_hz: the lower end of all mel bands.
        highest_hz: the upper end of all mel bands.
    """
    is_open_below, is_open_above = low_hz <= lowest_hz, high_hz >= highest_hz
    if is_open_below and is_open_above:
        return "at all frequencies"
    if is_open_below:
        return f"below {in_hertz(high_hz)}"
    if is_open_above:
        return f"above {in_hertz(low_hz)}"
    return f"between {in_hertz(low_hz)} and {in_hertz(high_hz)}"


class _Spectrogram:
    """The spectrogram of a clip, by time and frequency."""

    def __init__(self, decibels: np.ndarray, frame_s: float, band_edges_hz: np.ndarray) -> None:
        self.decibels = decibels
        self.frame_s = frame_s
        self.edges_hz = band_edges_hz
        self.duration_s = len(decibels) * frame_s

    def frames(self, event: Event) -> slice:
        first = max(round(event.start_s / self.frame_s), 0)
        return slice(first, max(round(event.end_s / self.frame_s), first) + 1)

    def bands(self, event: Event) -> slice:
        # an edge of the event is an edge of a band, but for rounding
        first = int(np.abs(self.edges_hz - event.low_hz).argmin())
        last = int(np.abs(self.edges_hz - event.high_hz).argmin())
        return slice(first, max(last, first + 1))

    def rise_over_time_db(self, events: Sequence[Event]) -> float:
        """Return by how much the bands of events are louder in them than between them, dB."""
        bands = self.bands(_common(events))
        inside = np.zeros(len(self.decibels), dtype=bool)
        for event in events:
            inside[self.frames(event)] = True
        if inside.all():
            return 0.0
        levels = self.decibels[:, bands].mean(axis=1)
        return float(levels[inside].mean() - levels[~inside].mean())

    def rise_over_neighbours_db(self, event: Event) -> float:
        """Return by how much the loudest band of an event is above those beside the event, dB."""
        bands = self.bands(event)
        levels = self.decibels[self.frames(event)].mean(axis=0)
        reach = bands.stop - bands.start + 2
        beside = [
            levels[max(bands.start - reach, 0) : bands.start],
            levels[bands.stop : bands.stop + reach],
        ]
        higher = max(side.mean() for side in beside if len(side)) if len(levels) > reach else 0.0
        return float(levels[bands].max() - higher)


def _of_one(
    event: Event,
    spectrogram: _Spectrogram,
    levels: BandLevels | None,
    settings: EventWordSettings,
) -> tuple[str, str]:
    """Say what an event is like, and when it is."""
    where = _where(event, spectrogram, settings)
    length_s = event.end_s - event.start_s
    lasts = length_s >= settings.lasting * spectrogram.duration_s
    is_short = length_s <= settings.short_s
    when = f"at {event.peak_s:.1f} s" if is_short else f"from {_seconds(event)} s"
    is_tone = (
        _is_narrow(event, spectrogram, settings)
        and length_s >= settings.tone_s
        and spectrogram.rise_over_neighbours_db(event) >= settings.rise_db
    )
    if is_tone:
        return f"a tone {where}", "" if lasts else when
    if is_short and spectrogram.rise_over_time_db([event]) >= settings.rise_db:
        return f"a burst {where}", when
    if not lasts:
        return f"differs {where}", when
    change_db = 0.0 if levels is None else levels.change_db(spectrogram.bands(event))
    how = "differs"
    if abs(change_db) >= settings.rise_db:
        how = "louder" if change_db > 0 else "quieter"
    return f"{how} {where} {_LASTS}", ""


def _several(what: str) -> str:
    """Say that there are several alike, too irregular for a series."""
    if what.endswith(_LASTS):  # at neighbouring frequencies
        return what
    if what.startswith("a "):
        noun, _, rest = what.removeprefix("a ").partition(" ")
        return f"several {noun}s {rest}"
    return f"{what} several times"


def _seconds(event: Event) -> str:
    return f"{max(event.start_s, 0.0):.1f} to {event.end_s:.1f}"


def _is_narrow(event: Event, spectrogram: _Spectrogram, settings: EventWordSettings) -> bool:
    bands = spectrogram.bands(event)
    count: int = bands.stop - bands.start
    return count <= settings.narrow_bands


def _where(event: Event, spectrogram: _Spectrogram, settings: EventWordSettings) -> str:
    if _is_narrow(event, spectrogram, settings):
        return f"around {in_hertz(event.peak_hz)}"
    edges = spectrogram.edges_hz
    return frequency_range(event.low_hz, event.high_hz, edges[0], edges[-1])


def _series(events: Sequence[Event], settings: EventWordSettings) -> list[list[int]]:
    """Return the indices of events that share most of their frequencies, if there are enough."""
    groups: list[list[int]] = []
    for index, event in enumerate(events):
        for group in groups:
            if _overlap(events[group[0]], event) >= settings.overlap:
                group.append(index)
                break
        else:
            groups.append([index])
    return [group for group in groups if len(group) >= settings.series]


def _overlap(one: Event, other: Event) -> float:
    """Return the common part of two ranges of frequencies, over what both cover together."""
    common = min(one.high_hz, other.high_hz) - max(one.low_hz, other.low_hz)
    together = max(one.high_hz, other.high_hz) - min(one.low_hz, other.low_hz)
    return max(common, 0.0) / together


def _common(events: Sequence[Event]) -> Event:
    """Return the strongest of events, with the range of frequencies usual among them."""
    first = max(events, key=lambda event: event.share)
    low_hz = np.quantile([event.low_hz for event in events], 0.5, method="nearest")
    high_hz = np.quantile([event.high_hz for event in events], 0.5, method="nearest")
    return Event(
        first.start_s,
        first.end_s,
        float(low_hz),
        float(high_hz),
        first.share,
        first.peak_s,
        first.peak_hz,
    )


def _period_s(starts_s: Sequence[float], irregularity: float) -> float | None:
    """Return the time from one start to the next; None if they are not regular.

    A gap may hold several periods: an event too faint to be found leaves one out.
    """
    gaps = np.diff(starts_s)
    period = float(np.quantile(gaps, 0.5, method="lower"))
    if period <= 0:
        return None
    periods = np.round(gaps / period)
    if (periods < 1).any() or (np.abs(gaps / period - periods) > irregularity).any():
        return None
    return float(gaps.sum() / periods.sum())


def _how_often(period_s: float) -> str:
    if period_s < 0.75:
        return f"about {1 / period_s:.0f} times a second"
    if period_s < 1.25:
        return "about once a second"
    return f"about every {period_s:.1f} s"
