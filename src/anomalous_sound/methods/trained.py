"""Trained networks together with all that must be known to use them on a new clip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from anomalous_sound.configuration.features import FeatureSettings, WindowSettings
from anomalous_sound.corpus.summary import CorpusSummary
from anomalous_sound.errors import InputError
from anomalous_sound.features.scaling import Scaling
from anomalous_sound.methods.base import NetworkSettings
from anomalous_sound.methods.discovery import methods

if TYPE_CHECKING:
    from torch import Tensor

    from anomalous_sound.methods.network import Network

SHARED = ""  # the member that judges all machine IDs, where there is one network
_OF_MACHINE_ID, _OF_FOLD = "id_", "fold_"


@dataclass(frozen=True)
class NetworkDescription:
    """What a network is built from, must be fed with, and was trained on.

    Attributes:
        method: name of the method.
        network: settings of the network.
        features: how a recording becomes frames.
        windows: the form of the windows that are scored.
        scaling: how frames are scaled.
        machine_ids: those trained on, in the order in which a network counts them.
        corpus: the corpus that it was trained on.
        trained_on: ``device`` and ``precision``; empty before the training.
    """

    method: str
    network: NetworkSettings
    features: FeatureSettings
    windows: WindowSettings
    scaling: Scaling
    machine_ids: tuple[str, ...]
    corpus: CorpusSummary
    trained_on: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the description as JSON values."""
        return {
            "method": self.method,
            "network": self.network.model_dump(mode="json"),
            **self.features.model_dump(mode="json"),
            "windows": self.windows.model_dump(mode="json"),
            "scaling": self.scaling.to_json(),
            "machine_ids": list(self.machine_ids),
            "corpus": self.corpus.model_dump(mode="json"),
            "trained_on": dict(self.trained_on),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> NetworkDescription:
        """Read what :meth:`to_json` returned.

        Raises:
            InputError: it is of an earlier version, or of a method that is not there.
        """
        if "method" not in values or "segment_s" not in values.get("corpus", {}):
            raise InputError(
                "the network was trained by an earlier version; "
                "train it again: kedro run --pipeline METHOD."
            )
        method = methods().get(values["method"])
        if method is None:
            raise InputError(
                f"the network was trained by the method '{values['method']}', which is not "
                f"installed; there are {', '.join(methods())}."
            )
        return cls(
            method=method.name,
            network=method.network_settings.model_validate(values["network"]),
            features=FeatureSettings.model_validate(
                {name: values[name] for name in FeatureSettings.model_fields}
            ),
            windows=WindowSettings.model_validate(values["windows"]),
            scaling=Scaling.from_json(values["scaling"]),
            machine_ids=tuple(values["machine_ids"]),
            corpus=CorpusSummary.model_validate(values["corpus"]),
            trained_on=values["trained_on"],
        )

    def build(self) -> Network:
        """Build an untrained network."""
        from anomalous_sound.methods.network import InputShape

        shape = InputShape(self.features.log_mel.n_mels, self.windows, self.machine_ids)
        return methods()[self.method].network_class()(self.network, shape)

    def machine(self, machine_id: str) -> int:
        """Return the place of a machine ID among those trained on; -1 for any other."""
        return self.machine_ids.index(machine_id) if machine_id in self.machine_ids else -1


class Networks(ABC):
    """One or several networks, its members, and their description.

    A member is named by the path before its tensors: one network for all machine IDs has the empty
    name, the network of one machine ID is ``id_<machine ID>``, and where each was trained without
    one fold of the normal clips, they are ``fold_0``, ``fold_1``, …, or ``id_00/fold_0``, …. Where
    several judge a clip, its score is the mean of the scores of their errors.

    Attributes:
        description: of all members.
    """

    description: NetworkDescription

    @abstractmethod
    def members(self) -> tuple[str, ...]:
        """Return the names of all members, sorted."""

    @abstractmethod
    def contents(self) -> Iterable[tuple[str, bytes]]:
        """Return what was learned, by name and sorted: it tells other networks from these."""

    @property
    def shared(self) -> bool:
        """Whether the members judge all machine IDs, also those not trained on."""
        return not any(member.startswith(_OF_MACHINE_ID) for member in self.members())

    def members_of(self, machine_id: str, *, left_out_of: int | None = None) -> tuple[str, ...]:
        """Return the members that judge a clip of a machine ID.

        Args:
            machine_id: of the clip.
            left_out_of: the fold of the clip, if it is a normal clip of the training: only the
                member that has not heard it then judges it.

        Raises:
            InputError: each machine ID has a network of its own, and this one has none.
        """
        own = member_name(machine_id)
        members = self.members()
        found = tuple(
            member
            for member in members
            if not member.startswith(_OF_MACHINE_ID) or f"{member}/".startswith(f"{own}/")
        )
        if left_out_of is not None:
            of_fold = f"{_OF_FOLD}{left_out_of}"
            # one network alone has heard none of the clips held out
            found = tuple(one for one in found if one.rpartition("/")[2] == of_fold) or found[:1]
        if not found:
            raise InputError(no_network_of_its_own(machine_id, members))
        return found


@dataclass(frozen=True)
class TrainedNetworks(Networks):
    """Networks as they were trained, to be applied by PyTorch.

    Attributes:
        weights: tensors on the CPU by name: ``<member>/<tensor>``, or ``<tensor>`` alone.
        description: of all members.
    """

    weights: Mapping[str, Tensor]
    description: NetworkDescription

    def members(self) -> tuple[str, ...]:
        """Return the names of all members, sorted."""
        return tuple(sorted({name.rpartition("/")[0] for name in self.weights}))

    def contents(self) -> Iterable[tuple[str, bytes]]:
        """Return the bytes of every tensor; see :meth:`Networks.contents`."""
        for name in sorted(self.weights):
            yield name, self.weights[name].contiguous().numpy().tobytes()

    def count_parameters(self) -> int:
        """Return the number of trained values of all members."""
        from anomalous_sound.methods.network import count_parameters

        return sum(count_parameters(self.build(member)) for member in self.members())

    def build(self, member: str = SHARED) -> Network:
        """Build a member and load its weights into it."""
        prefix = f"{member}/" if member else ""
        network = self.description.build()
        network.load_state_dict(
            {
                name.removeprefix(prefix): weights
                for name, weights in self.weights.items()
                if name.startswith(prefix)
            }
        )
        return network.eval()

    @classmethod
    def join(cls, networks: Mapping[str, TrainedNetworks]) -> TrainedNetworks:
        """Put several networks of one description together.

        Args:
            networks: by the name that they get, as :func:`member_name` makes it, or any other for
                one that judges all machine IDs.
        """
        weights = {
            f"{name}/{tensor_name}" if name else tensor_name: tensor
            for name, one in networks.items()
            for tensor_name, tensor in one.weights.items()
        }
        return cls(weights, next(iter(networks.values())).description)


def no_network_of_its_own(machine_id: str, there: Iterable[str]) -> str:
    """Say that no network judges a machine ID; ``there`` are networks, or machine IDs with one."""
    return (
        f"machine ID '{machine_id}' has no training clips, so it has no network of its own "
        f"(there are {', '.join(there)}); give it normal clips, leave it out by "
        "corpus.machine_ids, or share networks: detector.per=machine_type."
    )


def member_name(machine_id: str | None = None, fold: int | None = None) -> str:
    """Name a network.

    Args:
        machine_id: the only one that it judges; None: it judges all.
        fold: of the clips that it was trained without; None: there are no folds.
    """
    own = SHARED if machine_id is None else f"{_OF_MACHINE_ID}{machine_id}"
    if fold is None:
        return own
    return f"{own}/{_OF_FOLD}{fold}" if own else f"{_OF_FOLD}{fold}"
