"""The methods, a folder each: what it learns from windows of frames, and what it says of a clip.

:mod:`base` holds the types that describe a method, :mod:`discovery` finds the methods,
:mod:`network` is what their networks have in common, and :mod:`trained` a network with its weights.
"""

from anomalous_sound.methods.base import Method
from anomalous_sound.methods.discovery import methods

__all__ = ["Method", "methods"]
