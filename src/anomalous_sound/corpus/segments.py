"""How recordings are cut into clips, and what the clips of a recording are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

# of a segment: a shorter rest at the end of a recording stays with the last clip
_LEAST_REST = 0.1
_PIECE = re.compile(r"@\d{6,}\.\d{3}$")


class SegmentSettings(Protocol):
    """What says how recordings are cut; any object with these attributes serves."""

    @property
    def segment_s(self) -> float | None:
        """Length of a clip, s; None: recordings are not cut."""
        ...

    @property
    def segment_hop_s(self) -> float | None:
        """From the start of one clip to that of the next, s; None: one length."""
        ...


@dataclass(frozen=True)
class Span:
    """A part of a recording.

    Attributes:
        start: its first sample, as recorded.
        stop: the sample after its last one.
    """

    start: int
    stop: int


def spans(samples: int, sample_rate: int, settings: SegmentSettings) -> list[Span]:
    """Cut a recording into clips.

    A recording of two segments and more is cut; a shorter one is one clip. A last clip ends with
    the recording and overlaps the one before, so that no sound is lost; but where less than a tenth
    of a segment is left, the last clip is longer by it.

    >>> from types import SimpleNamespace
    >>> settings = SimpleNamespace(segment_s=10.0, segment_hop_s=None)
    >>> spans(25, 1, settings)[-1]
    Span(start=15, stop=25)

    Args:
        samples: of the recording, as recorded.
        sample_rate: Hz, as recorded.
        settings: the length of a clip and the hop.

    Returns:
        The clips in their order; one for a recording that is not cut.
    """
    length = round((settings.segment_s or 0) * sample_rate)
    if not 0 < 2 * length <= samples:
        return [Span(0, samples)]
    hop = max((settings.segment_hop_s or settings.segment_s or 0) * sample_rate, 1.0)
    starts = [round(number * hop) for number in range(int((samples - length) / hop) + 1)]
    cut = [Span(start, start + length) for start in starts if start + length <= samples]
    rest = samples - cut[-1].stop
    if rest >= _LEAST_REST * length:
        cut.append(Span(samples - length, samples))
    elif rest:
        cut[-1] = Span(cut[-1].start, samples)
    return cut


def piece_id(recording: str, start_s: float) -> str:
    """Name a clip that is a part of a recording: names sort as the clips follow each other.

    >>> piece_id("monday/press.wav", 3620.0)
    'monday/press.wav@003620.000'
    """
    return f"{recording}@{start_s:010.3f}"


def recording_of(clip_id: str) -> str:
    """Return the recording of a clip: the clip itself, unless it was named by :func:`piece_id`.

    >>> recording_of("monday/press.wav@003620.000"), recording_of("monday/press@2.wav")
    ('monday/press.wav', 'monday/press@2.wav')
    """
    return _PIECE.sub("", clip_id)


def clock_time(seconds: float) -> str:
    """Write a moment of a recording as hours, minutes and seconds.

    >>> clock_time(3620.4)
    '1:00:20'
    """
    whole = int(seconds + 1e-6)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
