"""Decode and check each recording once, not again while its bytes and the settings stay."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import pandas as pd

from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.corpus import decode
from anomalous_sound.corpus.decode import AudioFile, decode_recording, to_mono
from anomalous_sound.errors import UnreadableClipError
from anomalous_sound.storage.identity import code_identity, identity


@dataclass(frozen=True)
class ClipCheck:
    """What decoding a recording has shown.

    Attributes:
        key: identity of the file's bytes, the settings and the code that read it; empty if the
            file could not be read at all.
        sha256: of the file's bytes, as ``sha256sum`` prints it.
        reason: why it cannot be used; empty if it can. The rest is then of no meaning.
        sample_rate: Hz, as recorded.
        channels: number of them, as recorded.
        duration_s: seconds, as recorded.
        mono_samples: samples of the mono clip at the methods' rate.
        mono_sha256: of the mono clip: the same audio in another format has the same.
    """

    key: str = ""
    sha256: str = ""
    reason: str = ""
    sample_rate: int = 0
    channels: int = 0
    duration_s: float = 0.0
    mono_samples: int = 0
    mono_sha256: str = ""


CHECK_COLUMNS = [field.name for field in dataclasses.fields(ClipCheck)]


class ClipChecks:
    """Checks of recordings, those of an earlier run included.

    Attributes:
        reused: checks taken from the earlier run.
        computed: checks made anew.
    """

    def __init__(self, earlier: pd.DataFrame | None = None) -> None:
        """Take over what an earlier run has found (CHECK_COLUMNS), if anything."""
        self._earlier: dict[str, ClipCheck] = {}
        if earlier is not None and list(earlier.columns) == CHECK_COLUMNS:
            checks = (ClipCheck(*row) for row in earlier.itertuples(index=False))
            self._earlier = {check.key: check for check in checks}
        self._asked: dict[str, ClipCheck] = {}
        self.reused = self.computed = 0

    def check_all(
        self, files: Iterable[AudioFile], audio: AudioSettings, *, jobs: int = 1
    ) -> Iterator[ClipCheck]:
        """Decode files and check that they can be used, or find that this was done before.

        Args:
            files: any number.
            audio: the form in which they are to be read.
            jobs: threads; -1: as many as there are cores.

        Yields:
            What was found of each file, in their order.
        """
        tasks = (partial(self._find, file, audio) for file in files)
        for found in in_threads(tasks, jobs):
            if found.key in self._earlier:
                self.reused += 1
            elif found.key:
                self.computed += 1
            if found.key:
                self._asked[found.key] = found
            yield found

    def _find(self, file: AudioFile, audio: AudioSettings) -> ClipCheck:
        try:
            content = file.content(audio)
        except UnreadableClipError as error:
            return ClipCheck(reason=str(error))
        sha256 = hashlib.sha256(content).hexdigest()
        key = identity(sha256=sha256, audio=audio, code=decoding_identity())
        return self._earlier.get(key) or _check(key, sha256, content, audio)

    def table(self) -> pd.DataFrame:
        """Return the checks that were asked for, CHECK_COLUMNS, one row each."""
        rows = [dataclasses.asdict(check) for check in self._asked.values()]
        return pd.DataFrame(rows, columns=CHECK_COLUMNS)


@cache
def decoding_identity() -> str:
    """Return the identity of the code that turns a file into mono samples."""
    return code_identity(decode, distributions=["soundfile", "soxr"])


def _check(key: str, sha256: str, content: bytes, audio: AudioSettings) -> ClipCheck:
    try:
        recording = decode_recording(content, audio)
        mono = to_mono(recording, sample_rate=audio.sample_rate, channel=audio.channel)
    except UnreadableClipError as error:
        return ClipCheck(key, sha256, reason=str(error))
    return ClipCheck(
        key,
        sha256,
        sample_rate=recording.sample_rate,
        channels=recording.channels,
        duration_s=recording.duration_s,
        mono_samples=len(mono),
        mono_sha256=hashlib.sha256(mono.data).hexdigest(),
    )
