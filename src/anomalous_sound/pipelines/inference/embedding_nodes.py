"""The node that applies a frozen encoder to clips, where others apply networks to windows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from anomalous_sound.compute.threads import in_threads
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import DetectorSettings
from anomalous_sound.corpus.audio_corpus import AudioCorpus, ClipPlace, clip_places
from anomalous_sound.errors import InputError, UnreadableClipError
from anomalous_sound.methods.embedding.encoder import FrozenEncoder
from anomalous_sound.scoring import pooling
from anomalous_sound.scoring.band_errors import ClipErrors
from anomalous_sound.scoring.channels import score_of_channels
from anomalous_sound.scoring.encoder import ClipEncoder


def embed_clips(
    raw_audio: AudioCorpus,
    clips: pd.DataFrame,
    network: FrozenEncoder,
    score: ScoreSettings,
    detector: DetectorSettings,
    jobs: int,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Apply the encoder to every clip, and pool what it says over time.

    Returns:
        ``pooled_errors``, a row a clip with a column for each value of the embedding, as
        :func:`.pooling.pool_errors` returns them; and ``seconds_per_clip``.

    Raises:
        InputError: the encoder cannot read a clip.
    """
    audio = network.description.features.audio
    encoder = ClipEncoder(network)
    seconds: list[float] = []

    def embedded(clip_id: str, place: ClipPlace) -> ClipErrors:
        try:
            return encoder.errors(clip_id, raw_audio.channels(place, audio))
        except UnreadableClipError as error:
            raise InputError(
                f"the clip {clip_id} has no embedding: {error}; leave such clips out "
                "(corpus.min_frames), or fill them up: embedding.encoder.rest=pad."
            ) from error

    def all_of_them() -> Iterator[ClipErrors]:
        tasks = (partial(embedded, *one) for one in clip_places(clips).items())
        for clip in in_threads(tasks, jobs):
            seconds.append(clip.seconds)
            yield clip

    def no_spectrum(_: str) -> np.ndarray:
        return np.empty((0, len(audio.channels)))  # the score reads embeddings alone

    of_clips = score_of_channels(score, audio, detector)
    pooled = pooling.pool_errors(all_of_them(), of_clips, no_spectrum)
    return pooled, {"seconds_per_clip": float(np.mean(seconds))}
