"""``OriginDataset`` is what a run was asked for, and what it is made with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError

from anomalous_sound.provenance.origin import Origin, origin


class OriginDataset(AbstractDataset[Origin, Origin]):
    """``OriginDataset`` loads a description of the run that loads it; nothing is saved.

    Example usage for the YAML API:

    ```yaml
    origin:
      type: anomalous_sound.datasets.OriginDataset
      path: .
      environment: ${environment:}
      profile: ${runtime_params:profile,${globals:profile}}
      given: ${given_parameters:}
      source: ${globals:source}
    ```

    Example usage for the Python API:

    ```pycon
    >>> from anomalous_sound.datasets import OriginDataset
    >>> dataset = OriginDataset(
    ...     path=tmp_path,
    ...     environment=None,
    ...     profile="standard",
    ...     given={"seed": 2},
    ...     source="simulated",
    ... )
    >>> dataset.load().given
    {'seed': 2}

    ```
    """

    def __init__(
        self,
        *,
        path: str,
        environment: str | None,
        profile: str,
        given: dict[str, Any],
        source: str,
        audio_dir: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Create the dataset.

        Args:
            path: folder of the project.
            environment: of Kedro.
            profile: of the parameters.
            given: the parameters given for this run.
            source: ``simulated`` or ``published``.
            audio_dir: a folder of recordings, if these are loaded instead.
            metadata: anything; ignored by Kedro, read by plugins such as kedro-viz.
        """
        self._project = Path(path)
        self._asked = {"environment": environment, "profile": profile, "source": source}
        self._given = dict(given) | ({} if audio_dir is None else {"audio_dir": audio_dir})
        self.metadata = metadata

    def load(self) -> Origin:
        """Describe the run."""
        return origin(self._project, given=self._given, **self._asked)

    def save(self, data: Origin) -> None:
        """Refuse: a run is described and not written."""
        raise DatasetError("what a run is made with is read only")

    def _describe(self) -> dict[str, Any]:
        return {"project": str(self._project), **self._asked}
