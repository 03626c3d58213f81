"""A folder of recordings, decoded only when asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import AudioSettings
from anomalous_sound.corpus.decode import AudioFile, decode_recording, to_mono
from anomalous_sound.errors import InputError, UnreadableClipError


@dataclass(frozen=True)
class AudioCorpus:
    """A folder of recordings, decoded only when asked for.

    Attributes:
        name: what reports call it.
        folder_name: name of its folder; the machine type where no folder below it says one.
        simulated: whether the sound was made by a program; every report says so.
        recordings: for each clip ID (its path below the folder) its file.
        labels: contents of ``labels.csv``, where the folder holds one.
        faults: contents of ``faults.csv``: where each fault sounds, where the folder holds one.
    """

    name: str
    folder_name: str
    simulated: bool
    recordings: Mapping[str, AudioFile] = field(repr=False)
    labels: pd.DataFrame | None = None
    faults: pd.DataFrame | None = None

    def mono_clip(
        self, clip_id: str, audio: AudioSettings, *, sha256: str | None = None
    ) -> np.ndarray:
        """Decode a clip of the table of clips to mono samples; see :func:`to_mono`.

        Args:
            clip_id: the clip.
            audio: the form to bring it to.
            sha256: of the file when the clips were listed, to be compared with what is there now.

        Returns:
            float32 samples, full scale ±1.

        Raises:
            InputError: it could be read when the clips were listed, and can no longer, or it is
                not the file of that ``sha256`` any more.
        """
        try:
            content = self.recordings[clip_id].content(audio)
            if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
                raise UnreadableClipError("it holds other audio than before")
            recording = decode_recording(content, audio)
            return to_mono(recording, sample_rate=audio.sample_rate, channel=audio.channel)
        except UnreadableClipError as error:
            raise InputError(
                f"{clip_id} was changed while the run was reading it: {error}; run again."
            ) from error
