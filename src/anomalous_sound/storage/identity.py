"""Keys under which what was computed once is found again, and not where anything has changed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any


def code_version(modules: Iterable[ModuleType], packages: Iterable[str]) -> str:
    """Return a digest of the modules' source and of the packages' versions.

    Nobody has to remember to raise a number: what was computed by other code is computed again.
    """
    parts = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in modules]
    parts += [f"{package} {importlib.metadata.version(package)}" for package in packages]
    return _digest(parts)


def reuse_key(**depends_on: Any) -> str:
    """Return a digest of all that a result depends on; JSON values by name."""
    return _digest(depends_on)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
