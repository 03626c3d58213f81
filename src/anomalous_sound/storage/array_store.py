"""A folder of arrays, one npy file each."""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import IO, Any, Protocol
from uuid import uuid4

import numpy as np

from anomalous_sound.errors import InputError
from anomalous_sound.storage.atomic import told_if_unwritable
from anomalous_sound.storage.seal import changed, line_beside, name_beside

# storages that take an object whole or not at all, so that nothing has to be renamed
_OBJECTS = {"s3", "gs", "abfs", "memory"}
_CHECKSUM_BYTES = 4
_KEPT_BYTES = 1 << 30  # of arrays from another machine
_SUFFIX, _INCOMPLETE = ".npy", ".incomplete"
_READ_ONLY = os.O_RDONLY | getattr(os, "O_BINARY", 0)  # Windows alone has the second
_PLAIN_KEY = re.compile(r"[a-z0-9_-]{1,80}")


class ArrayReader(Protocol):
    """Arrays that are found by their key and read whole or in part."""

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of an array."""

    def read(self, key: str) -> np.ndarray:
        """Return a whole array."""

    def read_rows(self, key: str, start: int, stop: int) -> np.ndarray:
        """Return the rows from ``start`` up to, but without, ``stop``."""


@dataclass(frozen=True)
class ArraysInMemory:
    """Arrays that are in memory already, in place of an :class:`ArrayStore`.

    Attributes:
        arrays: by key.
    """

    arrays: Mapping[str, np.ndarray]

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of an array."""
        return self.arrays[key].shape

    def read(self, key: str) -> np.ndarray:
        """Return a whole array, not a copy."""
        return self.arrays[key]

    def read_rows(self, key: str, start: int, stop: int) -> np.ndarray:
        """Return a view of the rows from ``start`` up to, but without, ``stop``.

        Raises:
            ValueError: the array has no such rows.
        """
        array = self.arrays[key]
        _check_rows(key, len(array), start, stop)
        return array[start:stop]


@dataclass(frozen=True)
class _Layout:
    """Where the numbers of an npy file lie."""

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    is_sealed: bool

    @cached_property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @cached_property
    def bytes(self) -> int:
        return self.offset + math.prod(self.shape) * self.dtype.itemsize


