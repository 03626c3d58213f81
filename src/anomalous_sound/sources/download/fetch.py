"""Download one file: resumed after a break, retried, and trusted only once its md5 is right.

urllib3 retries until an answer begins. The published archives hold up to 10 GB, so a download also
resumes where it stopped, in the same run or the next. pooch, the usual library for this, starts a
broken download anew and compares no size, so that little more than the call of an md5 would be its.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.util.retry import Retry

from anomalous_sound.errors import InputError
from anomalous_sound.sources.download.disk import check_room, in_words, is_full
from anomalous_sound.sources.download.settings import DownloadSettings

logger = logging.getLogger(__name__)

OK, PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE, TOO_MANY_REQUESTS = 200, 206, 416, 429
_TRANSIENT = (TOO_MANY_REQUESTS, *range(500, 600))
# raised if a connection breaks off, or falls silent, after the answer has begun
_BROKEN_OFF = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes:
        name: its local name.
        url: its address.
        md5: of its contents, in hexadecimal digits.
        bytes: its size; None if it is not known beforehand.
    """

    name: str
    url: str
    md5: str
    bytes: int | None


def fetch(file: RemoteFile, folder: Path, settings: DownloadSettings) -> Path:
    """Download a file, unless it exists, and check its md5.

    What has been received is kept in ``<name>.part`` until its md5 has been checked; an interrupted
    download continues from there. A file that was put into the folder by hand is checked in the
    same way, and never removed.

    Args:
        file: what to download.
        folder: where to put it.
        settings: how to download.

    Returns:
        Path of the file, whose md5 is right.

    Raises:
        InputError: the file cannot be downloaded, is not the published one, or there is no room
            for it.
    """
    path = folder / file.name
    if path.exists():
        _check_put_by_hand(file, path)
        return path
    return _Download(file, path, settings).run()


def md5_of(path: Path) -> str:
    """Return the md5 of a file's contents."""
    with path.open("rb") as contents:
        return hashlib.file_digest(contents, "md5").hexdigest()


