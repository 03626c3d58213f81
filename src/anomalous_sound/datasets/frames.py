"""``FramesDataset`` keeps the log-mel frames of all clips in one array on disk."""

from __future__ import annotations

import json
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from tqdm import tqdm

from anomalous_sound.compute.threads import in_threads, torch_threads
from anomalous_sound.features.frames import Frames, PromisedFrames
from anomalous_sound.storage.atomic import replace_folder
from anomalous_sound.storage.row_file import RowFile, write_header

logger = logging.getLogger(__name__)

INDEX_COLUMNS = ["clip_id", "first_frame", "frames", "key", "checksum"]
FRAMES_FILE, INDEX_FILE, JOURNAL_FILE = "frames.npy", "index.parquet", "journal.jsonl"


class FramesDataset(AbstractDataset[Mapping[str, PromisedFrames], Frames]):
    """``FramesDataset`` saves frames clip by clip and loads them without reading them.

    It saves a mapping of clip ID to ``PromisedFrames``. Those whose key is there already are kept;
    the others are computed in some threads, so that a few clips are in memory at a time. The folder
    holds ``frames.npy`` (all frames, one clip after the other) and ``index.parquet`` (``clip_id,
    first_frame, frames, key, checksum``), so clips of any length fit. It appears whole or not at
    all; a writing that was killed is gone on with by the next one, from the last clip whose
    checksum is right.

    Example usage for the YAML API:

    ```yaml
    log_mel:
      type: anomalous_sound.datasets.FramesDataset
      path: data/03_primary/log_mel
    ```

    Example usage for the Python API:

    ```pycon
    >>> import numpy as np
    >>> from anomalous_sound.features.frames import PromisedFrames
    >>> from anomalous_sound.datasets import FramesDataset
    >>> dataset = FramesDataset(path=tmp_path / "log_mel")
    >>> promised = PromisedFrames("key", lambda: np.zeros((313, 128), np.float32))
    >>> dataset.save({"a.wav": promised})
    >>> dataset.load().clip("a.wav").shape
    (313, 128)

    ```
    """

    def __init__(self, *, path: str, jobs: int = 1, metadata: dict[str, Any] | None = None) -> None:
        """Create the dataset.

        Args:
            path: the folder.
            jobs: threads that compute frames; -1: as many as there are cores.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._path = Path(path)
        self._jobs = jobs
        self.metadata = metadata

    def load(self) -> Frames:
        """Open the frames; they are read from disk where they are used."""
        index = pd.read_parquet(self._path / INDEX_FILE)
        return Frames(RowFile(self._path / FRAMES_FILE), index)

    def save(self, data: Mapping[str, PromisedFrames]) -> None:
        """Write the frames of all clips, and compute those that are not there."""
        there = self._earlier()
        wanted = [(clip_id, promised.key) for clip_id, promised in data.items()]
        if there and wanted == list(zip(there.index.clip_id, there.index.key, strict=True)):
            logger.info("Log-mel frames: all %d clips re-used, none computed.", len(wanted))
            return
        with torch_threads(1), _Writing(self._path) as writing:
            resumed = writing.resume(wanted)
            reused = computed = 0
            known = dict(zip(there.index.key, there.index.clip_id, strict=True)) if there else {}
            remaining = list(data.items())[resumed:]
            missing = (promised.compute for _, promised in remaining if promised.key not in known)
            frames_of_missing = in_threads(missing, self._jobs)
            for clip_id, promised in tqdm(
                remaining, desc="log-mel", unit="clip", disable=None, delay=1
            ):
                if there and promised.key in known:
                    reused += 1
                    frames = there.clip(known[promised.key])
                else:
                    computed += 1
                    frames = next(frames_of_missing)
                writing.append(clip_id, promised.key, frames)
            writing.complete()
        logger.info(
            "Log-mel frames: %d clips computed, %d re-used, %d taken from an interrupted run.",
            *(computed, reused, resumed),
        )

    def _earlier(self) -> Frames | None:
        """Return the frames of an earlier run, if they are there and whole."""
        try:
            frames = self.load()
        except DatasetError:
            return None
        whole = set(INDEX_COLUMNS) <= set(frames.index.columns)
        whole = whole and frames.index.frames.sum() == len(frames.values)
        return frames if whole else None

    def _exists(self) -> bool:
        return (self._path / INDEX_FILE).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}


class _Writing:
    """A folder of frames in the making, with a journal from which it can be gone on with."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = path.with_name(path.name + ".incomplete")
        self._rows: list[dict[str, Any]] = []
        self._n_bands = 0
        self._file: BinaryIO
        self._journal: BinaryIO

    def __enter__(self) -> _Writing:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in (FRAMES_FILE, JOURNAL_FILE):
            (self._folder / name).touch()
        self._file = (self._folder / FRAMES_FILE).open("r+b")
        self._journal = (self._folder / JOURNAL_FILE).open("r+b")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._journal.close()

    def resume(self, wanted: list[tuple[str, str]]) -> int:
        """Keep what an interrupted run has written of the same clips, as far as it is whole.

        Returns:
            The number of clips that need not be written again.
        """
        kept_bytes = 0
        for (clip_id, key), line in zip(wanted, self._journal.readlines(), strict=False):
            row = _journal_row(line)
            if row is None or (row["clip_id"], row["key"]) != (clip_id, key):
                break
            if not self._rows:
                self._n_bands = row["n_bands"]
                self._file.seek(0)
                write_header(self._file, 0, self._n_bands, "<f4")
            content = self._file.read(row["frames"] * self._n_bands * 4)
            if zlib.crc32(content) != row["checksum"]:
                break
            self._rows.append(row)
            kept_bytes += len(line)
        self._truncate(kept_bytes)
        return len(self._rows)

    def _truncate(self, journal_bytes: int) -> None:
        self._journal.seek(journal_bytes)
        self._journal.truncate()
        self._file.seek(0)
        if self._rows:
            write_header(self._file, 0, self._n_bands, "<f4")
            self._file.seek(self._total * self._n_bands * 4, 1)
        self._file.truncate()

    @property
    def _total(self) -> int:
        return sum(row["first_frame"] + row["frames"] for row in self._rows[-1:])

    def append(self, clip_id: str, key: str, frames: np.ndarray) -> None:
        """Write the frames of one more clip."""
        frames = np.ascontiguousarray(frames, dtype=np.float32)
        if not self._rows:
            self._n_bands = frames.shape[1]
            write_header(self._file, 0, self._n_bands, "<f4")
        content = frames.tobytes()
        row = {
            "clip_id": clip_id,
            "first_frame": self._total,
            "frames": len(frames),
            "key": key,
            "checksum": zlib.crc32(content),
            "n_bands": self._n_bands,
        }
        self._file.write(content)
        self._file.flush()
        self._journal.write(json.dumps(row).encode() + b"\n")
        self._journal.flush()
        self._rows.append(row)

    def complete(self) -> None:
        """Put the folder in the place of the earlier one."""
        self._file.seek(0)
        write_header(self._file, self._total, self._n_bands, "<f4")
        self._file.close()
        pd.DataFrame(self._rows, columns=INDEX_COLUMNS).to_parquet(self._folder / INDEX_FILE)
        self._journal.close()
        (self._folder / JOURNAL_FILE).unlink()
        replace_folder(self._folder, self._path)


def _journal_row(line: bytes) -> dict[str, Any] | None:
    """Read a line of the journal; the last one of a killed run may be torn."""
    try:
        return json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
