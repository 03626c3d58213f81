"""Whether a result is the same as before: digests of all that it depends on.

What an earlier run has computed is reused if its identity is the same. Nobody has to remember to
raise a version number: other code has another identity.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel


def identity(**depends_on: Any) -> str:
    """Return a digest of all that a result depends on.

    >>> identity(sha256="ab", seed=1) == identity(seed=1, sha256="ab")
    True

    Args:
        depends_on: JSON values, settings (pydantic models) or collections of them, by name.

    Returns:
        32 hexadecimal digits.
    """
    text = json.dumps(depends_on, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def code_identity(*code: ModuleType | str, distributions: Iterable[str] = ()) -> str:
    """Return a digest of source code and of the versions of what it calls.

    Args:
        code: modules, or packages with all modules below them; a name is not imported.
        distributions: installed distributions whose version matters, such as ``numpy``.

    Returns:
        32 hexadecimal digits; the same wherever the project is installed.

    Raises:
        ModuleNotFoundError: there is no such module.
        importlib.metadata.PackageNotFoundError: there is no such distribution.
    """
    return identity(
        sources=[_sources(one) for one in code],
        versions={name: importlib.metadata.version(name) for name in distributions},
    )


def _sources(module: ModuleType | str) -> dict[str, str]:
    """Return the source of each module by its path below the package's folder."""
    spec = importlib.util.find_spec(module) if isinstance(module, str) else module.__spec__
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no source of {module!r} is found")
    file = Path(spec.origin)
    folder = file.parent
    files = sorted(folder.rglob("*.py")) if spec.submodule_search_locations else [file]
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in files}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no place in an identity; give JSON values")
