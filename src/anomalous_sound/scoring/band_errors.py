"""The error of every window and mel band of every clip, kept compactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from anomalous_sound.storage.array_store import ArrayReader, ArraysInMemory, ArrayStore

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ClipErrors:
    """What scoring one clip gives.

    Attributes:
        clip_id: the clip.
        members: the networks that judged it.
        band_errors: float32, members × windows × mel bands: squared errors, averaged over target
            frames, as precise as they are kept; see :meth:`kept`. Where several channels are
            judged, the bands of one come after those of the other.
        window_errors: float32, members × windows: their mean over the mel bands, as it was
            computed.
        seconds: time that it took.
    """

    clip_id: str
    members: tuple[str, ...]
    band_errors: np.ndarray
    window_errors: np.ndarray
    seconds: float

    @classmethod
    def kept(
        cls, clip_id: str, members: Sequence[str], errors: np.ndarray, seconds: float
    ) -> ClipErrors:
        """Round band errors to what is kept of them.

        So whoever uses them at once gets the same numbers as who reads them from a file later.

        Args:
            clip_id: the clip.
            members: the networks that judged it.
            errors: float32, members × windows × mel bands.
            seconds: time that it took.
        """
        kept = squared(roots(errors))
        return cls(clip_id, tuple(members), kept, errors.mean(axis=-1), seconds)

    def by_channel(self, channels: int) -> list[ClipErrors]:
        """Take the errors of each channel apart; its window errors are the means of its bands.

        Args:
            channels: that stand side by side; their mel bands are as many.
        """
        return [
            ClipErrors(self.clip_id, self.members, errors, errors.mean(axis=-1), self.seconds)
            for errors in np.split(self.band_errors, channels, axis=-1)
        ]


@dataclass(frozen=True)
class ScoredClip:
    """What scoring one clip gives, but for its band errors, which are in a store.

    Attributes:
        clip_id: the clip.
        members: the networks that judged it.
        window_errors: float32, members × windows; see :class:`ClipErrors`.
        seconds: time that it took.
        key: of its band errors, and of all that they depend on.
    """

    clip_id: str
    members: tuple[str, ...]
    window_errors: np.ndarray
    seconds: float
    key: str


class ErrorStores(NamedTuple):
    """Where the errors of clips are kept, by key.

    Attributes:
        roots: float16 square roots of band errors, members × windows × mel bands.
        windows: float32, members × windows, and in one more row the seconds that it took.
    """

    roots: ArrayStore
    windows: ArrayStore

    def read_clip(self, clip_id: str, members: tuple[str, ...], key: str) -> ScoredClip | None:
        """Return a clip that was scored before; None if it was not, or its files are damaged."""
        try:
            *errors, seconds = self.windows.read(key)
            if self.roots.read(key).shape[:2] != (len(members), len(seconds)):
                return None
        except (OSError, ValueError):
            return None
        return ScoredClip(clip_id, members, np.array(errors), float(seconds[0]), key)

    def write_clip(self, clip: ClipErrors, key: str) -> ScoredClip:
        """Write the errors of a clip."""
        self.roots.write(key, roots(clip.band_errors))
        seconds = np.full_like(clip.window_errors[:1], clip.seconds)
        self.windows.write(key, np.concatenate([clip.window_errors, seconds]))
        return ScoredClip(clip.clip_id, clip.members, clip.window_errors, clip.seconds, key)


@runtime_checkable
class WritesErrors(Protocol):
    """The errors of clips, which may be written where they are computed: on other machines."""

    def write(self, stores: ErrorStores) -> Iterator[ScoredClip]:
        """Write the errors of clips that are not there yet; yield one clip after the other."""
        ...


def mean_over_members(errors: np.ndarray) -> np.ndarray:
    """Return the mean over the members, the first axis; of one member its errors, to the bit."""
    mean: np.ndarray = errors.mean(axis=0)
    return mean


def roots(band_errors: np.ndarray) -> np.ndarray:
    """Return the float16 square roots of errors.

    A relative precision of 0.1 % of each error, and far better of any mean.
    """
    kept: np.ndarray = np.sqrt(band_errors).astype("<f2")
    return kept


def squared(kept_roots: np.ndarray) -> np.ndarray:
    """Return the errors of float16 square roots, float32: no bit is lost."""
    errors: np.ndarray = np.square(kept_roots, dtype=np.float32)
    return errors


@dataclass(frozen=True)
class BandErrors:
    """The errors of all clips, one clip after the other.

    Attributes:
        index: one row a clip: ``clip_id, key, members, first_window, windows, seconds``; the first
            window is its place in ``window_errors``.
        roots: float16 square roots of band errors, members × windows × mel bands, by key.
        window_errors: float32, one a window and member, those of all clips one after the other, and
            of a clip those of one member after the other.
    """

    index: pd.DataFrame
    roots: ArrayReader
    window_errors: np.ndarray

    @classmethod
    def in_memory(cls, clips: Iterable[ClipErrors]) -> BandErrors:
        """Collect the errors of clips without writing them."""
        collected = CollectedErrors()
        kept = {collected.add(clip): roots(clip.band_errors) for clip in clips}
        return cls(collected.index(), ArraysInMemory(kept), collected.window_errors())

    def clip(self, clip_id: str) -> np.ndarray:
        """Return the squared errors of one clip: float32, members × windows × mel bands."""
        return squared(self.roots.read(self._keys[clip_id]))

    def __iter__(self) -> Iterator[ClipErrors]:
        """Yield the errors of one clip after the other."""
        for clip_id, members, window_errors, seconds in self._of_windows():
            yield ClipErrors(clip_id, members, self.clip(clip_id), window_errors, seconds)

    def mean_window_errors(self) -> np.ndarray:
        """Return the error of every window, the mean over the members: float32, clip by clip."""
        means = [mean_over_members(of_clip) for _, _, of_clip, _ in self._of_windows()]
        return np.concatenate(means)

    def _of_windows(self) -> Iterator[tuple[str, tuple[str, ...], np.ndarray, float]]:
        rows: list[dict[Any, Any]] = self.index.to_dict("records")
        for row in rows:
            members = tuple(row["members"])
            of_clip = self.window_errors[row["first_window"] :][: len(members) * row["windows"]]
            yield row["clip_id"], members, of_clip.reshape(len(members), -1), row["seconds"]

    @cached_property
    def _keys(self) -> dict[str, str]:
        return dict(zip(self.index.clip_id, self.index.key, strict=True))


class CollectedErrors:
    """What is kept of the errors of clips, but for the band errors themselves."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._window_errors: list[np.ndarray] = []
        self._windows = 0

    def add(self, clip: ClipErrors | ScoredClip) -> str:
        """Take one more clip and return the key for its band errors."""
        key = clip.key if isinstance(clip, ScoredClip) else f"clip_{len(self._rows):06d}"
        members, windows = clip.window_errors.shape
        self._rows.append(
            {
                "clip_id": clip.clip_id,
                "key": key,
                "members": list(clip.members),
                "first_window": self._windows,
                "windows": windows,
                "seconds": clip.seconds,
            }
        )
        self._window_errors.append(clip.window_errors.ravel())
        self._windows += members * windows
        return key

    def index(self) -> pd.DataFrame:
        """Return one row a clip, as :class:`BandErrors` has it."""
        import pandas as pd

        return pd.DataFrame(self._rows)

    def window_errors(self) -> np.ndarray:
        """Return the errors of all windows and members, as :class:`BandErrors` has them."""
        return np.concatenate(self._window_errors)
