"""What a method says about itself; importing it does not import PyTorch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from anomalous_sound.configuration.base import Settings
from anomalous_sound.configuration.scoring import ScoreSettings
from anomalous_sound.configuration.training import TrainingSettings

if TYPE_CHECKING:
    from anomalous_sound.methods.network import Network


class NetworkSettings(Settings, ABC):
    """The form of a network. Each method narrows ``architecture`` to a ``Literal`` of its own."""

    architecture: str

    @abstractmethod
    def target_frames(self, length: int) -> tuple[int, int]:
        """Return the first and the last frame that the error of a window is about.

        Args:
            length: frames of the window.

        Returns:
            Both counted from the start of the window; ``length`` is the frame after it.
        """


class MethodSettings(Settings):
    """All parameters of a method. A method with windows of its own adds ``windows``."""

    network: NetworkSettings
    training: TrainingSettings
    score: ScoreSettings


class FrozenSettings(Settings):
    """All parameters of a method whose encoder is given, so that nothing is trained."""

    encoder: NetworkSettings
    score: ScoreSettings


@dataclass(frozen=True)
class Method:
    """One way to learn the normal sound of a machine.

    Attributes:
        name: of its pipeline, its parameters and its folder.
        title: what headings and legends call it.
        summary: one line for tables.
        settings: the type of its parameters.
        network: where its :class:`~anomalous_sound.methods.network.Network` is:
            ``package.module:Class``. By name, because importing it imports PyTorch. Empty if it is
            frozen.
        next_frame: whether its windows come with the frame after them.
        core: whether it is one of the methods that the project is about; others are there to be
            compared with them.
        frozen: whether its encoder is given and nothing is trained; its parameters are
            :class:`FrozenSettings`.
    """

    name: str
    title: str
    summary: str
    settings: type[MethodSettings] | type[FrozenSettings]
    network: str
    next_frame: bool
    core: bool = False
    frozen: bool = False

    @property
    def own_windows(self) -> bool:
        """Whether its windows are its own, and not those that the other methods share."""
        return "windows" in self.settings.model_fields

    @property
    def network_settings(self) -> type[NetworkSettings]:
        """The type of the settings of its network, or of its encoder.

        Raises:
            TypeError: it is not a subclass of :class:`NetworkSettings`.
        """
        found = self.settings.model_fields["encoder" if self.frozen else "network"].annotation
        if not (isinstance(found, type) and issubclass(found, NetworkSettings)):
            raise TypeError(f"{self.settings.__name__}.network is {found}, no NetworkSettings")
        return found

    def network_class(self) -> type[Network]:
        """Import the class of its network.

        Raises:
            TypeError: it is not a subclass of ``Network``.
        """
        from anomalous_sound.methods.network import Network

        module, _, name = self.network.partition(":")
        found = getattr(import_module(module), name)
        if not (isinstance(found, type) and issubclass(found, Network)):
            raise TypeError(f"{self.network} is not a subclass of Network")
        return found
