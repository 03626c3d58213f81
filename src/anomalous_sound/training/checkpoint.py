"""Where an unfinished training is kept, so that it can go on."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Checkpoint:
    """One file that holds the last finished epoch of a training that was not finished."""

    path: Path

    def of_member(self, member: str) -> Checkpoint:
        """Return the checkpoint of one of several networks, by its name."""
        return Checkpoint(self.path.with_stem(f"{self.path.stem}_{member.replace('/', '_')}"))

    def exists(self) -> bool:
        """Whether a training was interrupted."""
        return self.path.is_file()

    def is_whole(self) -> bool:
        """Whether the file is as it was written: it is a zip archive with checksums."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.testzip() is None
        except (OSError, ValueError, NotImplementedError, EOFError, zipfile.BadZipFile):
            return False

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
