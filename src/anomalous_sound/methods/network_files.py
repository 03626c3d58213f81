"""Networks as files in a folder; no code in them is run when they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anomalous_sound.errors import InputError, missing_package
from anomalous_sound.methods.embedding.encoder import EncoderFile, FrozenEncoder
from anomalous_sound.methods.exported import ExportedNetworks
from anomalous_sound.methods.trained import NetworkDescription, Networks, TrainedNetworks

ENCODER = "encoder"  # among the values: where a frozen encoder is; its file is not copied
EXPORT = "export"  # among the values beside the files: what the graphs are; absent for weights
WEIGHTS_FILE = "weights.safetensors"


def write_networks(networks: Networks, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Write networks into a folder.

    Returns:
        The names of the files, and the JSON values that :func:`read_networks` needs beside them.
    """
    if isinstance(networks, FrozenEncoder):
        # its weights are the user's, and stay where they are
        return [], {ENCODER: networks.file.model_dump(mode="json")}
    if isinstance(networks, ExportedNetworks):
        files = {member: f"network_{n}.onnx" for n, member in enumerate(networks.members())}
        for member, name in files.items():
            (folder / name).write_bytes(networks.graphs[member])
        values = {"graphs": files, "windows_alone": networks.windows_alone}
        return list(files.values()), {EXPORT: values}
    assert isinstance(networks, TrainedNetworks)
    from safetensors.torch import save_file

    weights = {name: tensor.contiguous() for name, tensor in networks.weights.items()}
    save_file(weights, folder / WEIGHTS_FILE)
    return [WEIGHTS_FILE], {}


def read_networks(
    values: Mapping[str, Any], folder: Path, description: NetworkDescription
) -> Networks:
    """Read networks from a folder.

    Args:
        values: those that :func:`write_networks` returned, and any others.
        folder: where the files lie.
        description: of the networks.

    Raises:
        InputError: PyTorch is needed and not installed, or a frozen encoder is not there or is
            another one.
        OSError: a file is not there.
        ValueError: the weights are damaged.
    """
    if ENCODER in values:
        file = EncoderFile.model_validate(values[ENCODER])
        beside = folder / Path(file.path).name
        if beside.is_file():
            file = file.model_copy(update={"path": str(beside)})
        file.content()  # it has to be there, and to be the same
        return FrozenEncoder(file, description)
    if EXPORT in values:
        exported = values[EXPORT]
        # by their names alone: no file of another folder is read
        places = {member: folder / Path(name).name for member, name in exported["graphs"].items()}
        graphs = {member: place.read_bytes() for member, place in places.items()}
        return ExportedNetworks(graphs, description, bool(exported["windows_alone"]))
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise InputError(
            f"what is in {folder} needs PyTorch ({missing_package(error)}). Or carry it "
            "without: anomalous-sound export, where it was trained."
        ) from error
    try:
        return TrainedNetworks(load_file(folder / WEIGHTS_FILE), description)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
