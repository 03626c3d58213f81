"""``AudioFolderDataset`` reads a folder of recordings, each decoded only when asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from anomalous_sound.corpus.audio_corpus import AudioCorpus
from anomalous_sound.corpus.folder import open_corpus
from anomalous_sound.errors import InputError
from anomalous_sound.storage.remote import RemotePath, place_of


class AudioFolderDataset(AbstractDataset[Any, AudioCorpus]):
    """``AudioFolderDataset`` loads the recordings below a folder as an ``AudioCorpus``.

    The recordings are read where they lie and never written. A ``labels.csv`` in the folder is
    read with them; a ``corpus.json`` (``name``, ``simulated``) says what reports call the corpus.

    Example usage for the YAML API:

    ```yaml
    raw_audio:
      type: anomalous_sound.datasets.AudioFolderDataset
      audio_dir: recordings/slider
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import AudioFolderDataset
    >>> corpus = AudioFolderDataset(audio_dir=audio_dir).load()
    >>> recording = corpus.recordings["train/normal_id_00_00000000.wav"].recording()
    >>> recording.sample_rate
    16000

    ```
    """

    def __init__(self, *, audio_dir: str | None, metadata: dict[str, Any] | None = None) -> None:
        """Create the dataset.

        Args:
            audio_dir: the folder, or a single file, absolute or relative to the working directory,
                or a URL that fsspec understands; None: there is nothing to load.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._audio_dir = None if audio_dir is None else str(audio_dir)
        self.metadata = metadata

    @property
    def place(self) -> Path | RemotePath | None:
        """Where the recordings lie, absolute; None: nowhere. Nothing is read or made."""
        if self._audio_dir is None:
            return None
        place = place_of(self._audio_dir)
        return place if isinstance(place, RemotePath) else place.resolve()

    def _folder(self) -> Path | RemotePath:
        if self._audio_dir is None:
            raise InputError(
                "there are no recordings to read: give a folder of them, or a file: "
                "--params audio_dir=DIR."
            )
        return place_of(self._audio_dir)

    def load(self) -> AudioCorpus:
        """List the recordings.

        Raises:
            InputError: no folder is given, or it does not exist or holds no audio.
        """
        return open_corpus(self._folder(), "audio_dir")

    def save(self, data: Any) -> None:
        """Refuse: recordings are read only."""
        raise DatasetError("recordings are read only")

    def _exists(self) -> bool:
        if self._audio_dir is None:
            return False
        place = self._folder()
        return place.is_file() or place.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"audio_dir": self._audio_dir}
