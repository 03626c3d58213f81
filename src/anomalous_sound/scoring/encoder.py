"""From clips to embeddings of a frozen encoder, in the form that errors of networks have."""

from __future__ import annotations

import time
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np

from anomalous_sound.errors import UnreadableClipError
from anomalous_sound.methods.embedding import EncoderSettings
from anomalous_sound.methods.embedding.encoder import FrozenEncoder, embedding_of, open_session
from anomalous_sound.methods.trained import SHARED
from anomalous_sound.scoring.band_errors import ClipErrors


class ClipEncoder:
    """An encoder, ready to be applied to one clip after the other, from several threads."""

    def __init__(self, encoder: FrozenEncoder) -> None:
        """Remember the encoder; its file is read when the first clip needs it."""
        self._encoder = encoder
        self._opening = Lock()

    def errors(self, clip_id: str, by_channel: np.ndarray) -> ClipErrors:
        """Return the embeddings of one clip, in the place of the errors of a network.

        Args:
            clip_id: what to call the clip.
            by_channel: float32, channels × samples.

        Returns:
            A "window" for each time, a "band" for each value of an embedding, unrounded; of several
            channels the values of one after those of the other.

        Raises:
            UnreadableClipError: the clip is too short, or the encoder fails on it.
            InputError: the encoder is not there, or is another one.
        """
        started = time.perf_counter()
        found = np.concatenate([self.embeddings(samples) for samples in by_channel], axis=1)
        seconds = time.perf_counter() - started
        return ClipErrors(clip_id, (SHARED,), found[None], found.mean(axis=1)[None], seconds)

    def embeddings(self, samples: np.ndarray) -> np.ndarray:
        """Return the embeddings of mono samples, float32: times × values, piece after piece."""
        with self._opening:
            session = self._session
        file = self._encoder.file
        settings = self._encoder.description.network
        assert isinstance(settings, EncoderSettings)
        found = []
        for piece in pieces(samples, file.piece, file.hop, pad=settings.rest == "pad"):
            try:
                (of_piece,) = session.run([file.output], {file.input: piece[None]})
                found.append(embedding_of(of_piece, file.output))
            except Exception as error:  # of many types
                said = str(error).strip().partition("\n")[0]
                raise UnreadableClipError(
                    f"the encoder fails on {len(piece)} samples of it: {said}"
                ) from error
        return np.concatenate(found)

    @cached_property
    def _session(self) -> Any:
        return open_session(self._encoder.file.content())


def pieces(
    samples: np.ndarray, length: int | None, hop: int | None, *, pad: bool
) -> list[np.ndarray]:
    """Cut a clip into the pieces that an encoder reads.

    Args:
        samples: of the clip.
        length: of a piece, samples; None: the clip is not cut.
        hop: from one piece to the next, samples.
        pad: whether what no whole piece covers is a piece too, filled up with zeros; otherwise it
            is left out.

    Raises:
        UnreadableClipError: no piece is left.

    Example:
        >>> pieces(np.arange(5), 2, 2, pad=True)[-1]
        array([4, 0])
    """
    if length is None or hop is None:
        return [samples]
    whole = max((len(samples) - length) // hop + 1, 0)
    cut = [samples[n * hop : n * hop + length] for n in range(whole)]
    covered = (whole - 1) * hop + length if whole else 0
    if pad and covered < len(samples):
        rest = samples[whole * hop :]
        cut.append(np.pad(rest, (0, length - len(rest))))
    if not cut:
        raise UnreadableClipError(
            f"it is too short: {len(samples)} samples, and the encoder reads pieces of {length}"
        )
    return cut
