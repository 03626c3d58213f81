"""Find the methods: the folders beside this module, and those that other packages offer."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from types import MappingProxyType

from anomalous_sound.errors import InputError
from anomalous_sound.methods.base import Method, NetworkSettings

ENTRY_POINT_GROUP = "anomalous_sound.methods"
DEFAULT_METHOD = "lstm"  # the one of `kedro run` alone
_ROOMS = __name__.rpartition(".")[0]


def methods() -> Mapping[str, Method]:
    """Return every method by name: the core ones first, the others by name.

    A method is a subpackage of ``anomalous_sound.methods`` with a ``METHOD``, or an entry point of
    the group ``anomalous_sound.methods`` in any installed package:

    ```toml
    [project.entry-points."anomalous_sound.methods"]
    mine = "my_package:METHOD"
    ```

    Raises:
        InputError: a method cannot be imported, is not a ``Method``, or has the name of another.
    """
    # an installed package is seen as soon as the path leads to it
    return _methods(tuple(sys.path))


def trained_methods() -> Mapping[str, Method]:
    """Return the methods that learn from sound alone; the others need an encoder to be given."""
    return {name: method for name, method in methods().items() if not method.frozen}


def method_of(network: NetworkSettings) -> Method:
    """Return the method whose network has these settings."""
    return next(m for m in methods().values() if m.network_settings is type(network))


@cache
def _methods(path: tuple[str, ...]) -> Mapping[str, Method]:
    found: dict[str, Method] = {}
    origins: dict[str, str] = {}
    for origin, load in _candidates():
        try:
            method = load()
        except Exception as error:
            raise InputError(
                f"the method of {origin} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        if method is None:
            continue
        if not isinstance(method, Method):
            raise InputError(
                f"the method of {origin} is {method!r}; it must be a Method "
                "(anomalous_sound.methods.base)."
            )
        if method.name in found:
            raise InputError(
                f"two methods are named '{method.name}': those of {origins[method.name]} and of "
                f"{origin}; rename one."
            )
        found[method.name], origins[method.name] = method, origin

    def place(method: Method) -> tuple[bool, bool, str]:
        return not method.core, method.name != DEFAULT_METHOD, method.name

    return MappingProxyType({method.name: method for method in sorted(found.values(), key=place)})


def _method_of(package: str) -> object:
    return getattr(import_module(package), "METHOD", None)


def _candidates() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield where a method may be, and what loads it; None means that there is none."""
    for module in pkgutil.iter_modules(import_module(_ROOMS).__path__):
        if module.ispkg:
            name = f"{_ROOMS}.{module.name}"
            yield name, partial(_method_of, name)
    for entry_point in entry_points(group=ENTRY_POINT_GROUP):
        yield f"entry point '{entry_point.name}' ({entry_point.value})", entry_point.load
