"""How decibels are scaled before a network reads them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from anomalous_sound.configuration.features import ScalingSettings
from anomalous_sound.features.frames import Frames

Method = Literal["clip", "corpus", "band", "none"]
_NOTHING_FITTED = ("clip", "none")


@dataclass(frozen=True)
class Scaling:
    """A scaled value is (dB - offset) / span.

    Attributes:
        method: ``clip``: each clip's own minimum and maximum become 0 and 1, and nothing is
            fitted; ``corpus`` or ``band``: see :func:`fit_scaling`; ``none``: decibels stay.
        offset: dB; one number, or one per mel band; none where nothing is fitted.
        span: dB, above 0; as many numbers.
        channels: that stand side by side in a frame. ``clip`` is each channel's own minimum and
            maximum, ``band`` each mel band of each channel, ``corpus`` that of all channels.
    """

    method: Method
    offset: tuple[float, ...] = ()
    span: tuple[float, ...] = ()
    channels: int = 1

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(f"unknown scaling method {self.method!r}")
        has_none = self.method in _NOTHING_FITTED
        if len(self.offset) != len(self.span) or has_none != (not self.span):
            raise ValueError(
                f"scaling method {self.method!r} with {len(self.offset)} offsets and "
                f"{len(self.span)} spans"
            )

    def scaled(self, clip_frames: np.ndarray) -> np.ndarray:
        """Scale all frames of one clip.

        Args:
            clip_frames: float32, frames × mel bands, dB.

        Returns:
            float32, frames × mel bands.
        """
        offset, span = self.offset_and_span(clip_frames)
        scaled: np.ndarray = (clip_frames - offset) / span
        return scaled

    def offset_and_span(self, clip_frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return offset and span of one clip, each float32: one number, or one per mel band."""
        if self.method == "clip":
            by_channel = np.split(clip_frames, self.channels, axis=1)
            offset = np.array([one.min() for one in by_channel], dtype=np.float32)
            span = np.array([one.max() for one in by_channel], dtype=np.float32) - offset
            if self.channels > 1:
                bands = clip_frames.shape[1] // self.channels
                offset, span = np.repeat(offset, bands), np.repeat(span, bands)
        elif self.method == "none":
            offset, span = np.zeros(1, dtype=np.float32), np.ones(1, dtype=np.float32)
        else:
            offset = np.array(self.offset, dtype=np.float32)
            span = np.array(self.span, dtype=np.float32)
        return offset, _non_zero(span)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; :meth:`from_json` gives the same scaling, bit for bit."""
        values: dict[str, Any] = {"method": self.method}
        if self.method not in _NOTHING_FITTED:
            values |= {"offset": list(self.offset), "span": list(self.span)}
        # not of one channel: detectors of before several could be judged stay as they are
        return values | ({"channels": self.channels} if self.channels > 1 else {})

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Scaling:
        """Take over what :meth:`to_json` has returned.

        Raises:
            ValueError: the method is unknown, or offset and span do not fit it.
        """
        offset, span = (tuple(values.get(name, ())) for name in ("offset", "span"))
        return cls(values["method"], offset, span, values.get("channels", 1))


def fit_scaling(
    frames: Frames, training_clip_ids: Collection[str], settings: ScalingSettings
) -> Scaling:
    """Fit the scaling on normal training clips.

    ``corpus``: their minimum and maximum become 0 and 1. ``band``: each mel band gets mean 0 and
    standard deviation 1 over them. ``clip`` and ``none``: nothing is fitted.

    Args:
        frames: log-mel frames, dB.
        training_clip_ids: the clips to fit on.
        settings: the method.

    Returns:
        The scaling.
    """

    def training() -> Iterator[np.ndarray]:
        # clip by clip, so that memory does not grow with the corpus
        return (frames.clip(name) for name in frames.index.clip_id if name in training_clip_ids)

    if settings.method in _NOTHING_FITTED:
        return Scaling(settings.method, channels=frames.channels)
    if settings.method == "corpus":
        ends = [(float(clip.min()), float(clip.max())) for clip in training()]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        offset, span = np.array([low]), np.array([high - low])
    else:
        sums = [(len(clip), clip.sum(axis=0, dtype=np.float64)) for clip in training()]
        count = sum(number for number, _ in sums)
        offset = np.asarray(sum(of_clip for _, of_clip in sums)) / count
        squares = sum(((clip - offset) ** 2).sum(axis=0, dtype=np.float64) for clip in training())
        span = np.sqrt(squares / count)
    fitted = tuple(offset.tolist()), tuple(_non_zero(span).tolist())
    return Scaling(settings.method, *fitted, frames.channels)


def _non_zero(span: np.ndarray) -> np.ndarray:
    return np.where(span > 0, span, np.ones_like(span))
