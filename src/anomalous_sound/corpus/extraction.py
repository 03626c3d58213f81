"""From the recordings of a corpus to their log-mel frames, computed when they are asked for."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pandas as pd

from anomalous_sound.configuration.features import FeatureSettings
from anomalous_sound.corpus.audio_corpus import AudioCorpus, ClipPlace, channels_of, clip_places
from anomalous_sound.corpus.checks import decoding_identity
from anomalous_sound.corpus.decode import AudioFile
from anomalous_sound.features import log_mel
from anomalous_sound.features.frames import PromisedFrames
from anomalous_sound.features.log_mel import log_mel_frames
from anomalous_sound.storage.identity import code_identity, identity


def promise_log_mel(
    corpus: AudioCorpus, clips: pd.DataFrame, features: FeatureSettings
) -> dict[str, PromisedFrames]:
    """Promise the log-mel spectrogram of each clip.

    Args:
        corpus: the recordings.
        clips: the table of clips.
        features: how a recording is turned into frames.

    Returns:
        For each clip ID the promise of float32 frames × mel bands, dB; see :func:`.log_mel_frames`.

    Raises:
        InputError: a recording is not there any more.
    """
    code = extraction_identity()
    return {
        clip_id: PromisedFrames(
            identity(sha256=place.sha256, features=features, code=code),
            # the file alone, not the corpus: a promise may travel to another machine
            partial(_log_mel_of_clip, corpus.file_of(place), place, features),
            len(features.audio.channels) * features.log_mel.n_mels,
            len(features.audio.channels),
        )
        for clip_id, place in clip_places(clips).items()
    }


@cache
def extraction_identity() -> str:
    """Return the identity of the code that turns a file into log-mel frames."""
    return identity(
        decoding=decoding_identity(),
        log_mel=code_identity(log_mel, distributions=["numpy"]),
    )


def _log_mel_of_clip(file: AudioFile, place: ClipPlace, features: FeatureSettings) -> np.ndarray:
    return log_mel_frames(channels_of(file, place, features.audio), features)
