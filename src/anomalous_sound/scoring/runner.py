"""What applies networks to a clip: PyTorch, or ONNX Runtime where they were exported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.methods.exported import ExportedNetworks
from anomalous_sound.methods.trained import Networks, TrainedNetworks


class Runner(Protocol):
    """Networks, ready to be applied to one clip after the other, from several threads."""

    @property
    def on_cpu(self) -> bool:
        """Whether it computes on the processor, so that several clips at once gain something."""
        ...

    def errors(
        self,
        members: Sequence[str],
        frames: NDArray[np.float32],
        first_frames: NDArray[np.int64],
        *,
        machine: int,
    ) -> NDArray[np.float32]:
        """Return the errors that networks make in one clip.

        Args:
            members: the networks that judge the clip.
            frames: frames × mel bands, scaled: the whole clip.
            first_frames: the first frame of each window in the clip.
            machine: the place of its machine ID among those trained on; -1 for any other.

        Returns:
            Networks × windows × mel bands, at least 0.
        """
        ...


def make_runner(networks: Networks, settings: ScoringSettings) -> Runner:
    """Return what applies these networks.

    Args:
        networks: trained or exported.
        settings: device, precision and batch size.

    Raises:
        InputError: what applies them is not installed, or cannot be used here as the settings say.
    """
    if isinstance(networks, ExportedNetworks):
        from anomalous_sound.scoring.onnx_runner import OnnxRunner

        return OnnxRunner(networks, settings)
    assert isinstance(networks, TrainedNetworks)
    from anomalous_sound.scoring.torch_runner import TorchRunner

    return TorchRunner(networks, settings)
