"""``PublishedAudioDataset`` is a published data set, downloaded on first use."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from anomalous_sound.corpus.clips import AudioCorpus
from anomalous_sound.corpus.decode import AudioFile
from anomalous_sound.corpus.folder import list_recordings, read_attributes
from anomalous_sound.datasets.audio_folder import AudioFolderDataset
from anomalous_sound.errors import InputError
from anomalous_sound.sources.dcase.published import evaluation_labels
from anomalous_sound.sources.download.archive import ensure_unpacked, is_unpacked
from anomalous_sound.sources.download.settings import PublishedArchives
from anomalous_sound.sources.layout import (
    EXPECTED_NAMES,
    LABELS_FILE,
    ClipFacts,
    identify_clips,
)
from anomalous_sound.storage.locks import one_writer
from anomalous_sound.vocabulary import Label, Split

logger = logging.getLogger(__name__)

ARCHIVES_FOLDER = "archives"


class PublishedAudioDataset(AudioFolderDataset):
    """``PublishedAudioDataset`` loads ``audio_dir`` if it is given, or else a published data set.

    On first use, only the archives of one machine type are downloaded, to ``<path>/archives/``.
    Each is checked and unpacked to ``<path>/<part>/<machine type>/``, with a ``source.json`` that
    gives the archive's name, md5, URL, licence and citation, and the date. Where there is no
    network, put the archives into ``<path>/archives/`` by hand. Test clips of a DCASE challenge's
    evaluation set get the labels that its organisers have published.

    Example usage for the YAML API:

    ```yaml
    raw_audio:
      type: anomalous_sound.datasets.PublishedAudioDataset
      name: DCASE 2020 Task 2
      path: data/01_raw/dcase2020
      archives:
        development:
          record: null            # or an address in Zenodo's API, for what is null here
          url: https://zenodo.org/records/3678171/files/{name}?download=1
          licence: CC BY-NC-SA 4.0
          citation: Koizumi et al. 2020
          files:
            slider:
              name: dev_data_slider.zip
              md5: da24a757719f0d94d5aa2d646bbfdc86
              bytes: 1002998966   # null where it is not known
      parts: [development]
      machine_type: slider
      challenge_year: 2020
      download: ${globals:download}
      audio_dir: ${runtime_params:audio_dir,null}
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import PublishedAudioDataset
    >>> dataset = PublishedAudioDataset(
    ...     name="DCASE 2020 Task 2",
    ...     path=tmp_path / "dcase2020",
    ...     archives=archives,
    ...     parts=["development"],
    ...     machine_type="slider",
    ...     download=download,
    ... )
    >>> sorted(dataset.load().recordings)[0]
    'development/slider/test/anomaly_id_00_00000000.wav'

    ```
    """

    def __init__(
        self,
        *,
        name: str,
        path: str,
        archives: dict[str, Any],
        parts: list[str],
        machine_type: str,
        download: dict[str, Any],
        challenge_year: int | None = None,
        audio_dir: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Create the dataset.

        Args:
            name: what reports call the data set.
            path: its folder.
            archives: for each part, a
                :class:`anomalous_sound.sources.download.settings.Part`.
            parts: the parts to load.
            machine_type: the machine type to load.
            download: a
                :class:`anomalous_sound.sources.download.settings.DownloadSettings`.
            challenge_year: of the DCASE challenge whose published labels are joined; None: none.
            audio_dir: a folder of recordings to load instead, without a download.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        super().__init__(audio_dir=path if audio_dir is None else audio_dir, metadata=metadata)
        self._is_published = audio_dir is None
        self._name = name
        self._archives = archives
        self._parts = parts
        self._machine_type = machine_type
        self._download = download
        self._challenge_year = challenge_year

    def load(self) -> AudioCorpus:
        """Download and unpack what is missing, and list the recordings.

        Raises:
            InputError: there is no such machine type or part, or an archive cannot be downloaded
                or unpacked, or holds something else than expected.
        """
        if not self._is_published:
            return self._with_labels(super().load())
        published = PublishedArchives.read(self._archives, self._download)
        recordings = {}
        root = self._folder()
        for name, (part, file) in published.choose(self._machine_type, self._parts).items():
            folder = self._unpacked(name)
            # runs of other names read the same data set
            with nullcontext() if is_unpacked(folder, file) else one_writer(folder):
                ensure_unpacked(folder, root / ARCHIVES_FOLDER, part, file, published.download)
            found = list_recordings(root, folder)
            if not found:
                raise InputError(
                    f"{folder} holds no audio, although {file.name} was unpacked there; remove "
                    "the folder and give the same command again."
                )
            self._check_layout(found, file.name)
            recordings |= found
        corpus = AudioCorpus(
            name=f"{self._name} {self._machine_type} ({', '.join(self._parts)})",
            folder_name=self._machine_type,
            simulated=False,
            recordings=recordings,
            published=read_attributes(recordings),
        )
        return self._with_labels(corpus)

    def _check_layout(self, recordings: dict[str, AudioFile], archive: str) -> None:
        """Refuse an archive in which no clip of the machine type is recognised."""
        try:
            identities, _ = identify_clips(sorted(recordings), self._machine_type)
        except InputError:  # no name was understood, and one speaks of a fault
            identities = {}
        for identity in identities.values():
            if identity.machine_id and identity.machine_type == self._machine_type:
                return
        raise InputError(
            f"{archive} has another layout than is understood, so nothing of it is used: it holds "
            f"{min(recordings)}, and expected is {self._machine_type}/ with {EXPECTED_NAMES}. "
            "Arrange its files so in a folder, and give that as audio_dir."
        )

    def _with_labels(self, corpus: AudioCorpus) -> AudioCorpus:
        """Join the labels that the organisers have published of an evaluation set."""
        if self._challenge_year is None or corpus.labels is not None:
            return corpus
        identities, _ = identify_clips(sorted(corpus.recordings), corpus.folder_name)
        facts = dict(corpus.published)
        unlabelled = []
        for clip_id, identity in identities.items():
            if (identity.label, identity.split) != (Label.UNKNOWN, Split.TEST):
                continue
            known = evaluation_labels(self._challenge_year, identity.machine_type)
            told = known.get(clip_id.rpartition("/")[2])
            if told is None:
                unlabelled.append(clip_id)
                continue
            earlier = facts.get(clip_id, ClipFacts())
            facts[clip_id] = replace(told, attributes=told.attributes or earlier.attributes)
        if unlabelled:
            logger.warning(
                "There is no label of %d test clips of DCASE %d Task 2, such as %s, among those "
                "that come with this package: they are scored and decided, and have no part in the "
                "figures. If you have their labels, put the clips into a folder with a %s, and "
                "give that as audio_dir.",
                *(len(unlabelled), self._challenge_year, unlabelled[0], LABELS_FILE),
            )
        return replace(corpus, published=facts)

    def _unpacked(self, part: str) -> Path:
        return self._folder() / part / self._machine_type

    def _exists(self) -> bool:
        if not self._is_published:
            return super()._exists()
        published = PublishedArchives.read(self._archives, self._download)
        chosen = published.choose(self._machine_type, self._parts)
        return all(is_unpacked(self._unpacked(part), file) for part, (_, file) in chosen.items())

    def _describe(self) -> dict[str, Any]:
        if not self._is_published:
            return super()._describe()
        return {
            "path": self._audio_dir,
            "parts": self._parts,
            "machine_type": self._machine_type,
        }
