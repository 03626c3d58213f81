"""``FramesDataset`` keeps the log-mel frames of each clip in a file of its own."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset
from tqdm import tqdm

from anomalous_sound.compute.threads import in_threads, torch_threads
from anomalous_sound.features.frames import Frames, PromisedFrames
from anomalous_sound.storage.array_store import ArrayStore

logger = logging.getLogger(__name__)

INDEX_FILE = "index.parquet"
INDEX_COLUMNS = ["clip_id", "key", "frames", "crc32", "channels"]


class FramesDataset(AbstractDataset[Mapping[str, PromisedFrames], Frames]):
    """``FramesDataset`` saves frames clip by clip and loads them without reading them.

    It saves a mapping of clip ID to ``PromisedFrames``. Those whose key is there already are kept;
    the others are computed in a few threads, so that only a few clips are in memory at a time. The
    folder holds ``<key>.npy`` (float32, frames × mel bands, one file per clip) and
    ``index.parquet`` (``clip_id, key, frames, crc32, channels``). Each file is written whole or not
    at all, and the index last, so that the next run picks up what a killed one has computed. A file
    whose checksum is no longer that of the index is computed anew; checking takes 0.2 s for 1,000
    clips of 10 s.

    Example usage for the YAML API:

    ```yaml
    log_mel:
      type: anomalous_sound.datasets.FramesDataset
      filepath: data/03_primary/press_3/log_mel
    ```

    Example usage for the Python API:

    ```pycon
    >>> import numpy as np
    >>> from anomalous_sound.features.frames import PromisedFrames
    >>> from anomalous_sound.datasets import FramesDataset
    >>> dataset = FramesDataset(filepath=tmp_path / "log_mel")
    >>> promised = PromisedFrames("key", lambda: np.zeros((313, 128), np.float32))
    >>> dataset.save({"a.wav": promised})
    >>> dataset.load().clip("a.wav").shape
    (313, 128)

    ```
    """

    def __init__(
        self, *, filepath: str, jobs: int = 1, metadata: dict[str, Any] | None = None
    ) -> None:
        """Create the dataset.

        Args:
            filepath: the folder: a path, or a URL that fsspec understands.
            jobs: threads that compute frames; -1: as many as there are cores.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._filepath = str(filepath)
        self._jobs = jobs
        self.metadata = metadata

    def load(self) -> Frames:
        """Open the frames; they are read from their files where they are used."""
        store = ArrayStore(self._filepath)
        index = _read_index(store)
        # an index of an earlier version has no channels
        return Frames(index, store, int(index.get("channels", pd.Series(1)).max()))

    def save(self, data: Mapping[str, PromisedFrames]) -> None:
        """Write the frames of all clips, and compute those that are not there."""
        store = ArrayStore(self._filepath)
        earlier = _earlier_index(store)
        known_of_key = _frames_there(store, data.values(), earlier)
        there = set(known_of_key)
        wanted = [(clip_id, promised.key) for clip_id, promised in data.items()]
        known = set(earlier.key)
        listed = list(zip(earlier.clip_id, earlier.key, strict=True))
        if wanted == listed and known <= there and listed:
            logger.info("Log-mel frames: all %d clips re-used, none computed.", len(wanted))
            return
        # clips that hold the same audio share a key, and are computed once
        missing = {p.key: p for p in data.values() if p.key not in there}
        tasks = (partial(_compute, store, promised) for promised in missing.values())
        with torch_threads(1):
            computed = tqdm(
                zip(missing, in_threads(tasks, self._jobs), strict=True),
                **{"desc": "log-mel", "unit": "clip", "total": len(missing)},
                **{"disable": None, "delay": 1},
            )
            known_of_key |= dict(computed)
        rows = [
            (clip_id, one.key, *known_of_key[one.key], one.channels)
            for clip_id, one in data.items()
        ]
        with store.replaced_file(INDEX_FILE) as file:
            pd.DataFrame(rows, columns=INDEX_COLUMNS).to_parquet(file)
        store.keep_only(known_of_key)
        resumed = sum(key in there and key not in known for _, key in wanted)
        logger.info(
            "Log-mel frames: %d clips computed, %d re-used, %d taken from an interrupted run.",
            *(len(missing), len(wanted) - len(missing) - resumed, resumed),
        )

    def _exists(self) -> bool:
        try:
            ArrayStore(self._filepath).open_file(INDEX_FILE).close()
        except FileNotFoundError:
            return False
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


def _read_index(store: ArrayStore) -> pd.DataFrame:
    with store.open_file(INDEX_FILE) as file:
        return pd.read_parquet(file)


def _earlier_index(store: ArrayStore) -> pd.DataFrame:
    """Return the index of an earlier run; without rows if there is none that can be read."""
    try:
        index = _read_index(store)
    except (OSError, ValueError):
        index = pd.DataFrame()
    usable = list(index.columns) == INDEX_COLUMNS
    return index if usable else pd.DataFrame(columns=INDEX_COLUMNS)


def _frames_there(
    store: ArrayStore, wanted: Collection[PromisedFrames], earlier: pd.DataFrame
) -> dict[str, tuple[int, int]]:
    """Return number and checksum of the frames of each key whose file is there and undamaged."""
    listed = dict(zip(earlier.key, zip(earlier.frames, earlier.crc32, strict=True), strict=True))
    there = {}
    for promised in {one.key: one for one in wanted}.values():
        try:
            _, n_bands = store.shape(promised.key)
            found = _known(store.read(promised.key))
        except (OSError, ValueError):
            continue
        if found != listed.get(promised.key, found):
            logger.warning("%s is damaged; it is computed anew.", store.path(promised.key))
        elif n_bands == (promised.n_bands or n_bands):
            there[promised.key] = found
    return there


def _compute(store: ArrayStore, promised: PromisedFrames) -> tuple[int, int]:
    """Compute and write the frames of one clip; return what :func:`_known` does."""
    frames = np.ascontiguousarray(promised.compute(), dtype=np.float32)
    store.write(promised.key, frames)
    return _known(frames)


def _known(frames: np.ndarray) -> tuple[int, int]:
    """Return what the index knows of the frames of a clip: their number and checksum."""
    return len(frames), zlib.crc32(frames.data)
