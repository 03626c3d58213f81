"""A network together with all that must be known to use it on a new clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from anomalous_sound.models.frame_model import FrameModel


def _lstm_predictor() -> type[FrameModel]:
    from anomalous_sound.models.lstm_predictor import LstmPredictor

    return LstmPredictor


# the methods; each is imported when it is built, since torch takes seconds to import
ARCHITECTURES: Mapping[str, Callable[[], type[FrameModel]]] = {
    "lstm_predictor": _lstm_predictor,
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
    return ARCHITECTURES[settings["network"]["architecture"]]()


def build_network(settings: Mapping[str, Any]) -> FrameModel:
    """Build an untrained network from its settings."""
    sizes = {key: value for key, value in settings["network"].items() if key != "architecture"}
    return architecture_class(settings)(n_mels=settings["log_mel"]["n_mels"], **sizes)
