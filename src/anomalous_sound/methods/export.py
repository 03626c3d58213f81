"""From trained networks to ONNX graphs; it needs PyTorch."""

from __future__ import annotations

import io
import warnings

import torch
from torch import Tensor, nn

from anomalous_sound.errors import InputError
from anomalous_sound.methods.exported import (
    ERRORS,
    FIRST_FRAMES,
    FRAMES,
    MACHINE,
    ExportedNetworks,
)
from anomalous_sound.methods.network import ClipInput, Network
from anomalous_sound.methods.trained import TrainedNetworks

# of 2022, which every ONNX Runtime since then reads
_OPSET = 17
# a clip to trace the network with; any number of frames and windows fits the graph
_WINDOWS = 20


def export_networks(networks: TrainedNetworks) -> ExportedNetworks:
    """Write every member as an ONNX graph, in float32 and with its weights inside.

    Raises:
        InputError: a network does what ONNX has no word for.
    """
    members = {member: networks.build(member) for member in networks.members()}
    description = networks.description
    n_mels, frames = description.features.log_mel.n_mels, description.windows.frames
    return ExportedNetworks(
        graphs={
            member: _graph(network, torch.zeros(frames + _WINDOWS - 1, n_mels))
            for member, network in members.items()
        },
        description=description,
        windows_alone=all(network.windows_alone for network in members.values()),
    )


class _Errors(nn.Module):
    """The errors of a clip's windows as a function of tensors alone."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, first_frames: Tensor, machine: Tensor) -> Tensor:
        # as a tensor the machine stays an input; as a number it would become a part of the graph
        clip = ClipInput(frames, first_frames, machine, _WINDOWS)  # type: ignore[arg-type]
        return self.network.errors_at_once(clip).float()


def _graph(network: Network, frames: Tensor) -> bytes:
    import onnx  # noqa: F401  # torch asks for it, and does not say so where it is needed

    file = io.BytesIO()
    clip = (frames, torch.arange(_WINDOWS), torch.tensor(0))
    try:
        with warnings.catch_warnings():
            # The older of torch's two exporters: the newer one makes the length of the traced clip
            # a part of the graph where a network reads a whole clip, and needs two more packages.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Errors(network).eval(),
                clip,
                file,  # type: ignore[arg-type]  # files in memory serve too
                dynamo=False,
                opset_version=_OPSET,
                input_names=[FRAMES, FIRST_FRAMES, MACHINE],
                output_names=[ERRORS],
                dynamic_axes={
                    FRAMES: {0: "frames"},
                    FIRST_FRAMES: {0: "windows"},
                    ERRORS: {0: "windows"},
                },
            )
    except Exception as error:  # of many types, and of the network's own code
        said = str(error).strip().partition("\n")[0]
        raise InputError(
            f"the network {type(network).__name__} cannot be written as ONNX: {said}"
        ) from error
    return file.getvalue()