def _check_put_by_hand(file: RemoteFile, path: Path) -> None:
    logger.info("Checking %s, which exists.", path)
    try:
        found = md5_of(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if found != file.md5:
        raise InputError(
            f"{path} is not the published file: its md5 is {found}, expected {file.md5}; replace "
            f"it with the file from {file.url}, or remove it to have it downloaded."
        )


class _LoggedRetry(Retry):
    """Logs each retry, and each request of the server to wait: that may be minutes."""

    def increment(self, *arguments: Any, **named: Any) -> Self:
        left = super().increment(*arguments, **named)
        response, error = named.get("response"), named.get("error")
        reason = f"it answers {response.status}" if response is not None else reason_of(error)
        logger.warning("The server has not sent the file yet (%s); trying again.", reason)
        return left

    def sleep_for_retry(self, response: Any) -> bool:
        if wait := self.get_retry_after(response):
            logger.warning("The server asks to wait %.0f s.", wait)
        return super().sleep_for_retry(response)


def retrying_session(settings: DownloadSettings) -> requests.Session:
    """Return a session that retries until an answer begins."""
    session = requests.Session()
    retry = _LoggedRetry(
        total=settings.retries,
        status_forcelist=_TRANSIENT,
        backoff_factor=settings.backoff_s,
        backoff_max=settings.max_backoff_s,
        raise_on_status=False,
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    # no compression: a range counts the bytes of what is sent
    session.headers["Accept-Encoding"] = "identity"
    return session


class _Download:
    def __init__(self, file: RemoteFile, path: Path, settings: DownloadSettings) -> None:
        self._file = file
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._settings = settings
        self._total = file.bytes
        self._by_hand = (
            f"get it in another way and save it as {path}; its md5 ({file.md5}) is checked before "
            "it is used"
        )

    def run(self) -> Path:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for last_attempt in (False, True):
                self._complete()
                found = md5_of(self._part)
                if found == self._file.md5:
                    self._part.replace(self._path)
                    return self._path
                self._part.unlink()
                if not last_attempt:
                    logger.warning(
                        "%s has the wrong md5 (%s, expected %s); downloading it once more.",
                        *(self._file.name, found, self._file.md5),
                    )
        except requests.RequestException as error:
            raise InputError(
                f"{self._file.name} cannot be downloaded from {self._file.url} "
                f"({reason_of(error)}); try again later with the same command, which resumes where "
                f"it stopped, or {self._by_hand}."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        raise InputError(
            f"{self._file.name} from {self._file.url} arrived twice with the wrong md5: {found}, "
            f"expected {self._file.md5}; nothing of it was kept. Either it is damaged on the way, "
            f"or the published file has changed: {self._by_hand}."
        )

    def _unwritable(self, error: OSError) -> InputError:
        if not is_full(error):
            return InputError(f"{self._part} cannot be written: {error}.")
        missing = "more room"
        if self._total is not None:
            missing = f"{in_words(self._needed(self._total))} more, to download and unpack it"
        return InputError(
            f"{self._part}: the disk is full; {self._file.name} needs {missing}. Make room and "
            "give the same command again; it resumes where it stopped."
        )

    def _arrived(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _needed(self, total: int) -> int:
        return round(total * (1 + self._settings.unpacked_ratio)) - self._arrived()

    def _check_room(self, total: int) -> None:
        check_room(self._path.parent, self._needed(total), f"{self._file.name} with its contents")

    def _complete(self) -> None:
        """Receive until the part is complete, however often the connection breaks off."""
        if self._total is not None:
            if self._arrived() > self._total:
                self._part.unlink()
            self._check_room(self._total)
        failures, furthest = 0, self._arrived()
        with retrying_session(self._settings) as session, self._bar() as bar:
            while self._arrived() != self._total:
                try:
                    self._receive(session, bar)
                    return
                except _BROKEN_OFF as error:
                    if self._arrived() > furthest:
                        failures, furthest = 0, self._arrived()
                    if failures == self._settings.retries:
                        raise
                    pause = min(
                        self._settings.backoff_s * 2**failures, self._settings.max_backoff_s
                    )
                    failures += 1
                    logger.warning(
                        "The connection broke off after %s of %s (%s); resuming in %.1f s.",
                        *(in_words(self._arrived()), self._file.name, reason_of(error), pause),
                    )
                    time.sleep(pause)

    def _bar(self) -> tqdm:
        return tqdm(
            total=self._total,
            initial=self._arrived(),
            desc=self._file.name,
            unit="B",
            unit_scale=True,
            disable=None,
        )

    def _ask(self, session: requests.Session, start: int) -> requests.Response:
        try:
            return session.get(
                self._file.url,
                headers={"Range": f"bytes={start}-"} if start else {},
                stream=True,
                timeout=self._settings.timeout_s,
            )
        except _BROKEN_OFF as error:  # the session has used up its retries
            raise requests.RequestException(reason_of(error)) from error

    def _receive(self, session: requests.Session, bar: tqdm) -> None:
        """Receive what is missing, or everything if the server does not support ranges."""
        start = self._arrived()
        with self._ask(session, start) as response:
            status = response.status_code
            if start and not _continues(response, start):
                if status == RANGE_NOT_SATISFIABLE and _size_of(response) == start:
                    return  # nothing is missing; only the size was not known
                if status in (PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE):
                    self._part.unlink()
                    self._receive(session, bar)
                    return
                start = 0
            if status != (PARTIAL_CONTENT if start else OK):
                raise self._refused(response)
            self._check_size(response, start)
            bar.total, bar.n = self._total, start
            bar.refresh()
            with self._part.open("ab" if start else "wb") as part:
                for chunk in response.iter_content(self._settings.chunk_bytes):
                    part.write(chunk)
                    bar.update(len(chunk))
        if self._total is not None and self._arrived() < self._total:
            raise requests.ConnectionError(f"it ended at {in_words(self._arrived())}")

    def _check_size(self, response: requests.Response, start: int) -> None:
        """Compare the size of the answer with the known one, or take it from there."""
        length = response.headers.get("Content-Length", "")
        if not length.isdecimal():
            return
        size = start + int(length)
        if self._file.bytes is None:
            self._total = size
            self._check_room(size)
        elif size != self._file.bytes:
            raise InputError(
                f"{self._file.url} answers with {size} bytes, and the published {self._file.name} "
                f"has {self._file.bytes}: the server sends something else, or the published file "
                f"has changed; {self._by_hand}."
            )

    def _refused(self, response: requests.Response) -> InputError:
        later = "try again later, or " if response.status_code in _TRANSIENT else ""
        return InputError(
            f"{self._file.name} cannot be downloaded: {self._file.url} answers "
            f"{response.status_code} {response.reason}; {later}{self._by_hand}."
        )


def _continues(response: requests.Response, start: int) -> bool:
    """Return whether an answer continues where the part ends."""
    sent = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return response.status_code == PARTIAL_CONTENT and sent is not None and int(sent[1]) == start


def _size_of(response: requests.Response) -> int | None:
    """Return the size of the whole file as an empty answer states it."""
    told = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
    return int(told[1]) if told else None


def reason_of(error: BaseException | None) -> str:
    """Return what went wrong below the layers of requests and urllib3, in a few words."""
    while error is not None and error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException) and reason is not error:
        return reason_of(reason)
    text = str(error.args[0] if error is not None and error.args else error)
    # urllib3 puts the object that failed before the reason
    return text.rpartition(">: ")[2].rpartition("): ")[2] or type(error).__name__
