"""Networks as ONNX graphs, which a machine without PyTorch can apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from anomalous_sound.methods.trained import NetworkDescription, Networks

# the inputs and the output of a graph; it leaves out an input that its network does not read
FRAMES, FIRST_FRAMES, MACHINE = "frames", "first_frames", "machine"
ERRORS = "errors"


@dataclass(frozen=True)
class ExportedNetworks(Networks):
    """Networks as ONNX graphs, one a member.

    A graph takes ``frames`` (float32, frames × mel bands, scaled: a whole clip), ``first_frames``
    (int64, of each window in the clip) and ``machine`` (int64, a scalar: the place of the machine
    ID among those trained on; -1 for any other), and gives ``errors`` (float32, windows × mel
    bands).

    Attributes:
        graphs: ONNX files by member; the weights are in them.
        description: of all members.
        windows_alone: see :class:`~anomalous_sound.methods.network.Network`.
    """

    graphs: Mapping[str, bytes]
    description: NetworkDescription
    windows_alone: bool

    def members(self) -> tuple[str, ...]:
        """Return the names of all members, sorted."""
        return tuple(sorted(self.graphs))

    def contents(self) -> Iterable[tuple[str, bytes]]:
        """Return every graph; see :meth:`.Networks.contents`."""
        return sorted(self.graphs.items())
