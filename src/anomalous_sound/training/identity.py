"""What a training depends on, so that it goes on from its own checkpoint and from no other."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import ModuleType

import pandas as pd

from anomalous_sound.configuration.training import TrainingSettings
from anomalous_sound.methods.discovery import methods
from anomalous_sound.methods.network import Network
from anomalous_sound.methods.trained import NetworkDescription
from anomalous_sound.storage.identity import code_identity, identity

_CODE = (
    "anomalous_sound.features.frames",
    "anomalous_sound.features.scaling",
    "anomalous_sound.features.windows",
    "anomalous_sound.methods.network",
    "anomalous_sound.training.batch_norm",
    "anomalous_sound.training.batches",
    "anomalous_sound.training.loop",
)
_LIBRARIES = ("torch", "lightning-fabric", "numpy")


def training_identity(
    description: NetworkDescription,
    training: TrainingSettings,
    *,
    seed: int,
    clips: pd.DataFrame,
    trained_on: Iterable[str],
    validated_on: Iterable[str],
) -> str:
    """Return a digest of all that a training depends on, except for how many epochs it lasts.

    Args:
        description: of the network, before the training.
        training: its settings.
        seed: of all that is drawn.
        clips: ``clip_id, machine_id, sha256``, at least of those that follow.
        trained_on: the IDs of the training clips.
        validated_on: the IDs of the clips held out.
    """
    by_id = clips.set_index("clip_id")[["machine_id", "sha256"]]

    def contents(clip_ids: Iterable[str]) -> list[list[str]]:
        return by_id.loc[list(clip_ids)].astype(str).reset_index().to_numpy().tolist()

    return identity(
        code=code_identity(*_CODE, *_modules_of(description.method), distributions=_LIBRARIES),
        description=description.to_json(),
        training=training.model_dump(mode="json", exclude={"epochs"}),
        seed=seed,
        trained_on=contents(trained_on),
        validated_on=contents(validated_on),
    )


def _modules_of(method: str) -> list[ModuleType]:
    """Return the modules of a method's package, and those of the networks that its own extends."""
    network_class = methods()[method].network_class()
    package = sys.modules[network_class.__module__].__package__
    names = {base.__module__ for base in network_class.__mro__ if issubclass(base, Network)}
    if package:  # what the network needs has been imported with it
        names |= {name for name in sys.modules if f"{name}.".startswith(f"{package}.")}
    found = (sys.modules[name] for name in sorted(names))
    return [module for module in found if getattr(module, "__file__", None)]
