"""Where an unfinished training is kept, so that it can go on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Checkpoint:
    """One file that holds the last finished epoch of a training that was not finished."""

    path: Path

    def of_member(self, member: str) -> Checkpoint:
        """Return the checkpoint of the network of one machine ID."""
        return Checkpoint(self.path.with_stem(f"{self.path.stem}_id_{member}"))

    def exists(self) -> bool:
        """Whether a training was interrupted."""
        return self.path.is_file()

    def being_written(self) -> Path:
        """Return the name under which to write; :meth:`complete` makes it the checkpoint."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.with_suffix(".incomplete")

    def complete(self) -> None:
        """Replace the checkpoint by the one just written, in one step."""
        self.being_written().replace(self.path)

    def clear(self) -> None:
        """Forget the checkpoint: the training is finished, or it belongs to another one."""
        self.path.unlink(missing_ok=True)


def training_fingerprint(settings: Mapping[str, Any], training: Mapping[str, Any]) -> str:
    """Return a digest of all that a training depends on, except for how many epochs it lasts."""
    import torch

    from anomalous_sound import __version__

    content = {
        "settings": settings,
        "training": {key: value for key, value in training.items() if key != "epochs"},
        "versions": [__version__, torch.__version__],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
