"""A folder of recordings, decoded only when asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.corpus.decode import AudioFile, Recording, decode_recording, to_channels
from anomalous_sound.corpus.segments import Span
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.sources.layout import ClipFacts
from anomalous_sound.sources.tables import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ClipPlace:
    """Where the sound of a clip is found.

    Attributes:
        recording: the path of its file below the corpus folder.
        span: its part of the recording; None: all of it.
        sha256: of the file's bytes, or the digest of the part's samples, when clips were listed.
    """

    recording: str
    span: Span | None
    sha256: str


def clip_places(clips: pd.DataFrame) -> dict[str, ClipPlace]:
    """Say of each clip where its sound is found.

    Args:
        clips: ``clip_id, recording, start_s, duration_s, sample_rate, sha256`` a clip.

    Returns:
        The place of each clip ID.
    """
    columns = clips[["clip_id", "recording", "start_s", "duration_s", "sample_rate", "sha256"]]
    places = {}
    for clip_id, recording, start_s, duration_s, rate, sha256 in columns.itertuples(index=False):
        start = round(start_s * rate)
        span = None if clip_id == recording else Span(start, start + round(duration_s * rate))
        places[clip_id] = ClipPlace(recording, span, sha256)
    return places


@dataclass(frozen=True)
class AudioCorpus:
    """A folder of recordings, decoded only when asked for.

    Attributes:
        name: what reports call it.
        folder_name: name of its folder; the machine type where no folder below it says one.
        simulated: whether the sound was made by a program; every report says so.
        recordings: the file of each recording, by its path below the folder.
        labels: contents of ``labels.csv``, where the folder holds one.
        faults: contents of ``faults.csv``: where each fault sounds, where the folder holds one.
        published: what is known of recordings beside their names, by their paths.
    """

    name: str
    folder_name: str
    simulated: bool
    recordings: Mapping[str, AudioFile] = field(repr=False)
    labels: Table | None = None
    faults: Table | None = None
    published: Mapping[str, ClipFacts] = field(default_factory=dict, repr=False)

    def mono_clip(self, clip: str | ClipPlace, audio: AudioSettings) -> np.ndarray:
        """Decode a clip to mono samples to be heard or drawn: the mean of the channels judged.

        Args:
            clip: where it is found, or the path of a recording that is a clip whole.
            audio: the form to bring it to.

        Returns:
            float32 samples, full scale ±1.

        Raises:
            InputError: see :meth:`channels`.
        """
        mean: np.ndarray = self.channels(clip, audio).mean(axis=0)
        return mean

    def channels(self, clip: str | ClipPlace, audio: AudioSettings) -> np.ndarray:
        """Decode a clip of the table of clips to the channels judged; see :func:`to_channels`.

        Args:
            clip: where it is found, or the path of a recording that is a clip whole.
            audio: the form to bring it to.

        Returns:
            float32, channels × samples, full scale ±1.

        Raises:
            InputError: it could be read when the clips were listed, and can no longer, or it is
                not what was listed any more.
        """
        place = clip if isinstance(clip, ClipPlace) else ClipPlace(clip, None, "")
        return channels_of(self.file_of(place), place, audio)

    def file_of(self, place: ClipPlace) -> AudioFile:
        """Return the file in which a clip is found.

        Raises:
            InputError: it was there when the clips were listed, and is there no longer.
        """
        if place.recording not in self.recordings:
            raise InputError(
                f"{place.recording} was there when the clips were listed, and is there no longer; "
                "run again."
            )
        return self.recordings[place.recording]


def channels_of(file: AudioFile, place: ClipPlace, audio: AudioSettings) -> np.ndarray:
    """Decode a clip of a file to the channels judged; see :meth:`AudioCorpus.channels`."""
    try:
        return to_channels(_decode(file, place, audio), audio)
    except UnreadableClipError as error:
        raise InputError(
            f"{place.recording} was changed while the run was reading it: {error}; run again."
        ) from error


def _decode(file: AudioFile, place: ClipPlace, audio: AudioSettings) -> Recording:
    if place.span is None:
        content = file.content(audio)
        found, recording = hashlib.sha256(content).hexdigest(), decode_recording(content, audio)
    else:
        recording = file.recording(place.span, audio=audio)
        found = recording.digest()
    if place.sha256 not in ("", found):
        raise UnreadableClipError("it holds other audio than before")
    return recording
