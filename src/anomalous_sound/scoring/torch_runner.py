"""Networks applied by PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from anomalous_sound.compute.device import make_fabric
from anomalous_sound.compute.threads import torch_threads
from anomalous_sound.configuration.inference import ScoringSettings
from anomalous_sound.methods.network import ClipInput, Network
from anomalous_sound.methods.trained import TrainedNetworks


class TorchRunner:
    """Trained networks; each is built when the first clip needs it. See :class:`.runner.Runner`."""

    def __init__(self, networks: TrainedNetworks, settings: ScoringSettings) -> None:
        """Remember the networks.

        Args:
            networks: the trained networks.
            settings: device, precision and batch size.

        Raises:
            InputError: the device is not there, or cannot do that precision.
        """
        self._networks = networks
        self._batch_size = settings.batch_size
        self._fabric = make_fabric(settings.accelerator, settings.precision)
        self._built: dict[str, Network] = {}
        self._building = Lock()

    @property
    def on_cpu(self) -> bool:
        """Whether it computes on the processor."""
        return self._fabric.device.type == "cpu"

    def errors(
        self,
        members: Sequence[str],
        frames: NDArray[np.float32],
        first_frames: NDArray[np.int64],
        *,
        machine: int,
    ) -> NDArray[np.float32]:
        """Return the errors of one clip; see :meth:`.runner.Runner.errors`."""
        return errors_of_clip(
            [self._network(member) for member in members],
            frames,
            first_frames,
            machine=machine,
            batch_size=self._batch_size,
            fabric=self._fabric,
        )

    def _network(self, member: str) -> Network:
        with self._building:
            if member not in self._built:
                network = self._networks.build(member)
                self._fabric.to_device(network)
                self._built[member] = network
            return self._built[member]


def errors_of_clip(
    networks: Sequence[Network],
    frames: NDArray[np.float32],
    first_frames: NDArray[np.int64],
    *,
    machine: int,
    batch_size: int,
    fabric: Fabric,
) -> NDArray[np.float32]:
    """Apply networks to one clip.

    Args:
        networks: those that judge the clip, on the device.
        frames: frames × mel bands, scaled: the whole clip.
        first_frames: the first frame of each window in the clip.
        machine: the place of the clip's machine ID among those trained on; -1 for any other.
        batch_size: windows computed at once, at most.
        fabric: device and precision, as
            :func:`~anomalous_sound.compute.device.make_fabric` chooses them.

    Returns:
        Networks × windows × mel bands, at least 0.
    """
    # the number of threads decides in which order a CPU sums, and so the last bit
    threads = 1 if fabric.device.type == "cpu" else torch.get_num_threads()
    with torch_threads(threads), torch.inference_mode(), fabric.autocast():
        clip = ClipInput(
            fabric.to_device(torch.from_numpy(frames)),
            fabric.to_device(torch.from_numpy(first_frames)),
            machine,
            batch_size,
        )
        errors = [network.errors(clip).float() for network in networks]
        found: NDArray[np.float32] = torch.stack(errors).cpu().numpy()
        return found
