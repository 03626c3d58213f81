"""A network together with all that must be known to use it on a new clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from anomalous_sound.models.frame_model import FrameModel

# by name and not by class: a class is imported when it is built, since torch takes seconds
ARCHITECTURES: Mapping[str, tuple[str, str]] = {
    "lstm_predictor": ("anomalous_sound.models.lstm_predictor", "LstmPredictor"),
    "gru_autoencoder": ("anomalous_sound.models.gru_autoencoder", "GruAutoencoder"),
    "dense_autoencoder": ("anomalous_sound.models.dense_autoencoder", "DenseAutoencoder"),
}


@dataclass(frozen=True)
class TrainedNetwork:
    """Weights and the settings that made them.

    Attributes:
        weights: tensors by name, on the CPU.
        settings: JSON values: ``network`` (architecture and sizes), ``audio``, ``log_mel``,
            ``windows``, ``scaling``, ``corpus``; a detector adds ``score`` and ``threshold``.
    """

    weights: Mapping[str, Tensor]
    settings: Mapping[str, Any]

    def build(self) -> FrameModel:
        """Build the network and load the weights into it."""
        network = build_network(self.settings)
        network.load_state_dict(dict(self.weights))
        return network.eval()


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
