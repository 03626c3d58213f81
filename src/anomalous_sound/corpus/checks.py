"""Decode and check each recording once, not again while its bytes and the settings stay."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd

from anomalous_sound.compute.engine import spread
from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.compute import LOCAL, EngineSettings, LocalEngine
from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.corpus import decode, whole
from anomalous_sound.corpus import segments as cutting
from anomalous_sound.corpus.decode import AudioFile, Recording, to_channels
from anomalous_sound.corpus.segments import SegmentSettings, Span, spans
from anomalous_sound.errors import UnreadableClipError
from anomalous_sound.features.levels import crest_db, rms_dbfs
from anomalous_sound.storage.identity import code_identity, identity

_CHANGED = "it was changed while it was read; run again"


@dataclass(frozen=True)
class ClipCheck:
    """What decoding a clip has shown.

    Attributes:
        key: identity of the file's bytes, the settings and the code that read it; empty if the
            file could not be read at all.
        sha256: of the file's bytes, as ``sha256sum`` prints it; of a clip that is a part of its
            file, :meth:`.decode.Recording.digest`.
        reason: why it cannot be used; empty if it can. The rest is then of no meaning.
        is_part: whether it is a part of its file.
        start_s: where it begins in its file, s.
        sample_rate: Hz, as recorded.
        channels: number of them, as recorded.
        duration_s: seconds, as recorded.
        mono_samples: samples of the mono clip at the methods' rate.
        mono_sha256: of the mono clip: the same audio in another format has the same. Where several
            channels are judged, of all of them; so are the two that follow.
        level_dbfs: level of the mono clip, dB relative to full scale.
        crest_db: its peak above that, dB.
    """

    key: str = ""
    sha256: str = ""
    reason: str = ""
    is_part: bool = False
    start_s: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    duration_s: float = 0.0
    mono_samples: int = 0
    mono_sha256: str = ""
    level_dbfs: float = 0.0
    crest_db: float = 0.0


CHECK_COLUMNS = [*(field.name for field in dataclasses.fields(ClipCheck)), "checksum"]


class ClipChecks:
    """Checks of recordings, those of an earlier run included.

    Attributes:
        reused: checks taken from the earlier run.
        computed: checks made anew.
    """

    def __init__(self, earlier: pd.DataFrame | None = None) -> None:
        """Take over what an earlier run has found (CHECK_COLUMNS), if anything.

        What is not as it was written is not taken: a table on a disk may have been damaged.
        """
        found: dict[tuple[str, str], list[ClipCheck]] = {}
        if earlier is not None and list(earlier.columns) == CHECK_COLUMNS:
            for *row, checksum in earlier.itertuples(index=False, name=None):
                found.setdefault((str(row[0]), str(checksum)), []).append(ClipCheck(*row))
        whole = (one for one in found.items() if one[0][1] == _checksum(one[1]))
        self._earlier = {key: checks for (key, _), checks in whole}
        self._asked: dict[str, list[ClipCheck]] = {}
        self.reused = self.computed = 0

    def check_all(
        self,
        files: Iterable[AudioFile],
        audio: AudioSettings,
        segments: SegmentSettings,
        *,
        jobs: int = 1,
        engine: EngineSettings = LOCAL,
    ) -> Iterator[list[ClipCheck]]:
        """Decode files and check that they can be used, or find that this was done before.

        Args:
            files: any number.
            audio: the form in which they are to be read.
            segments: how recordings are cut into clips.
            jobs: threads; -1: as many as there are cores.
            engine: where it is done. On a cluster every file is decoded, known or not.

        Yields:
            What was found of the clips of each file, in their order: one check of a file that is
            one clip, or that cannot be read.
        """
        reading = _Reading(
            audio, segments, self._earlier if isinstance(engine, LocalEngine) else {}
        )
        for found in spread(
            _find, reading, files, engine=engine, locally=in_threads, jobs=jobs, what="clips"
        ):
            key = found[0].key
            if key in self._earlier:
                self.reused += len(found)
            elif key:
                self.computed += len(found)
            if key:
                self._asked[key] = found
            yield found

    def table(self) -> pd.DataFrame:
        """Return the checks that were asked for, CHECK_COLUMNS, one row each."""
        rows = [
            (*dataclasses.astuple(check), checksum)
            for found in self._asked.values()
            for checksum in [_checksum(found)]
            for check in found
        ]
        return pd.DataFrame(rows, columns=CHECK_COLUMNS)


def _checksum(checks: Sequence[ClipCheck]) -> str:
    """Return the checksum of what was found of all clips of a file."""
    return identity(checks=repr(checks))


@dataclass(frozen=True)
class _Reading:
    """How files are read, and what is known of some of them."""

    audio: AudioSettings
    segments: SegmentSettings
    earlier: Mapping[str, list[ClipCheck]]


def _find(reading: _Reading, file: AudioFile) -> list[ClipCheck]:
    try:
        held = file.held()
        sha256 = held.sha256()
    except UnreadableClipError as error:
        return [ClipCheck(reason=str(error))]
    audio, segments = reading.audio, reading.segments
    cut = [segments.segment_s, segments.segment_hop_s]
    key = identity(sha256=sha256, audio=audio, segments=cut, code=decoding_identity())
    if key in reading.earlier:
        return reading.earlier[key]
    found = _check(key, sha256, held, audio, segments)
    is_of_these_bytes = held is not file or _is_still(sha256, file)
    return found if is_of_these_bytes else [ClipCheck(reason=_CHANGED)]


def _is_still(sha256: str, file: AudioFile) -> bool:
    """Return whether a file that is read several times is what it was at first."""
    try:
        return file.sha256() == sha256
    except UnreadableClipError:
        return False


@cache
def decoding_identity() -> str:
    """Return the identity of the code that turns a file into mono samples."""
    return code_identity(decode, whole, cutting, distributions=["soundfile", "soxr"])


def _check(
    key: str, sha256: str, file: AudioFile, audio: AudioSettings, segments: SegmentSettings
) -> list[ClipCheck]:
    """Check the clips of a file, one after the other; no more than one is in memory."""
    try:
        form = file.form(audio)
        places = spans(form.samples, form.sample_rate, segments)
        if len(places) == 1:
            return [_check_clip(file.recording(audio=audio), audio, key=key, sha256=sha256)]
        return [_check_part(file, span, audio, key) for span in places]
    except UnreadableClipError as error:
        return [ClipCheck(key, sha256, reason=str(error))]


def _check_part(file: AudioFile, span: Span, audio: AudioSettings, key: str) -> ClipCheck:
    recording = file.recording(span, audio=audio)
    start_s = span.start / recording.sample_rate
    known: dict[str, Any] = {
        **{"key": key, "sha256": recording.digest()},
        **{"is_part": True, "start_s": start_s},
    }
    try:
        return _check_clip(recording, audio, **known)
    except UnreadableClipError as error:
        return ClipCheck(reason=str(error), **known)


def _check_clip(recording: Recording, audio: AudioSettings, **known: Any) -> ClipCheck:
    by_channel = to_channels(recording, audio)
    samples = by_channel.ravel()  # those of one channel after those of the other
    return ClipCheck(
        sample_rate=recording.sample_rate,
        channels=recording.channels,
        duration_s=recording.duration_s,
        mono_samples=by_channel.shape[1],
        mono_sha256=hashlib.sha256(samples.data).hexdigest(),
        level_dbfs=rms_dbfs(samples),
        crest_db=crest_db(samples),
        **known,
    )
