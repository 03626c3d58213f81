"""``SimulatedAudioDataset`` is the recordings of the user's choice, or else simulated ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anomalous_sound.datasets.audio_folder import AudioFolderDataset
from anomalous_sound.storage.locks import one_writer


class SimulatedAudioDataset(AudioFolderDataset):
    """``SimulatedAudioDataset`` loads ``audio_dir`` if one is given, else a simulated corpus.

    The simulated corpus is written on first use, as wav files, and again whenever its settings
    have changed. A folder that was asked for is never replaced by simulated sound.

    Example usage for the YAML API:

    ```yaml
    raw_audio:
      type: anomalous_sound.datasets.SimulatedAudioDataset
      path: data/01_raw/simulated/slider
      simulation: ${globals:simulation}
      audio_dir: ${runtime_params:audio_dir,null}
      jobs: ${globals:jobs}
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import SimulatedAudioDataset
    >>> dataset = SimulatedAudioDataset(path=tmp_path / "simulated", simulation=simulation)
    >>> dataset.load().simulated
    True

    ```
    """

    def __init__(
        self,
        *,
        path: str,
        simulation: dict[str, Any],
        audio_dir: str | None = None,
        jobs: int = 1,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Create the dataset.

        Args:
            path: folder of the simulated corpus.
            simulation: its settings; see
                :class:`anomalous_sound.sources.simulation.settings.SimulationSettings`.
            audio_dir: a folder of recordings to load instead.
            jobs: clips simulated at once; -1: as many as there are cores.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        super().__init__(audio_dir=path if audio_dir is None else audio_dir, metadata=metadata)
        self._simulation = simulation if audio_dir is None else None
        self._jobs = jobs

    def _folder(self) -> Path:
        folder = super()._folder()
        if self._simulation is not None:
            from anomalous_sound.sources.simulation.corpus import is_current, write_corpus
            from anomalous_sound.sources.simulation.settings import SimulationSettings

            settings = SimulationSettings.parse(self._simulation)
            if not is_current(folder, settings):
                with one_writer(folder):  # runs of other names read the same corpus
                    if not is_current(folder, settings):
                        write_corpus(folder, settings, jobs=self._jobs)
        return folder

    def _exists(self) -> bool:
        return super()._folder().is_dir()
