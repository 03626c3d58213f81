"""Files behind a URL that fsspec understands, such as ``s3://bucket/folder``."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

from anomalous_sound.errors import InputError

_AT_ONCE = 1 << 26  # bytes; what is larger is read in pieces, as they are asked for


def is_url(place: object) -> bool:
    """Return whether a place is a URL, and not a path."""
    return "://" in str(place)


def without_secrets(uri: str) -> str:
    """Return a URI as it may be shown, without password and query, which may hold a token.

    >>> without_secrets("http://ada:secret@host/runs?token=secret")
    'http://ada:***@host/runs?***'
    """
    if not is_url(uri):
        return uri
    parts = shown = urlsplit(uri)
    if parts.password is not None:
        place = parts.netloc.rpartition("@")[2]
        shown = shown._replace(netloc=f"{parts.username}:***@{place}")
    if parts.query:
        shown = shown._replace(query="***")
    return uri if shown == parts else urlunsplit(shown)


@dataclass(frozen=True)
class RemotePath:
    """As much of :class:`pathlib.Path` as reading recordings takes, for a URL.

    It is small, and can be pickled: what connects is made where it is used, once a process.

    Attributes:
        url: the whole of it.
        size: bytes of the file, where it is known.
    """

    url: str
    size: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(f"{self.url.rstrip('/')}/{name}")

    @property
    def parent(self) -> RemotePath:
        """What it lies in."""
        return RemotePath(self.url.rstrip("/").rpartition("/")[0])

    @property
    def name(self) -> str:
        """The last part of it."""
        return self._pure.name

    @property
    def stem(self) -> str:
        """Its name without the suffix."""
        return self._pure.stem

    @property
    def suffix(self) -> str:
        """The end of its name, with the dot."""
        return self._pure.suffix

    @property
    def _pure(self) -> PurePosixPath:
        return PurePosixPath(self.url.partition("://")[2])

    def is_file(self) -> bool:
        """Return whether it is a file."""
        return self.size is not None or bool(self._asked("isfile"))

    def is_dir(self) -> bool:
        """Return whether anything lies below it."""
        return bool(self._asked("isdir"))

    def length(self) -> int:
        """Return the number of its bytes."""
        return int(self._asked("size")) if self.size is None else self.size

    def open(
        self, mode: str = "rb", *, encoding: str | None = None, newline: str | None = None
    ) -> IO[Any]:
        """Open it for reading, as bytes or as text."""
        if self.length() <= _AT_ONCE:
            file: BinaryIO = io.BytesIO(self._asked("cat_file"))
        else:
            file = self._asked("open")
        if "b" in mode:
            return file
        return io.TextIOWrapper(file, encoding=encoding, newline=newline)

    def write_bytes(self, content: bytes) -> None:
        """Replace it, whole or not at all where the storage keeps objects."""
        self._asked("pipe_file", content)

    def unlink(self) -> None:
        """Remove it, if it is there."""
        with suppress(FileNotFoundError):
            self._asked("rm_file")

    def read_text(self, encoding: str) -> str:
        """Return its content as text."""
        with self.open("r", encoding=encoding) as file:
            content: str = file.read()
            return content

    def glob(self, pattern: str) -> list[RemotePath]:
        """Return what lies in it by names of a pattern, sorted."""
        return [
            self / path.rpartition("/")[2]
            for path in sorted(self._asked("glob", below=f"/{pattern}"))
        ]

    def files_below(self) -> Iterator[tuple[str, RemotePath]]:
        """Yield each file below it and where it lies from here, sorted by that.

        What begins with a dot, or lies in something that does, is left out.
        """
        start = len(self._path.rstrip("/")) + 1
        for path, facts in sorted(self._asked("find", detail=True).items()):
            name = path[start:]
            if not any(part.startswith(".") for part in name.split("/")):
                yield name, RemotePath((self / name).url, int(facts["size"]))

    @property
    def _path(self) -> str:
        return str(_file_system(self.url)[1])

    def _asked(self, method: str, *given: Any, below: str = "", **options: Any) -> Any:
        """Ask the file system something of this path.

        Raises:
            FileNotFoundError: there is no such file.
            PermissionError: it may not be read.
            InputError: what is behind the URL does not answer, or cannot be asked.
        """
        files, path = _file_system(self.url)
        try:
            return getattr(files, method)(path + below, *given, **options)
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:  # of any library that speaks to a storage
            raise InputError(
                f"{without_secrets(self.url)} cannot be reached: "
                f"{str(error).replace(self.url, without_secrets(self.url))}; see that the storage "
                "answers and that its credentials are known where this happened, and run again."
            ) from error


def _file_system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, the same for a process, and the path in it.

    Raises:
        InputError: what reads such URLs is not installed, or there is no such kind of URL.
    """
    from fsspec.core import url_to_fs

    try:
        # others write there, too: what was listed before is not believed
        found: tuple[Any, str] = url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"{without_secrets(url)} cannot be used: {error} (for s3://, pip install "
            "'anomalous-sound[cluster]')."
        ) from error
    except OSError as error:  # some connect at once
        raise InputError(f"{without_secrets(url)} cannot be reached: {error}.") from error
    return found


def place_of(given: str) -> Path | RemotePath:
    """Return a folder or file that the user gave, as a path or as a URL."""
    return RemotePath(given.rstrip("/")) if is_url(given) else Path(given).expanduser()


@contextmanager
def fetched_folder(url: str) -> Iterator[Path]:
    """Give a local copy of a small folder while it is read; empty where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        for name, file in RemotePath(url).files_below():
            path = Path(folder, name)
            if not path.resolve().is_relative_to(Path(folder).resolve()):
                raise InputError(
                    f"{url} holds an object whose name leads out of it: {file.url!r}; nothing was "
                    "read. Whoever put it there may mean harm."
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.open().read())
        yield Path(folder)


@contextmanager
def sent_folder(url: str, *, last: str) -> Iterator[Path]:
    """Give a local folder to write into; at the end its files are sent to a URL.

    Args:
        url: where to.
        last: the file that is sent last: it says of the others what they are.
    """
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "folder")
        yield folder
        there = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        for file in sorted(there, key=lambda file: file.name == last):
            remote = RemotePath(url) / file.relative_to(folder).as_posix()
            remote.write_bytes(file.read_bytes())
