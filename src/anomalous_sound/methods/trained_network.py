"""A network together with all that must be known to use it on a new clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

from anomalous_sound.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from anomalous_sound.methods.frame_network import FrameModel

# by name and not by class: a class is imported when it is built, since torch takes seconds
ARCHITECTURES: Mapping[str, tuple[str, str]] = {
    "lstm_predictor": ("anomalous_sound.methods.lstm.network", "LstmPredictor"),
    "lstm_dense_predictor": (
        "anomalous_sound.methods.lstm_dense.network",
        "LstmDensePredictor",
    ),
    "gru_autoencoder": ("anomalous_sound.methods.gru.network", "GruAutoencoder"),
    "dense_autoencoder": ("anomalous_sound.methods.autoencoder.network", "DenseAutoencoder"),
}

SHARED = ""  # the member that judges all machine IDs
_MEMBER = "id_"


@dataclass(frozen=True)
class TrainedNetwork:
    """Weights and the settings that made them.

    There may be one network for all machine IDs, or one for each: its members. The one for all is
    the member without a name.

    Attributes:
        weights: tensors by name, on the CPU; those of a machine ID's own network are named
            ``id_<machine ID>/…``.
        settings: JSON values: ``network`` (architecture and sizes), ``audio``, ``log_mel``,
            ``windows``, ``scaling``, ``corpus``, ``trained_on`` (device and precision); a detector
            adds ``score`` and ``threshold``.
    """

    weights: Mapping[str, Tensor]
    settings: Mapping[str, Any]

    def members(self) -> list[str]:
        """Return the names of the networks: ``id_<machine ID>``, or the empty name alone."""
        return sorted({name.rpartition("/")[0] for name in self.weights})

    def member_of(self, machine_id: str) -> str:
        """Return which member judges the clips of a machine ID.

        Raises:
            InputError: each machine ID has a network of its own, and this one has none.
        """
        members = self.members()
        member = SHARED if members == [SHARED] else _MEMBER + machine_id
        if member not in members:
            raise InputError(
                f"machine ID '{machine_id}' has no training clips, so it has no network of its own "
                f"(there are {', '.join(members)}); give it normal clips, leave it out by "
                "corpus.machine_ids, or share one network: detector.per=machine_type."
            )
        return member

    def build(self, member: str = SHARED) -> FrameModel:
        """Build a member and load its weights into it."""
        prefix = f"{member}/" if member else ""
        network = build_network(self.settings)
        network.load_state_dict(
            {
                name.removeprefix(prefix): weights
                for name, weights in self.weights.items()
                if name.startswith(prefix)
            }
        )
        return network.eval()

    @classmethod
    def join(cls, members: Mapping[str, TrainedNetwork]) -> TrainedNetwork:
        """Put the networks of several machine IDs (the keys) into one thing."""
        weights = {
            f"{_MEMBER}{machine_id}/{name}": tensor
            for machine_id, network in members.items()
            for name, tensor in network.weights.items()
        }
        return cls(weights, next(iter(members.values())).settings)


def architecture_class(settings: Mapping[str, Any]) -> type[FrameModel]:
    """Return the class of the architecture that the settings name."""
    module, name = ARCHITECTURES[settings["network"]["architecture"]]
    return getattr(import_module(module), name)


def build_network(settings: Mapping[str, Any]) -> FrameModel:
    """Build an untrained network from its settings."""
    architecture = architecture_class(settings)
    sizes = {key: value for key, value in settings["network"].items() if key != "architecture"}
    sizes["n_mels"] = settings["log_mel"]["n_mels"]
    if "window_length" in signature(architecture).parameters:
        sizes["window_length"] = settings["windows"]["length"]
    return architecture(**sizes)
