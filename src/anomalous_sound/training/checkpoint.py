"""Where an unfinished training is kept, so that it can go on."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from anomalous_sound.storage.remote import RemotePath, place_of
from anomalous_sound.storage.seal import add_seal, without_seal


@dataclass(frozen=True)
class Checkpoint:
    """One file that holds the last finished epoch of a training that was not finished."""

    path: Path

    @property
    def place(self) -> str:
        """Where it is kept, a path or a URL, for :func:`checkpoint_at`."""
        return str(self.path.absolute())

    def of_member(self, member: str) -> Checkpoint:
        """Return the checkpoint of one of several networks, by its name."""
        return Checkpoint(self.path.with_stem(f"{self.path.stem}_{member.replace('/', '_')}"))

    def exists(self) -> bool:
        """Whether a training was interrupted."""
        return self.path.is_file()

    def content(self) -> bytes:
        """Return what was written.

        Raises:
            OSError: it cannot be read.
            ValueError: it is not as it was written.
        """
        return without_seal(self.path.read_bytes())

    def being_written(self) -> Path:
        """Return the name under which to write; :meth:`complete` makes it the checkpoint."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.with_suffix(".incomplete")

    def complete(self) -> None:
        """Replace the checkpoint by the one just written, in one step."""
        written = self.being_written()
        add_seal(written)
        written.replace(self.path)

    def clear(self) -> None:
        """Forget the checkpoint: the training is finished, or it belongs to another one."""
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class RemoteCheckpoint(Checkpoint):
    """A checkpoint behind a URL, of which whoever trains has a copy in a temporary file.

    Attributes:
        remote: where it is kept.
    """

    remote: RemotePath

    @classmethod
    def at(cls, remote: RemotePath) -> RemoteCheckpoint:
        """Return the checkpoint that is kept behind a URL."""
        name = hashlib.sha256(remote.url.encode()).hexdigest()
        return cls(_private_folder() / f"{name}.ckpt", remote)

    @property
    def place(self) -> str:
        """Where it is kept."""
        return self.remote.url

    def of_member(self, member: str) -> RemoteCheckpoint:
        """Return the checkpoint of one of several networks, by its name."""
        name = f"{self.remote.stem}_{member.replace('/', '_')}{self.remote.suffix}"
        return self.at(self.remote.parent / name)

    def exists(self) -> bool:
        """Whether a training was interrupted; the copy is then as it was left."""
        try:
            content = self.remote.open().read()
        except FileNotFoundError:
            return False
        self.path.parent.mkdir(mode=0o700, exist_ok=True)  # of another machine's process
        with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as copied:
            copied.write(content)
        Path(copied.name).replace(self.path)  # at once: other processes here may read it
        return True

    def complete(self) -> None:
        """Replace the checkpoint by the one just written, in one step."""
        super().complete()
        self.remote.write_bytes(self.path.read_bytes())

    def clear(self) -> None:
        """Forget the checkpoint and its copy."""
        super().clear()
        self.remote.unlink()


@cache
def _private_folder() -> Path:
    """Return a temporary folder of this process: a name that can be guessed may be a trap."""
    folder = tempfile.mkdtemp(prefix="anomalous_sound_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def checkpoint_at(place: str) -> Checkpoint:
    """Return the checkpoint of a path, or of a URL that fsspec understands."""
    found = place_of(place)
    return RemoteCheckpoint.at(found) if isinstance(found, RemotePath) else Checkpoint(found)