class _Kept:
    """Arrays that were fetched last, up to a number of bytes; they do not travel."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}
        self._bytes = 0
        self._changing = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Kept, ()

    def array(self, key: str, fetch: Callable[[str], np.ndarray]) -> np.ndarray:
        found = self._arrays.get(key)
        array = fetch(key) if found is None else found
        self.forget(key)
        with self._changing:
            self._arrays[key] = array  # the last
            self._bytes += array.nbytes
            while self._bytes > _KEPT_BYTES and len(self._arrays) > 1:
                self._bytes -= self._arrays.pop(next(iter(self._arrays))).nbytes
        return array

    def forget(self, key: str) -> None:
        with self._changing:
            if (array := self._arrays.pop(key, None)) is not None:
                self._bytes -= array.nbytes


class ArrayStore:
    """A folder of npy files, each named by its key and written whole or not at all.

    Each ends with its checksum, of which readers of npy files know nothing, and which is looked at
    when an array is read whole, and before its first rows are read.

    No file stays open, so thousands of arrays and any number of reading processes are fine. What
    is kept in memory is the header of each file that was read: an array is not to change while its
    key stays the same.
    """

    def __init__(self, folder: str | Path) -> None:
        """Name the folder, which is made when the first array is written.

        Args:
            folder: a path, or a URL that fsspec understands (``s3://bucket/log_mel``).
        """
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        # others write there, too: what was listed before is not believed
        self._files, self._folder = url_to_fs(str(folder), use_listings_cache=False)
        self._is_local = isinstance(self._files, LocalFileSystem)
        protocol = self._files.protocol
        self._puts_whole = not _OBJECTS.isdisjoint(
            [protocol] if isinstance(protocol, str) else protocol
        )
        self._layouts: dict[str, _Layout] = {}
        self._sound: set[str] = set()  # keys of arrays that are as they were written
        self._kept = _Kept()

    @property
    def url(self) -> str:
        """The folder, as any process that reaches it can name it."""
        return str(self._files.unstrip_protocol(self._folder))

    def has(self, key: str) -> bool:
        """Return whether there is an array of this key."""
        return bool(self._files.exists(self.path(key)))

    def path(self, key: str) -> str:
        """Return the path of an array's file.

        The name is the key, if any file system accepts it, or else its digest.
        """
        plain = _PLAIN_KEY.fullmatch(key)
        # a digest carries a dot, so that it is never taken for a key
        name = key if plain else "sha256." + hashlib.sha256(key.encode()).hexdigest()
        return f"{self._folder}/{name}{_SUFFIX}"

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of an array, from the header of its file.

        Raises:
            FileNotFoundError: there is no array of this key.
            InputError: its file is damaged.
        """
        return self._layout(key).shape

    def __getstate__(self) -> dict[str, Any]:
        # of thousands of files, and soon read again
        return {**self.__dict__, "_layouts": {}, "_sound": set()}

    def read(self, key: str) -> np.ndarray:
        """Read a whole array, read-only; see :meth:`shape` for the errors."""
        path = self.path(key)
        if self._is_local:
            layout = self._layout(key)
            content = _read_bytes(path, 0, layout.bytes + _CHECKSUM_BYTES)
        else:  # at once: asking takes longer
            content = self._files.cat_file(path)
            layout = self._layouts[key] = _read_layout(io.BytesIO(content), path)
        if len(content) < layout.bytes:
            raise _damaged(path, f"it ends before row {layout.shape[0]}")
        if layout.is_sealed and content[layout.bytes :] != _checksum(content[: layout.bytes]):
            raise _damaged(path, "its checksum is that of other content")
        self._sound.add(key)
        values = np.frombuffer(content, layout.dtype, math.prod(layout.shape), layout.offset)
        return values.reshape(layout.shape)

    def read_rows(self, key: str, start: int, stop: int) -> np.ndarray:
        """Read the rows from ``start`` up to, but without, ``stop``; they are not to be written to.

        Raises:
            FileNotFoundError: there is no array of this key.
            InputError: its file is damaged.
            ValueError: it has no such rows.
        """
        if not self._is_local:  # a training asks thousands of times for a few rows
            whole = self._kept.array(key, self.read)
            _check_rows(key, len(whole), start, stop)
            return whole[start:stop]
        if key not in self._sound:
            self.read(key)
        layout = self._layout(key)
        _check_rows(key, layout.shape[0], start, stop)
        start_byte = layout.offset + start * layout.row_bytes
        count = (stop - start) * layout.row_bytes
        content = _read_bytes(layout.path, start_byte, count) if count else b""
        if len(content) != count:
            raise _damaged(layout.path, f"it ends before row {stop}")
        rows = np.frombuffer(content, layout.dtype)
        return rows.reshape(stop - start, *layout.shape[1:])

    def write(self, key: str, array: np.ndarray) -> None:
        """Write an array, whole or not at all."""
        with self.replaced_file(self.path(key).rsplit("/", 1)[1]) as file:
            content = io.BytesIO()
            np.save(content, np.ascontiguousarray(array))
            file.write(content.getvalue() + _checksum(content.getvalue()))
        self._layouts.pop(key, None)
        self._sound.discard(key)
        self._kept.forget(key)

    @contextmanager
    def replaced_file(self, name: str) -> Iterator[IO[bytes]]:
        """Give a temporary file to write into; at the end it gets its name in the folder.

        If writing fails, an earlier file of that name stays as it was.
        """
        if self._puts_whole:
            content = io.BytesIO()
            yield content
            self._files.pipe_file(f"{self._folder}/{name}", content.getvalue())
            return
        incomplete = f"{self._folder}/{name}.{uuid4().hex}{_INCOMPLETE}"
        with told_if_unwritable(Path(self._folder, name)) if self._is_local else nullcontext():
            self._files.makedirs(self._folder, exist_ok=True)
            try:
                with self._files.open(incomplete, "wb") as file:
                    yield file
                self._files.mv(incomplete, f"{self._folder}/{name}")
            except BaseException:
                if self._files.exists(incomplete):
                    self._files.rm_file(incomplete)
                raise

    def write_file(self, name: str, content: bytes) -> None:
        """Write another file of the folder, whole or not at all, and its checksum beside it."""
        beside = name_beside(name)
        if self.has_file(beside):
            self._files.rm_file(f"{self._folder}/{beside}")
        with self.replaced_file(name) as file:
            file.write(content)
        with self.replaced_file(beside) as file:
            file.write(line_beside(name, hashlib.sha256(content).hexdigest()))

    def read_file(self, name: str) -> bytes:
        """Return the content of another file of the folder.

        Raises:
            FileNotFoundError: there is no such file.
            InputError: it is not as it was written.
        """
        content = self._content(name)
        line = line_beside(name, hashlib.sha256(content).hexdigest())
        try:
            sealed = self._content(name_beside(name))
        except FileNotFoundError:  # of an earlier version
            return content
        if sealed != line:
            raise changed(f"{self._folder}/{name}")
        return content

    def _content(self, name: str) -> bytes:
        content: bytes = self._files.cat_file(f"{self._folder}/{name}")
        return content

    def has_file(self, name: str) -> bool:
        """Return whether there is another file of this name that can be opened."""
        try:
            self._files.open(f"{self._folder}/{name}", "rb").close()
        except FileNotFoundError:
            return False
        return True

    def keep_only(self, keys: Iterable[str]) -> None:
        """Remove all other arrays, and what killed processes have left half-written."""
        kept = {self.path(key) for key in keys}
        for path in self._files.ls(self._folder, detail=False):
            if path.endswith(_INCOMPLETE) or (path.endswith(_SUFFIX) and path not in kept):
                self._files.rm_file(path)

    def _layout(self, key: str) -> _Layout:
        if key not in self._layouts:
            path = self.path(key)
            with self._files.open(path, "rb") as file:
                self._layouts[key] = _read_layout(file, path)
        return self._layouts[key]


def _read_bytes(path: str, start: int, count: int) -> bytes:
    # four system calls: opening files is most of the time of gathering a batch of windows
    descriptor = os.open(path, _READ_ONLY)
    try:
        os.lseek(descriptor, start, os.SEEK_SET)
        return os.read(descriptor, count)
    finally:
        os.close(descriptor)


def _read_layout(file: IO[bytes], path: str) -> _Layout:
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("it has another version of the npy format")
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
        offset = file.tell()
        if is_fortran or not shape or dtype.hasobject:
            raise ValueError("it holds no rows one after the other")
        present, promised = file.seek(0, 2) - offset, math.prod(shape) * dtype.itemsize
        # those of an earlier version have no checksum
        if present not in (promised, promised + _CHECKSUM_BYTES):
            raise ValueError(f"it holds {present} bytes of {promised}")
    except Exception as error:  # numpy reads the header as Python's own parser does
        raise _damaged(path, str(error) or "its header ends early") from error
    return _Layout(path, shape, dtype, offset, is_sealed=present > promised)


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "little")


def _damaged(path: str, why: str) -> InputError:
    return InputError(
        f"{path} is damaged: {why}; run the whole pipeline again, and it is computed anew."
    )


def _check_rows(key: str, rows: int, start: int, stop: int) -> None:
    if not 0 <= start <= stop <= rows:
        raise ValueError(f"the array {key} has {rows} rows; rows {start} to {stop} were asked for")
